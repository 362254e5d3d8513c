"""What can be wrong with a cluster, its tools and its options: each time one clear error, the right exit code, the
cluster scaled up again, and nothing committed."""

import os
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario


class BadInput(ClusterScenario):
    def test_before_the_window(self):
        here = self.pachyderm(chunks=30, workers=1)
        other = self.new_namespace("empty")
        self.cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}])
        # No kubectl in PATH, nor the folder of one.
        bare = os.path.join(self.folder, "bare")
        os.mkdir(bare)
        for name in ("age", "psql", "pg_dump", "pg_restore", "sort"):
            os.symlink(shutil.which(name), os.path.join(bare, name))
        self.fails(here, scenario.USAGE, "kubectl cannot be started", hint="install kubectl", PATH=bare)
        os.remove(os.path.join(bare, "age"))
        os.symlink(shutil.which("kubectl"), os.path.join(bare, "kubectl"))
        self.fails(here, scenario.USAGE, "age cannot be started", hint="install age", PATH=bare)
        self.fails(here, scenario.USAGE, "context", "--kube-context", "nowhere", hint="get-contexts")
        self.fails(here, scenario.NOT_FOUND, "no Pachyderm here", "--namespace", other, hint="app=pachd")
        no_key = self.configuration(here, recipient=None)
        self.fails(here, scenario.USAGE, "no --recipient is given", configuration=no_key, hint="age-keygen")
        self.fails(here, scenario.USAGE, "is not a public key", "--recipient", "age1nonsense", hint="age-keygen -y")
        self.configuration(here)
        self.fails(here, scenario.UNREACHABLE, "refused", "--database-port", "1", hint="--database-port")
        self.fails(here, scenario.REFUSED, "password", PGPASSWORD="wrong", hint="PGPASSWORD")
        self.fails(here, scenario.USAGE, "prefix", "--prefix", "chunk/")
        # Nowhere to sort: sysfs is writable for nobody, root included.
        for folder in ("/nowhere/at/all", "/sys/kernel"):
            self.fails(here, scenario.USAGE, f"temporary files {folder}", TMPDIR=folder, hint="--scratch DIR, or TMPDIR")
            run = self.pbcopy("doctor", "--config", self.configuration(here), **{**self.environment(), "TMPDIR": folder})
            self.assertEqual(run.exit_code, scenario.FAILED, run)
            self.assertIn(f"WRONG   temporary files: the folder for temporary files {folder}", run.stdout)
        # A client that is older than the server, by what they say.
        self.program("pg_dump", 'if [[ $1 == --version ]]; then echo "pg_dump (PostgreSQL) 11.5"; else exec "$REAL" "$@"; fi')
        self.fails(here, scenario.USAGE, ["pg_dump is of version 11.5", "older than the server"], hint="postgresql-client-15")
        os.remove(os.path.join(self.folder, "programs", "pg_dump"))
        # Rights: none at all, and some.
        none = self.cluster.user("nobody")
        self.fails(here, scenario.REFUSED, "forbidden", "--kubeconfig", none, hint="doctor")
        some = self.cluster.user("reader", [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"]}],
                                 here.namespace)
        self.fails(here, scenario.REFUSED, "forbidden", "--kubeconfig", some, hint="doctor")
        # A doctor sees the same, and changes nothing.
        run = self.pbcopy("doctor", "--config", self.configuration(here), "--kubeconfig", some, **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        self.assertIn("WRONG   right to patch deployments.apps/scale", run.stdout)
        run = self.succeed("doctor", "--config", self.configuration(here), "--json", **self.environment())
        self.assertTrue(all(check["ok"] for check in run.json()["checks"]), run)
        self.assertGreater(len(run.json()["checks"]), 15)

    def test_edits_with_unknown_names(self):
        here = self.pachyderm(chunks=10, workers=1)
        edits = os.path.join(self.folder, "edits.yaml")
        with open(edits, "w", encoding="ascii") as file:
            file.write("buckett: s3://x\n")
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", "x",
                          here.origin.url("repository"), here.origin.url("restored"), "--edits", edits,
                          **self.environment())
        self.assert_failed(run, scenario.USAGE, ["edits.yaml", "buckett"], hint="bucket")

    def test_dumps_that_are_not_whole(self):
        here = self.pachyderm(chunks=500, workers=1)
        # Dies late: half of it is through by then.
        self.program("pg_dump", 'if [[ $1 == --version || $1 == --schema-only || "$*" != *pachyderm* ]]; then exec "$REAL" "$@"; fi\n'
                                '"$REAL" "$@" | head -c 20000\necho "pg_dump: error: connection lost" >&2; exit 1')
        self.fails(here, scenario.FAILED, "connection lost")
        # Ends with 0, and is cut: in the middle, and where a block ends.
        for size in (300, 20000, 45000):
            self.program("pg_dump", 'if [[ $1 == --version || $1 == --schema-only || "$*" != *pachyderm* ]]; then exec "$REAL" "$@"; fi\n'
                                    f'"$REAL" "$@" | head -c {size}\nexit 0')
            self.fails(here, scenario.DAMAGED, "not whole")
        self.program("pg_dump", 'if [[ $1 == --version || $1 == --schema-only || "$*" != *dex* ]]; then exec "$REAL" "$@"; fi\n'
                                'exec sleep 0')
        self.fails(here, scenario.DAMAGED, "dex")
        os.remove(os.path.join(self.folder, "programs", "pg_dump"))
        # A chunk that the database needs and nobody has: the names are told.
        here.postgres.psql("pachyderm", "INSERT INTO storage.chunk_objects (chunk_id, gen, uploaded, size) "
                                        "VALUES ('\\xabcd', 77, true, 1)")
        run = self.fails(here, scenario.DAMAGED, "needs 1 chunks")
        self.assertIn("database-missing: chunk/abcd.000000000000004d", run.stderr)
        here.postgres.psql("pachyderm", "UPDATE storage.chunk_objects SET tombstone = true WHERE gen = 77")
        self.backup(here)

    def test_pods_that_never_go(self):
        here = self.pachyderm(chunks=10, workers=1)
        pod = self.cluster.pods(here.namespace, app="pachw")[0]
        path = f"/api/v1/namespaces/{here.namespace}/pods/{pod}"
        self.cluster.merge(path, {"metadata": {"finalizers": ["example.com/held"]}})
        try:
            self.fails(here, scenario.FAILED, ["did not go", pod], "--wait", "12", hint="--wait")
        finally:
            self.cluster.merge(path, {"metadata": {"finalizers": None}})

    def test_a_writer_that_comes_back(self):
        here = self.pachyderm(chunks=10, workers=1)
        # Dumping takes a while; meanwhile somebody scales pachd up and down again.
        self.program("pg_dump", 'if [[ $1 != --version && $1 != --schema-only ]]; then sleep 3; fi\nexec "$REAL" "$@"')

        def meddle():
            scenario.wait_until(lambda: here.is_suspended() and not self.cluster.pods(here.namespace, app="pachd")
                                and not self.cluster.pods(here.namespace, app="pachw")
                                and not self.cluster.pods(here.namespace, component="worker"), 60, poll_s=0.1)
            time.sleep(2)
            self.cluster.scale(here.namespace, "deployments", "pachd", 1)
            self.cluster.scale(here.namespace, "deployments", "pachd", 0)

        meddler = threading.Thread(target=meddle)
        meddler.start()
        self.fails(here, scenario.FAILED, ["Deployment", "pachd", "while the namespace was suspended"], hint="GitOps")
        meddler.join()

    def test_a_second_backup_at_once(self):
        here = self.pachyderm(chunks=50, workers=1)
        self.program("pg_dump", 'if [[ $1 != --version && $1 != --schema-only ]]; then sleep 4; fi\nexec "$REAL" "$@"')
        first = self.begin("backup", "--config", self.configuration(here), **self.environment())
        scenario.wait_until(here.is_suspended, 60, poll_s=0.1)
        # Into the same repository, and into another one.
        for bucket in ("repository", "restored"):
            configuration = self.configuration(here, repository=here.origin.url(bucket))
            run = self.pbcopy("backup", "--config", configuration, **self.environment())
            self.assert_failed(run, scenario.BUSY, "under way")
        run = self.pbcopy("resume", "--config", self.configuration(here), **self.environment())
        self.assert_failed(run, scenario.BUSY, "under way")
        ended = first.wait()
        self.assertEqual(ended.exit_code, scenario.OK, ended)
        self.assertTrue(here.is_scaled_up())

    def test_velero(self):
        here = self.pachyderm(chunks=20, workers=1)
        data = os.path.join(os.environ["SOURCE_DIR"], "tests", "data", "velero")
        for name in ("velero.io_backups.yaml", "velero.io_restores.yaml"):
            self.cluster.kubectl("apply", "-f", os.path.join(data, name))
        self.cluster.kubectl("create", "namespace", "velero", check=False)
        played = []
        stop = threading.Event()

        def play(phases):
            """Velero, as far as its objects tell."""
            while not stop.is_set():
                items = self.cluster.api("GET", "/apis/velero.io/v1/namespaces/velero/backups")["items"]
                for item in items:
                    name = item["metadata"]["name"]
                    if name not in played:
                        played.append(name)
                        for phase in phases:
                            self.cluster.merge(f"/apis/velero.io/v1/namespaces/velero/backups/{name}",
                                               {"status": {"phase": phase, "errors": 3 if "Failed" in phase else 0}})
                            time.sleep(0.5)
                time.sleep(0.3)

        def with_velero(phases, function):
            stop.clear()
            player = threading.Thread(target=play, args=(phases,))
            player.start()
            try:
                return function()
            finally:
                stop.set()
                player.join()

        with_velero(["InProgress", "PartiallyFailed"],
                    lambda: self.fails(here, scenario.FAILED, "PartiallyFailed", "--kubernetes", "velero"))
        with_velero(["FailedValidation"],
                    lambda: self.fails(here, scenario.FAILED, "FailedValidation", "--kubernetes", "velero"))
        run = with_velero(["InProgress", "Finalizing", "Completed"],
                          lambda: self.backup(here, "--kubernetes", "velero", "--json"))
        cluster = run.json()["snapshot"]["cluster"]
        self.assertEqual(cluster["kubernetes"], "velero")
        namespace, name = cluster["velero_backup"].split("/")
        spec = self.cluster.api("GET", f"/apis/velero.io/v1/namespaces/{namespace}/backups/{name}")["spec"]
        self.assertEqual(spec["includedNamespaces"], [here.namespace])
        self.assertEqual([a["kind"] for a in cluster["artifacts"]], ["pg_dump", "pg_dump"])

    def test_dump_all_and_restore(self):
        here = self.pachyderm(chunks=200, workers=1)
        told = self.backup(here, "--dump", "all", "--kubernetes", "none", "--json").json()
        self.assertEqual([a["kind"] for a in told["snapshot"]["cluster"]["artifacts"]], ["pg_dumpall"])
        self.assertEqual(told["snapshot"]["cluster"]["chunks_needed"], 200)
        there = self.postgres()
        self.restore(here, self.new_namespace("again"), there, "--kubernetes", "none", "--dump", "all")
        self.assert_agrees(there, here.origin.bucket("restored"))
        self.assertEqual(there.psql("dex", "SELECT count(*) FROM password"), "1")

    def test_restores_that_must_not_be(self):
        here = self.pachyderm(chunks=200, workers=1)
        self.backup(here)
        repository = here.origin.url("repository")
        there, namespace = self.postgres(), self.new_namespace("again")

        def refused(exit_code, says, *arguments, hint=None, **more):
            run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", namespace, repository,
                              here.origin.url("restored"), "--database-host", there.host, "--database-port",
                              str(there.port), "--database-user", there.user, *arguments, **{**self.environment(), "PGPASSWORD": there.password, **more})
            self.assert_failed(run, exit_code, says, hint)
            self.assertEqual(here.origin.bucket("restored").list(), {}, run)
            self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"), run)

        refused(scenario.USAGE, "no --identity is given", hint="--identity FILE")
        refused(scenario.NOT_FOUND, "pachyderm", "--identity", self.identity, hint="createdb")
        there.create("pachyderm", "dex")
        there.psql("pachyderm", "CREATE TABLE mine (x int)")
        refused(scenario.USAGE, "not empty", "--identity", self.identity, hint="--overwrite-database")
        there.psql("pachyderm", "DROP TABLE mine")
        _, other = __import__("pachyderm_fixture").age_key(tempfile.mkdtemp(dir=self.folder))
        refused(scenario.REFUSED, "identity", "--identity", other, hint="--recipient")
        refused(scenario.FAILED, "nobody", "--identity", self.identity, "--aws-role", "nobody=arn:aws:iam::1:role/x")
        self.program("psql", 'exec "$REAL" "$@" | sed "s/^15[0-9]* 15/140002 14/"')
        refused(scenario.USAGE, "older", "--identity", self.identity, hint="version 15")
        os.remove(os.path.join(self.folder, "programs", "psql"))
        # Stored bytes that are not what they were: nothing gets into the database.
        bucket = here.origin.bucket("repository")
        key = [k for k in bucket.list("snapshots/") if "database/pachyderm" in k][0]
        body = bytearray(bucket.get(key))
        body[len(body) // 2] ^= 1
        self.succeed("verify", repository, "--read", "--database", "--identity", self.identity)
        bucket.put(key, bytes(body))
        # A verify that reads finds it; one that does not sees what is missing.
        run = self.pbcopy("verify", repository, "--read")
        self.assertEqual(run.exit_code, scenario.DAMAGED, run)
        self.assertIn("mismatch: database/pachyderm.dump.zst.age", run.stdout)
        capture = [k for k in bucket.list("snapshots/") if "kubernetes/objects" in k][0]
        kept = bucket.get(capture)
        bucket.delete(capture)
        run = self.pbcopy("verify", repository)
        self.assertEqual(run.exit_code, scenario.DAMAGED, run)
        self.assertIn("missing: kubernetes/objects.ndjson.zst.age", run.stdout)
        bucket.put(capture, kept)
        run = self.pbcopy("restore", "--config", self.configuration(here), "--namespace", namespace, repository,
                          here.origin.url("restored"), "--database-host", there.host, "--database-port", str(there.port),
                          "--database-user", there.user, "--identity", self.identity, PGPASSWORD=there.password, **self.environment())
        self.assertEqual(run.exit_code, scenario.DAMAGED, run)
        self.assertEqual(there.psql("pachyderm", "SELECT count(*) FROM pg_namespace WHERE nspname = 'storage'"), "0")
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"), run)


if __name__ == "__main__":
    scenario.main()
