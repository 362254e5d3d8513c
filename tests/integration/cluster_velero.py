"""A restore through Velero ends as a native one of the same source does, object by object, and nothing in either names
the source's namespace. The Velero is a stand-in that behaves as the real one was seen to."""

import base64
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
from simulated_velero import SimulatedVelero

NODE_PORT = 30650
# Made by controllers, of the moment, or tokens.
OF_THE_CLUSTER = ("Pod", "Event", "Endpoints", "EndpointSlice", "ReplicaSet", "ControllerRevision", "Lease")


class Velero(ClusterScenario):
    def everything(self, namespace):
        kinds = [kind for kind in self.cluster.kubectl("api-resources", "--namespaced=true", "--verbs=list", "-o",
                                                       "name").split() if not kind.startswith("events")]
        return json.loads(self.cluster.kubectl("--namespace", namespace, "get", ",".join(kinds), "-o", "json"))["items"]

    def add_what_names_the_namespace(self, here):
        """Objects as charts make them, in whose values the namespace stands."""
        old, labels = here.namespace, {"suite": "pachyderm"}
        workload = here._workload("Deployment", "prometheus", 1, "prom/prometheus", [
            {"name": "TARGET", "value": f"http://pachd.{old}:1656"}, {"name": "POD_NAMESPACE", "value": old}],
            arguments=[f"--web.external-url=http://prometheus.{old}.svc.cluster.local"])
        bouncer = here._workload("Deployment", "bouncer", 1, "pachyderm/pgbouncer:1.16", [
            {"name": "POSTGRESQL_HOST", "value": f"postgres.{old}.svc.cluster.local."}])
        headless = here._workload("StatefulSet", "etcd-new", 1, "pachyderm/etcd:v3.5.5", arguments=[
            f"--initial-cluster=etcd-0=http://etcd-0.etcd-headless.{old}.svc.cluster.local:2380"])
        self.cluster.apply([
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outer", "namespace": old, "labels": labels},
             "spec": {"type": "NodePort", "selector": {"app": "pachd"},
                      "ports": [{"name": "grpc", "port": 30650, "nodePort": NODE_PORT}]}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "envoy", "namespace": old, "labels": labels},
             "data": {"config": json.dumps({"address": f"pachd-peer.{old}.svc.cluster.local"})}},
            here._secret("bootstrap", {"config": f"issuer: http://pachd.{old}.svc:1658/\n"}),
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
             "metadata": {"name": "inner", "namespace": old, "labels": labels},
             "spec": {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {
                 "matchLabels": {"kubernetes.io/metadata.name": old}}}]}]}},
            workload, bouncer, headless])
        # An old revision, as each rollout leaves one.
        self.cluster.kubectl("--namespace", old, "set", "env", "deployment/bouncer", "ROUND=2")
        scenario.wait_until(lambda: self.cluster.ready(old).get("deployments/bouncer") == 1
                            and self.cluster.ready(old).get("deployments/prometheus") == 1, 60, "all to run", poll_s=0.3)

    def assert_names_nothing_of(self, old, namespace):
        word = re.compile(rf"(?<![a-z0-9-]){re.escape(old)}(?![a-z0-9-])")
        found = []
        for item in self.everything(namespace):
            text = json.dumps(item)
            if item["kind"] == "Secret":
                text += "".join(base64.b64decode(value).decode("latin-1") for value in (item.get("data") or {}).values())
            if word.search(text):
                found.append(f"{item['kind']}/{item['metadata']['name']}: {word.search(text)}")
        self.assertEqual(found, [])

    def comparable(self, namespace):
        """{kind/name: the object without what the API server makes of it}."""
        found = {}
        for item in self.everything(namespace):
            metadata = item["metadata"]
            if item["kind"] in OF_THE_CLUSTER or item.get("type") == "kubernetes.io/service-account-token" \
                    or metadata["name"] == "kube-root-ca.crt" or metadata.get("ownerReferences"):
                continue
            item["metadata"] = {"name": metadata["name"], "labels": metadata.get("labels", {}),
                                "annotations": {name: value for name, value in metadata.get("annotations", {}).items()
                                                if name != "deployment.kubernetes.io/revision"}}
            item.pop("status", None)
            if item["kind"] == "Service":
                for name in ("clusterIP", "clusterIPs"):
                    if item["spec"].get(name) != "None":
                        item["spec"].pop(name, None)
                for port in item["spec"]["ports"]:
                    port.pop("nodePort", None)
            if item["kind"] == "ServiceAccount":
                item.pop("secrets", None)
            if item["kind"] == "Secret":
                item["data"] = {name: base64.b64decode(value).decode() for name, value in item["data"].items()}
            found[f"{item['kind']}/{metadata['name']}"] = json.loads(json.dumps(item).replace(namespace, "NAMESPACE"))
        return found

    def running(self, namespace):
        """What runs by which image and environment, and how many revisions there are of each workload."""
        pods, revisions = [], {}
        for item in self.everything(namespace):
            labels = item["metadata"].get("labels", {})
            if item["kind"] == "Pod" and not item["metadata"].get("deletionTimestamp"):
                self.assertTrue(item["metadata"].get("ownerReferences"), item["metadata"])
                container = item["spec"]["containers"][0]
                pods.append(json.dumps([labels["app"], container["image"], container.get("env"), container.get("args")])
                            .replace(namespace, "NAMESPACE"))
            elif item["kind"] in ("ReplicaSet", "ControllerRevision"):
                name = f"{item['kind']}/{labels['app']}"
                revisions[name] = revisions.get(name, 0) + 1
        return sorted(pods), revisions

    def test_it_ends_as_a_native_restore_does(self):
        here = self.pachyderm(chunks=50, workers=1)
        self.add_what_names_the_namespace(here)
        there = self.postgres()
        there.create("pachyderm", "dex")
        self.backup(here)
        native = self.new_namespace("native")
        self.restore(here, native, there)
        self.assert_names_nothing_of(here.namespace, native)
        wanted, wanted_running = self.comparable(native), self.running(native)
        self.assertEqual(set(wanted_running[1].values()), {1}, wanted_running[1])
        self.cluster.delete_namespace(native)
        scenario.wait_until(lambda: not self.cluster.exists(f"/api/v1/namespaces/{native}"), 120,
                            "the native restore to be gone", poll_s=0.5)

        namespace = self.new_namespace("by-velero")
        with SimulatedVelero(self.cluster) as velero:
            self.backup(here, "--kubernetes", "velero")
            # In another cluster the node port would be free.
            self.cluster.kubectl("--namespace", here.namespace, "delete", "service", "outer")
            told = self.restore(here, namespace, there, "--overwrite-database", "--json").json()
        self.assertIn("Pod", {item["kind"] for item in velero.restored})
        self.assertIn("ReplicaSet", {item["kind"] for item in velero.restored})
        self.assertIn(NODE_PORT, [port.get("nodePort") for item in velero.restored if item["kind"] == "Service"
                                  for port in item["spec"]["ports"]])
        self.assertGreater(told["helm_objects_left_out"], 20)
        self.assert_names_nothing_of(here.namespace, namespace)
        self.assert_agrees(there, here.origin.bucket("restored"))
        is_now = self.comparable(namespace)
        self.assertEqual(sorted(is_now), sorted(wanted))
        for name, item in wanted.items():
            self.assertEqual(is_now[name], item, name)
        # The node port is one that the API server has given, not one that was asked for.
        outer = self.cluster.api("GET", f"/api/v1/namespaces/{namespace}/services/outer")
        self.assertNotIn("f:nodePort", json.dumps([fields for fields in outer["metadata"].get("managedFields", [])]))
        scenario.wait_until(lambda: self.running(namespace) == wanted_running, 60,
                            "the same pods, and no other revision", poll_s=0.5)
        replicas = self.cluster.replicas(namespace)
        self.assertEqual((replicas["deployments/pachd"], replicas["deployments/pachw"]), (1, 2))
        self.assertEqual([name for name in replicas if name.startswith("replicationcontrollers/")], [])

    def test_again_after_a_failure(self):
        """A writer that does not come up fails the restore; the same command goes on."""
        here = self.pachyderm(chunks=20, workers=1)
        there, namespace = self.postgres(), self.new_namespace("by-velero")
        there.create("pachyderm", "dex")
        with SimulatedVelero(self.cluster):
            self.backup(here, "--kubernetes", "velero")
            programs = os.path.join(self.folder, "programs-velero")
            os.makedirs(programs)
            path = os.path.join(programs, "kubectl")
            with open(path, "w", encoding="ascii") as file:
                file.write('#!/bin/bash\nfor each; do [[ $each = patch ]] && exit 1; done\nexec {} "$@"\n'.format(shutil.which("kubectl")))
            os.chmod(path, 0o755)
            arguments = ("restore", "--config", self.configuration(here), "--namespace", namespace,
                         here.origin.url("repository"), here.origin.url("restored"), "--identity", self.identity,
                         "--database-host", there.host, "--database-port", str(there.port), "--database-user", there.user,
                         "--pachd-database-host", f"{there.host}:{there.port}")
            run = self.pbcopy(*arguments, PGPASSWORD=there.password, **{
                **self.environment(), "PATH": f"{programs}:{os.environ['PATH']}"})
            self.assertEqual(run.exit_code, scenario.FAILED, run)
            self.restore(here, namespace, there, "--overwrite-database", "--allow-existing")
        replicas = self.cluster.replicas(namespace)
        self.assertEqual({name: replicas[f"deployments/{name}"] for name in ("pachd", "pachw", "console", "pg-bouncer")},
                         {"pachd": 1, "pachw": 2, "console": 1, "pg-bouncer": 1})
        self.assertFalse([item for item in self.everything(namespace)
                          if "velero.io/backup-name" in item["metadata"].get("labels", {}) and item["kind"] != "Endpoints"])


if __name__ == "__main__":
    scenario.main()
