"""The smaller commands of a cluster (init, doctor, connect, dry runs), and restores through Velero."""

import copy
import json
import os
import stat
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario


class Commands(ClusterScenario):
    def test_init_and_doctor(self):
        here = self.pachyderm(chunks=20, workers=1)
        path = os.path.join(self.folder, "made.yaml")
        arguments = ("init", "--from-cluster", "--namespace", here.namespace, "--kubeconfig", self.cluster.kubeconfig,
                     "--config", path)
        self.succeed(*arguments, **self.environment())
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(f"namespace: \"{here.namespace}\"", text.replace("'", '"').replace(f": {here.namespace}\n",
                                                                                        f": \"{here.namespace}\"\n"))
        self.assertIn(here.storage_url, text)
        self.assertIn("pachd", text)
        # Somebody's work is not written over.
        run = self.pbcopy(*arguments, **self.environment())
        self.assert_failed(run, scenario.FAILED, "there already", hint="--config")
        # As it was written it has places to fill in, and the doctor says so; filled in, it does.
        run = self.pbcopy("doctor", "--config", path, "--kubeconfig", self.cluster.kubeconfig, **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        self.assertIn("WRONG   encryption", run.stdout)
        text = text.replace("s3://FILL-IN", here.origin.url("repository")).replace("age1FILL-IN", self.recipient)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.succeed("doctor", "--config", path, "--kubeconfig", self.cluster.kubeconfig, **self.environment())
        self.succeed("backup", "--config", path, "--kubeconfig", self.cluster.kubeconfig, **self.environment())
        # The configuration is found by $PBCOPY_CONFIG, too; the doctor has changed nothing.
        told = self.succeed("snapshots", "--json", PBCOPY_CONFIG=path).json()
        self.assertEqual(len(told["snapshots"]), 1)
        run = self.pbcopy("init", "--from-cluster", "--namespace", "nothing-here", "--kubeconfig",
                          self.cluster.kubeconfig, "--config", path + "2", **self.environment())
        self.assertEqual(run.exit_code, scenario.NOT_FOUND, run)
        self.assertFalse(os.path.exists(path + "2"))

    def test_dry_run(self):
        here = self.pachyderm(chunks=50, workers=1)
        told = self.backup(here, "--dry-run", "--json").json()
        self.assertGreater(told["downtime_expected_ms"], 10_000)
        self.assertEqual(here.origin.bucket("repository").list(), {})
        self.assertTrue(here.is_up())
        measured = self.backup(here, "--json").json()["snapshot"]["cluster"]["downtime_ms"]
        told = self.backup(here, "--dry-run", "--json").json()
        self.assertEqual(told["downtime_expected_ms"], measured)

    def test_connect(self):
        path = os.path.join(self.folder, "pach.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"user_id": "ab", "kept": 1, "v2": {"active_context": "old", "contexts": {"old": {"project": "p"}}}},
                      file)
        self.succeed("connect", "--address", "203.0.113.7", "--cluster", "new", PACH_CONFIG=path)
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual((written["kept"], written["v2"]["active_context"]), (1, "new"))
        self.assertEqual(written["v2"]["contexts"]["new"]["pachd_address"], "grpc://203.0.113.7:30650")
        self.assertEqual(written["v2"]["contexts"]["old"], {"project": "p"})
        run = self.pbcopy("connect", "--address", "203.0.113.7", PACH_CONFIG=path)
        self.assert_failed(run, scenario.USAGE, "--cluster")

    def test_restore_through_velero(self):
        here = self.pachyderm(chunks=50, workers=1)
        data = os.path.join(os.environ["SOURCE_DIR"], "tests", "data", "velero")
        for name in ("velero.io_backups.yaml", "velero.io_restores.yaml"):
            self.cluster.kubectl("apply", "-f", os.path.join(data, name))
        self.cluster.kubectl("create", "namespace", "velero", check=False)
        namespace = self.new_namespace("by-velero")
        stop = threading.Event()

        def restored():
            """What a Velero would bring: all as it was in the window, workers and all."""
            objects = copy.deepcopy(here.objects()[1:] + here.worker_objects())
            for item in objects:
                item["metadata"]["namespace"] = namespace
                for subject in item.get("subjects", []):
                    subject["namespace"] = namespace
                if item["metadata"]["name"] in ("pachd", "pachw") and item["kind"] == "Deployment":
                    item["spec"]["replicas"] = 0
                if item["kind"] == "ReplicationController":
                    item["spec"]["replicas"] = 0
            self.cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
            self.cluster.apply(objects)

        def play():
            done = set()
            while not stop.is_set():
                for kind in ("backups", "restores"):
                    for item in self.cluster.api("GET", f"/apis/velero.io/v1/namespaces/velero/{kind}")["items"]:
                        name = item["metadata"]["name"]
                        if name in done:
                            continue
                        done.add(name)
                        if kind == "restores":
                            mapping = item["spec"].get("namespaceMapping", {})
                            if mapping == {here.namespace: namespace}:
                                restored()
                        self.cluster.merge(f"/apis/velero.io/v1/namespaces/velero/{kind}/{name}",
                                           {"status": {"phase": "Completed"}})
                time.sleep(0.3)

        player = threading.Thread(target=play)
        player.start()
        try:
            self.backup(here, "--kubernetes", "velero")
            there = self.postgres()
            there.create("pachyderm", "dex")
            self.restore(here, namespace, there)
        finally:
            stop.set()
            player.join()
        self.assert_agrees(there, here.origin.bucket("restored"))
        replicas = self.cluster.replicas(namespace)
        self.assertEqual((replicas["deployments/pachd"], replicas["deployments/pachw"]), (1, 2))
        self.assertEqual([name for name in replicas if name.startswith("replicationcontrollers/")], [])
        pachd = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/pachd")
        values = {v["name"]: v.get("value") for v in pachd["spec"]["template"]["spec"]["containers"][0]["env"]}
        self.assertIn("s3://restored?", values["STORAGE_URL"])
        self.assertEqual(values["POSTGRES_PORT"], str(there.port))


if __name__ == "__main__":
    scenario.main()
