"""A live cluster, its writer running, is backed up by one command and restored by another one into another namespace,
database and bucket: in the shapes of 2.8 and 2.11."""

import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
from pachyderm_fixture import HELM_RELEASE, MARKS


class RoundTrip(ClusterScenario):
    def restored_objects(self, namespace):
        kinds = "deployments,statefulsets,secrets,configmaps,serviceaccounts,services,replicationcontrollers,roles,rolebindings,pvc"
        items = json.loads(self.cluster.kubectl("--namespace", namespace, "get", kinds, "-o", "json"))["items"]
        return {(item["kind"], item["metadata"]["name"]): item for item in items}

    def variable(self, workload, name):
        for container in workload["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                if variable["name"] == name:
                    return variable.get("value")
        return None

    def round_trip(self, shape, chunks):
        """Of so many chunks, which the origin has filled its bucket with."""
        origin = self.origin("--fill", f"pachyderm:{chunks}:4096:chunk", buckets=("repository", "restored"))
        here = self.pachyderm(chunks=0, shape=shape, origin=origin)
        self.assertEqual(here.load_what_is_there(), chunks)
        here.start_simulation()
        first = self.backup(here, "--json").json()
        cluster = first["snapshot"]["cluster"]
        self.assertGreater(cluster["chunks_needed"], chunks)
        self.assertEqual(cluster["pachyderm"], here.version)
        self.assertEqual({f"{w['kind']}/{w['name']}": w["replicas"] for w in cluster["workloads"]},
                         {"Deployment/pachd": 1, "Deployment/pachw": 2, "ReplicationController/pipeline-0-v1": 1,
                          "ReplicationController/pipeline-1-v1": 1})
        self.assertFalse(here.is_suspended())
        scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)

        # It lives on; what comes later is not in the snapshot, and a second one holds both.
        written = here.written()
        scenario.wait_until(lambda: here.written() > written + 10, 60, "it to write again", poll_s=0.2)
        second = self.backup(here, "--json").json()
        self.assertEqual(second["snapshot"]["base"], first["snapshot"]["id"])
        self.assertLess(second["snapshot"]["copied_objects"], 1000)
        repository = here.origin.url("repository")
        told = self.succeed("verify", repository, "--read", "--database", "--identity", self.identity, "--json").json()
        self.assertEqual(told["findings_total"], 0)
        self.assertEqual(told["chunks_needed"], second["snapshot"]["cluster"]["chunks_needed"])
        # Nothing but objects, parts, dumps and the capture is in it: passes are cleared away, probes left out.
        self.assertNotEqual(here.bucket.list("test/"), {})
        self.assertEqual([key for key in here.origin.bucket("repository").list("snapshots/") if "/pass-" in key], [])
        self.assertEqual(here.origin.bucket("repository").list(f"data/{first['snapshot']['id']}/test/"), {})

        there, namespace = self.postgres(), self.new_namespace("again")
        there.create("pachyderm", "dex")
        edits = ["--cloudsql-instance", "project:region:new", "--gcp-service-account", "new@project.iam.gserviceaccount.com",
                 "--image-registry", "mirror.example:5000", "--drop-service-account-secrets"]
        told = self.succeed("restore", "--config", self.configuration(here), "--namespace", namespace, repository,
                            here.origin.url("restored"), "--identity", self.identity, "--database-host", there.host,
                            "--database-port", str(there.port), "--database-user", there.user,
                            "--pachd-database-host", f"{there.host}:{there.port}", *edits, "--dry-run",
                            PGPASSWORD=there.password, **self.environment())
        self.assertIn("-> \"project:region:new\"" if shape == "2.11" else "project:region:new", told.stderr)
        for mark in MARKS.values():
            self.assertNotIn(mark, told.stderr + told.stdout)
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"))
        self.assertEqual(here.origin.bucket("restored").list(), {})

        self.restore(here, namespace, there, *edits)
        self.assert_agrees(there, here.origin.bucket("restored"))
        ready = self.cluster.ready(namespace)
        self.assertEqual({name: ready.get(name) for name in ("deployments/pachd", "deployments/pachw")},
                         {"deployments/pachd": 1, "deployments/pachw": 2})
        objects = self.restored_objects(namespace)
        # pachd makes the workers anew: the old ones would write to the old bucket.
        self.assertEqual([name for kind, name in objects if kind == "ReplicationController"], [])
        self.assertNotIn(("Service", "pipeline-0-v1"), objects)
        self.assertNotIn(("Secret", HELM_RELEASE), objects)
        self.assertIn(("PersistentVolumeClaim", "etcd-storage-etcd-0"), objects)
        pachd = objects["Deployment", "pachd"]
        self.assertEqual(self.variable(pachd, "POSTGRES_PORT"), str(there.port))
        self.assertEqual(self.variable(pachd, "PG_BOUNCER_HOST"), "pg-bouncer")
        self.assertTrue(pachd["spec"]["template"]["spec"]["containers"][0]["image"].startswith("mirror.example:5000/"))
        secret = self.succeed_secret(objects, "pachyderm-storage-secret", "AMAZON_BUCKET")
        if shape == "2.11":
            self.assertIn("s3://restored?", self.variable(pachd, "STORAGE_URL"))
            self.assertIn("s3://restored?", self.variable(objects["Deployment", "pachw"], "STORAGE_URL"))
            self.assertEqual(self.variable(objects["Deployment", "cloudsql-auth-proxy"],
                                           "CSQL_PROXY_INSTANCE_CONNECTION_NAME"), "project:region:new")
        else:
            container = objects["Deployment", "cloudsql-auth-proxy"]["spec"]["template"]["spec"]["containers"][0]
            self.assertEqual(container["args"][0], "-instances=project:region:new=tcp:0.0.0.0:5432")
        self.assertEqual(secret, "restored")
        for name in ("pachyderm", "pachyderm-worker", "k8s-cloudsql-auth-proxy"):
            self.assertEqual(objects["ServiceAccount", name]["metadata"]["annotations"]["iam.gke.io/gcp-service-account"],
                             "new@project.iam.gserviceaccount.com")
        # All that is kept has its values still; workers' ReplicationControllers are no part of it.
        for item in here.objects():
            if item["metadata"]["name"] == HELM_RELEASE:
                continue
            if item["kind"] in ("Secret", "ConfigMap") and item["metadata"]["name"] != "pachyderm-storage-secret":
                self.assertEqual(objects[item["kind"], item["metadata"]["name"]]["data"], item["data"])
            elif item["kind"] != "Namespace":
                self.assertIn((item["kind"], item["metadata"]["name"]), objects)
        self.assertEqual(objects["RoleBinding", "pachyderm"]["subjects"][0]["namespace"], namespace)
        self.assertEqual(there.psql("pachyderm", "SELECT data FROM storage.keys"), "\\x" + MARKS["storage-key"].encode().hex())
        self.assertEqual(there.psql("dex", "SELECT count(*) FROM password"), "1")
        self.assertEqual(there.psql("pachyderm", "SELECT description FROM pfs.commits ORDER BY int_id LIMIT 1"),
                         here.postgres.psql("pachyderm", "SELECT description FROM pfs.commits ORDER BY int_id LIMIT 1"))

        # Again: refused, as there is a Pachyderm now; into its bucket from elsewhere, or into the live one, too.
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", self.new_namespace("other"),
                          repository, here.origin.url("restored"), "--identity", self.identity, "--dump", "none",
                          **self.environment())
        self.assert_failed(run, scenario.USAGE, ["restored", f"namespace {namespace}"], hint="--allow-live-bucket")
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", namespace, repository,
                          here.origin.url("restored"), "--identity", self.identity, "--dump", "none",
                          **self.environment())
        self.assert_failed(run, scenario.USAGE, "has a Pachyderm already", hint="--allow-existing")
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", self.new_namespace("third"),
                          repository, here.origin.url("pachyderm"), "--identity", self.identity, "--dump", "none",
                          **self.environment())
        self.assert_failed(run, scenario.USAGE, "is the bucket of the cluster", hint="--allow-live-bucket")

    @staticmethod
    def succeed_secret(objects, name, key):
        import base64
        return base64.b64decode(objects["Secret", name]["data"][key]).decode()

    def test_shape_of_2_11(self):
        self.round_trip("2.11", 100_000)

    def test_shape_of_2_8(self):
        self.round_trip("2.8", 2000)


if __name__ == "__main__":
    scenario.main()
