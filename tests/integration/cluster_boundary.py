"""A restore is a trust boundary: whoever can write to the repository runs nothing on the machine that restores, and gets
nothing into the cluster that was not asked for; and the bucket of a cluster that lives stays its own."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
import psycopg2


class Boundary(ClusterScenario):
    def zstd(self, data):
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout

    def tamper(self, here, change):
        """Changes the newest snapshot's `cluster`, as one who can write to the repository does."""
        repository = here.origin.bucket("repository")
        key = sorted(key for key in repository.list("snapshots/") if key.endswith("/snapshot.json"))[-1]
        document = json.loads(repository.get(key))
        change(document["cluster"], lambda path, data: repository.put(f"{key.rsplit('/', 1)[0]}/{path}", data))
        repository.put(key, json.dumps(document).encode())

    @staticmethod
    def describe(artifact, plain, stored):
        artifact.update(bytes=len(plain), sha256=hashlib.sha256(plain).hexdigest(), stored_bytes=len(stored),
                        stored_sha256=hashlib.sha256(stored).hexdigest(), encrypted=False)

    def arguments(self, here, namespace, there, destination="restored"):
        return ("restore", "--config", self.configuration(here), "--namespace", namespace,
                here.origin.url("repository"), here.origin.url(destination), "--database-host", there.host,
                "--database-port", str(there.port), "--database-user", there.user,
                "--pachd-database-host", f"{there.host}:{there.port}")

    def try_restore(self, here, namespace, there, *arguments, **more):
        return self.pbcopy(*self.arguments(here, namespace, there, **more), *arguments, PGPASSWORD=there.password,
                           **self.environment())

    def test_a_hostile_snapshot(self):
        here, there = self.pachyderm(chunks=20, workers=1), self.postgres()
        there.create("pachyderm", "dex")
        self.backup(here)
        namespace, proof = self.new_namespace("hostile"), os.path.join(self.folder, "proof")
        script = f"--\n-- PostgreSQL database cluster dump\n--\n\n\\! touch {proof}\n" \
                 "--\n-- PostgreSQL database cluster dump complete\n--\n\n".encode()

        def change(cluster, put):
            stored = self.zstd(script)
            for artifact in cluster["artifacts"]:
                if artifact["kind"] == "pg_dump" and artifact["database"] == "dex":
                    artifact.update(kind="pg_dumpall", database="", path="database/all.sql.zst")
                    self.describe(artifact, script, stored)
                    put(artifact["path"], stored)

        self.tamper(here, change)
        run = self.try_restore(here, namespace, there, "--identity", self.identity)
        self.assert_failed(run, scenario.USAGE, ["database/all.sql.zst", "pg_dumpall", "--dump databases was asked for"],
                           hint="--dump all")
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--dump", "all")
        self.assert_failed(run, scenario.USAGE, "--dump all was asked for")
        self.assertEqual(here.origin.bucket("restored").list(), {})
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"))

        # The kind that was asked for, but readable by all: refused, and with --plaintext what it holds is.
        def change_kinds(cluster, _put):
            cluster["artifacts"] = [a for a in cluster["artifacts"] if a["kind"] != "pg_dump"]

        self.tamper(here, change_kinds)
        other = self.postgres()
        run = self.try_restore(here, namespace, other, "--identity", self.identity, "--dump", "all")
        self.assert_failed(run, scenario.USAGE, "database/all.sql.zst is not encrypted, though --identity is given",
                           hint="--plaintext")
        run = self.try_restore(here, namespace, other, "--identity", self.identity, "--dump", "all", "--plaintext")
        self.assert_failed(run, scenario.DAMAGED, "psql's command \\!", hint="repository")
        self.assertFalse(os.path.exists(proof))
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"))

    def test_a_capture_that_is_not_encrypted(self):
        here, there = self.pachyderm(chunks=20, workers=1), self.postgres()
        there.create("pachyderm", "dex")
        self.succeed("backup", "--config", self.configuration(here, recipient=None), "--plaintext", **self.environment())
        namespace = self.new_namespace("plain")
        run = self.try_restore(here, namespace, there, "--identity", self.identity)
        self.assert_failed(run, scenario.USAGE, "is not encrypted, though --identity is given", hint="--plaintext")
        # Without a key nothing was said to be secret; and what is not read is not judged.
        run = self.succeed(*self.arguments(here, namespace, there), "--dry-run", PGPASSWORD=there.password,
                           **self.environment())
        self.assertNotIn("does not know", run.stderr)
        self.assertIn("(not encrypted)", run.stderr)
        # An old psql cannot restrict itself: that is said.
        self.program("psql", 'if [[ $1 == --version ]]; then echo "psql (PostgreSQL) 15.8"; else exec "$REAL" "$@"; fi')
        run = self.succeed(*self.arguments(here, namespace, there), "--dry-run", PGPASSWORD=there.password,
                           **self.environment())
        self.assertIn("psql 15.8 does not know \\restrict", run.stderr)
        self.succeed(*self.arguments(here, namespace, there), "--identity", self.identity, "--plaintext", "--dry-run",
                     PGPASSWORD=there.password, **self.environment())
        self.succeed(*self.arguments(here, namespace, there), "--identity", self.identity, "--dump", "none",
                     "--kubernetes", "none", PGPASSWORD=there.password, **self.environment())

    def tamper_capture(self, here, change):
        """Changes the objects of a capture that is not encrypted."""
        def rewrite(cluster, put):
            repository = here.origin.bucket("repository")
            folder = sorted(key for key in repository.list("snapshots/") if key.endswith("/snapshot.json"))[-1][:-14]
            artifact = next(a for a in cluster["artifacts"] if a["path"].startswith("kubernetes/"))
            plain = subprocess.run(["zstd", "-q", "-d", "-c"], input=repository.get(f"{folder}/{artifact['path']}"),
                                   stdout=subprocess.PIPE, check=True, timeout=60).stdout
            objects = change([json.loads(line) for line in plain.splitlines()])
            plain = "".join(json.dumps(each) + "\n" for each in objects).encode()
            stored = self.zstd(plain)
            self.describe(artifact, plain, stored)
            put(artifact["path"], stored)
        self.tamper(here, rewrite)

    def test_hostile_captures(self):
        here, there = self.pachyderm(chunks=20, workers=1), self.postgres()
        there.create("pachyderm", "dex")
        self.succeed("backup", "--config", self.configuration(here, recipient=None), "--plaintext", **self.environment())
        namespace, originals = self.new_namespace("captured"), []
        self.tamper_capture(here, lambda objects: originals.extend(objects) or objects)
        metadata = {"name": "hostile-object"}
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
        binding = {**rbac, "kind": "ClusterRoleBinding",
                   "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": here.namespace}],
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}}

        def pod(**spec):
            return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata,
                    "template": {"spec": {"containers": [{"name": "x", "image": "x", **spec.pop("container", {})}], **spec}}}

        forbidden = [
            binding,
            {**binding, "metadata": {**metadata, "namespace": here.namespace}},
            {**rbac, "kind": "ClusterRole", "rules": []},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "items": [binding]},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "namespace": "kube-system"}},
            {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
             "metadata": metadata, "webhooks": []},
            {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata},
        ]
        unknown = [{"apiVersion": "v1", "kind": "List", "metadata": metadata},
                   {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata}]
        reaching = [pod(hostNetwork=True), pod(hostPID=True), pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
                    pod(container={"securityContext": {"privileged": True}})]
        for hostile, exit_code in [(each, scenario.DAMAGED) for each in forbidden] + \
                                  [(each, scenario.USAGE) for each in unknown + reaching]:
            self.tamper_capture(here, lambda _, added=hostile: [*originals, added])
            for more in ((), ("--allow-privileged",)) if hostile not in reaching else ((),):
                run = self.try_restore(here, namespace, there, *more)
                self.assert_failed(run, exit_code, "hostile-object of the capture",
                                   hint="--allow-privileged" if hostile in reaching else "")
        # Nothing was done, of anything.
        self.assertEqual(here.origin.bucket("restored").list(), {})
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"))
        bindings = json.loads(self.cluster.kubectl("get", "clusterrolebindings,clusterroles", "-o", "json"))["items"]
        self.assertNotIn("hostile-object", [item["metadata"]["name"] for item in bindings])

    def test_plan_and_rights(self):
        here, there = self.pachyderm(chunks=20, workers=1), self.postgres()
        there.create("pachyderm", "dex")
        self.backup(here)
        namespace = self.new_namespace("planned")
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--dry-run", "--overwrite-database",
                               "--address", "grpc://192.0.2.1:30650")
        self.assertEqual(run.exit_code, 0, run)
        lines = run.stderr.splitlines()
        for line in (f"plan: its objects go into {here.origin.url('restored')}; the restored Pachyderm uses ",
                     "plan: database pachyderm from database/pachyderm.dump.zst.age into the server at "
                     f"{there.host}:{there.port} as pachyderm; what it holds is dropped",
                     "plan: database dex from ", f"plan: namespace {namespace} gets ", "plan: apply Deployment/pachd, "
                     "scaled to 1", "plan: apply Secret/pachyderm-storage-secret",
                     "plan: leave out Role/pachyderm: it gives rights in the namespace",
                     "plan: leave out RoleBinding/pachyderm: ", "plan: pachd needs its Roles",
                     "plan: pachctl's context points to grpc://192.0.2.1:30650"):
            self.assertTrue(any(told.startswith("pbcopy: " + line) for told in lines), (line, run))
        # Without the flag all but rights is restored, and it is said; with it they are, and named.
        run = self.try_restore(here, namespace, there, "--identity", self.identity)
        self.assertEqual(run.exit_code, 0, run)
        self.assertIn("plan: leave out Role/pachyderm", run.stderr)
        self.assertNotIn("plan: apply", run.stderr)
        found = self.cluster.kubectl("--namespace", namespace, "get", "roles,rolebindings", "-o", "name").split()
        self.assertEqual(found, [])
        self.assertEqual(self.cluster.ready(namespace).get("deployments/pachd"), 1)
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--dump", "none",
                               "--allow-existing", "--allow-privileged")
        self.assertEqual(run.exit_code, 0, run)
        self.assertIn("plan: apply Role/pachyderm: --allow-privileged, as it gives rights in the namespace", run.stderr)
        found = self.cluster.kubectl("--namespace", namespace, "get", "roles,rolebindings", "-o", "name").split()
        self.assertEqual(len(found), 2, found)

    def test_a_database_under_a_live_pachd(self):
        """By another name of its server: somebody who is connected shows it. cluster_restore_over.py has the rest."""
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        over = ("--identity", self.identity, "--overwrite-database", "--kubernetes", "none",
                "--database-host", "localhost")
        with psycopg2.connect(host=here.postgres.host, port=here.postgres.port, user=here.postgres.user,
                              password=here.postgres.password, dbname="pachyderm") as pachd:
            run = self.try_restore(here, here.namespace, here.postgres, *over)
            self.assert_failed(run, scenario.BUSY, ["would drop databases", "Deployment/pachd has 1 replicas"],
                               hint="--allow-existing")
        pachd.close()
        self.assertEqual(here.origin.bucket("restored").list(), {})
        scenario.wait_until(lambda: here.postgres.psql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE "
                                                       "datname = 'pachyderm'") == "0", 30, "it to go", poll_s=0.2)
        run = self.try_restore(here, here.namespace, here.postgres, *over, "--dry-run")
        self.assertEqual(run.exit_code, 0, run)
        self.assertIn("nobody is connected to this one", run.stderr)

    def test_buckets_of_clusters_that_live(self):
        here, there = self.pachyderm(chunks=20, workers=1), self.postgres()
        there.create("pachyderm", "dex")
        self.backup(here)
        namespace = self.new_namespace("buckets")
        # DESTINATION is another one, but the restored Pachyderm would use the bucket that was backed up.
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--bucket", here.storage_url)
        self.assert_failed(run, scenario.USAGE, f"is the bucket of the cluster in namespace {here.namespace}",
                           hint="--allow-live-bucket")
        edits = os.path.join(self.folder, "edits.yaml")
        with open(edits, "w", encoding="ascii") as file:
            file.write(f"bucket: {json.dumps(here.storage_url)}\n")
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--edits", edits)
        self.assert_failed(run, scenario.USAGE, f"is the bucket of the cluster in namespace {here.namespace}")
        self.succeed(*self.arguments(here, namespace, there), "--identity", self.identity, "--edits", edits,
                     "--allow-live-bucket", "--dry-run", PGPASSWORD=there.password, **self.environment())
        # That of another cluster, at Google.
        other = self.new_namespace("google")
        env = [{"name": "STORAGE_URL", "value": "gs://shared-data"}]
        labels = {"app": "pachd", "suite": "pachyderm"}
        self.cluster.apply([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}},
            {"apiVersion": "apps/v1", "kind": "Deployment",
             "metadata": {"name": "pachd", "namespace": other, "labels": labels},
             "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
                 "metadata": {"labels": labels},
                 "spec": {"containers": [{"name": "pachd", "image": "x/pachd:2.11.4", "env": env}]}}}}])
        for bucket in ("gs://shared-data", "gs://shared-data/", "s3://shared-data?endpoint=storage.googleapis.com"):
            run = self.try_restore(here, namespace, there, "--identity", self.identity, "--bucket", bucket)
            self.assert_failed(run, scenario.USAGE, f"is the bucket of the cluster in namespace {other}",
                               hint="--allow-live-bucket")
        # Of the same name behind another endpoint: said aloud.
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--dry-run",
                               "--bucket", "s3://shared-data?endpoint=proxy.example:9000")
        self.assertEqual(run.exit_code, 0, run)
        self.assertIn(f"is the bucket of the cluster in namespace {other} "
                      "(gs://storage.googleapis.com/shared-data/) cannot be told", run.stderr)
        run = self.try_restore(here, namespace, there, "--identity", self.identity, "--dry-run",
                               "--bucket", "s3://shared-other?endpoint=proxy.example:9000")
        self.assertNotIn("cannot be told", run.stderr)
        self.assertEqual(here.origin.bucket("restored").list(), {})


if __name__ == "__main__":
    scenario.main()
