"""Velero as far as its Backups and Restores go, on a real API server: a stand-in that does what a server of 2026 was
seen to do with a namespace.

A Backup takes every object of the namespace, pods and ReplicaSets too. A Restore makes them again, most of what the
API server sets taken off and with them the owners; it maps the namespace in metadata and in the subjects of
RoleBindings, and nowhere else; it keeps node ports that somebody asked for, labels all that it makes, leaves alone what
is there, and brings pods up at once. What its label selector leaves out stays out.
"""

import copy
import json
import os
import subprocess
import threading
import time

import scenario

ORDER = ["PersistentVolumeClaim", "Secret", "ConfigMap", "ServiceAccount", "Pod", "ReplicaSet"]
# Not in a backup, or never restored.
LEFT_OUT = ("events", "leases", "endpointslices", "backups.velero.io", "restores.velero.io")
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class SimulatedVelero:
    """Runs while a `with` of it lasts."""

    def __init__(self, cluster):
        self.cluster, self.stored, self.done, self.restored, self.failure = cluster, {}, set(), [], None
        data = os.path.join(os.environ["SOURCE_DIR"], "tests", "data", "velero")
        for name in ("velero.io_backups.yaml", "velero.io_restores.yaml"):
            cluster.kubectl("apply", "-f", os.path.join(data, name))
        cluster.kubectl("create", "namespace", "velero", check=False)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def __enter__(self):
        scenario.wait_until(lambda: self.cluster.exists("/apis/velero.io/v1/namespaces/velero/restores"), 30,
                            "Velero's kinds", poll_s=0.2)
        self.done = {(kind, item["metadata"]["name"]) for kind in ("backups", "restores")
                     for item in self.cluster.api("GET", f"/apis/velero.io/v1/namespaces/velero/{kind}")["items"]}
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.failure:
            raise self.failure

    def _work(self):
        while not self.stop.is_set():
            try:
                for kind, carry_out in (("backups", self._back_up), ("restores", self._restore)):
                    path = f"/apis/velero.io/v1/namespaces/velero/{kind}"
                    for item in self.cluster.api("GET", path)["items"]:
                        name = item["metadata"]["name"]
                        if (kind, name) in self.done:
                            continue
                        self.done.add((kind, name))
                        errors = carry_out(name, item["spec"])
                        phase = "PartiallyFailed" if errors else "Completed"
                        self.cluster.merge(f"{path}/{name}", {"status": {"phase": phase, "errors": len(errors)}})
            except Exception as error:  # told by __exit__, in the test's own thread
                self.failure = error
                return
            time.sleep(0.2)

    def _back_up(self, name, spec):
        kinds = [kind for kind in self.cluster.kubectl("api-resources", "--namespaced=true", "--verbs=list", "-o",
                                                       "name").split() if not kind.startswith(LEFT_OUT)]
        self.stored[name] = []
        for namespace in spec["includedNamespaces"]:
            items = json.loads(self.cluster.kubectl("--namespace", namespace, "get", ",".join(kinds), "-o", "json"))
            self.stored[name] += items["items"]
        return []

    def _restore(self, name, spec):
        mapping = spec.get("namespaceMapping", {})
        namespace = mapping.get(spec["includedNamespaces"][0], spec["includedNamespaces"][0])
        self._create([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
        items = [self._restored(item, name, spec, mapping) for item in self.stored[spec["backupName"]]
                 if self._is_selected(item, spec.get("labelSelector", {}))]
        items = [item for item in items if item]
        items.sort(key=lambda item: (ORDER.index(item["kind"]) if item["kind"] in ORDER else len(ORDER), item["kind"]))
        errors = self._create(items)
        # They run before anybody looks.
        wanted = {item["metadata"]["name"]: item["spec"]["replicas"] for item in items if item["kind"] == "Deployment"}
        scenario.wait_until(lambda: all(self.cluster.ready(namespace).get(f"deployments/{name}", 0) == count
                                        for name, count in wanted.items()), 120, "what Velero restored", poll_s=0.3)
        self.restored = items
        return errors

    @staticmethod
    def _is_selected(item, selector):
        labels = item["metadata"].get("labels", {})
        for expression in selector.get("matchExpressions", []):
            if (labels.get(expression["key"]) in expression["values"]) != (expression["operator"] == "In"):
                return False
        return True

    @staticmethod
    def _restored(item, name, spec, mapping):
        """What is made of an object of the backup; None where nothing is."""
        item = copy.deepcopy(item)
        kind, old = item["kind"], item["metadata"]
        if item.get("type") == "kubernetes.io/service-account-token":
            return None
        if kind == "Pod" and item["status"].get("phase") in ("Succeeded", "Failed"):
            return None
        metadata = {key: old[key] for key in ("name", "labels", "annotations") if key in old}
        metadata["namespace"] = mapping.get(old["namespace"], old["namespace"])
        metadata.setdefault("labels", {}).update({"velero.io/backup-name": spec["backupName"],
                                                  "velero.io/restore-name": name})
        item["metadata"] = metadata
        item.pop("status", None)
        for subject in item.get("subjects", []):
            if "namespace" in subject:
                subject["namespace"] = mapping.get(subject["namespace"], subject["namespace"])
        if kind == "Service":
            SimulatedVelero._restore_service(item)
        elif kind == "Pod":
            SimulatedVelero._restore_pod(item["spec"])
        elif kind == "PersistentVolumeClaim":
            item["spec"].pop("volumeName", None)
        elif kind == "ServiceAccount":
            item.pop("secrets", None)
        return item

    @staticmethod
    def _restore_service(item):
        if item["spec"].get("clusterIP") != "None":
            item["spec"].pop("clusterIP", None)
            item["spec"].pop("clusterIPs", None)
        applied = json.loads(item["metadata"].get("annotations", {}).get(APPLIED, "{}"))
        asked_for = {port.get("nodePort") for port in applied.get("spec", {}).get("ports", [])}
        for port in item["spec"]["ports"]:
            if port.get("nodePort") not in asked_for:
                port.pop("nodePort", None)

    @staticmethod
    def _restore_pod(spec):
        spec.pop("nodeName", None)
        tokens = {volume["name"] for volume in spec.get("volumes", [])
                  if "-token-" in volume["name"] or volume["name"].startswith("kube-api-access-")}
        spec["volumes"] = [volume for volume in spec.get("volumes", []) if volume["name"] not in tokens]
        for container in spec["containers"]:
            container["volumeMounts"] = [mount for mount in container.get("volumeMounts", [])
                                         if mount["name"] not in tokens]

    def _create(self, items):
        """Lines of errors; what is there already is left alone."""
        run = subprocess.run(["kubectl", "--kubeconfig", self.cluster.kubeconfig, "create", "--filename=-"],
                             input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
                             env={**os.environ, "KUBECACHEDIR": os.path.join(self.cluster.folder, "cache")})
        errors = [line for line in run.stderr.splitlines() if line and "AlreadyExists" not in line and not line.startswith("Warning:")]
        for line in errors:
            print("Velero:", line)
        return errors
