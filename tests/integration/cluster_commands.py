"""The smaller commands of a cluster (init, doctor, connect, dry runs), and what they say of its databases, its bucket and
what went."""

import json
import os
import stat
import sys
import threading

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

    def test_logins_are_where_pachd_says(self):
        here = self.pachyderm(chunks=20, workers=1)
        arguments = ("--config", self.configuration(here))
        self.cluster.kubectl("--namespace", here.namespace, "set", "env", "deployment/pachd",
                             "IDENTITY_SERVER_DATABASE=logins")
        # A dex that is there is another one's, and the cluster's own is not there: nothing is backed up.
        for extra in ((), ("--dump", "all")):
            run = self.pbcopy("backup", *arguments, *extra, **self.environment())
            self.assert_failed(run, scenario.NOT_FOUND, ["logins", "IDENTITY_SERVER_DATABASE"],
                               hint="--identity-database none")
        self.assertTrue(here.is_up())
        self.assertEqual(here.origin.bucket("repository").list("snapshots/"), {})
        run = self.pbcopy("doctor", *arguments, **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        self.assertRegex(run.stdout, r"WRONG   database: .*logins")
        here.postgres.create("logins")
        here.postgres.psql("logins", "CREATE TABLE connector (id text); INSERT INTO connector VALUES ('mine')")
        run = self.succeed("doctor", *arguments, **self.environment())
        self.assertRegex(run.stdout, r"database: PostgreSQL .*: pachyderm, and of logins logins")
        path = os.path.join(self.folder, "made.yaml")
        self.succeed("init", "--from-cluster", "--namespace", here.namespace, "--kubeconfig", self.cluster.kubeconfig,
                     "--config", path, **self.environment())
        with open(path, encoding="utf-8") as file:
            self.assertIn("# Its databases: pachyderm, and logins of logins.\n", file.read())
        cluster = self.backup(here, "--json").json()["snapshot"]["cluster"]
        self.assertEqual([a["database"] for a in cluster["artifacts"] if a["kind"] == "pg_dump"], ["pachyderm", "logins"])
        self.assertEqual((cluster["database"], cluster["identity_database"]), ("pachyderm", "logins"))
        there = self.postgres()
        there.create("pachyderm", "dex")
        run = self.pbcopy("restore", *arguments, "--namespace", self.new_namespace("again"), here.origin.url("repository"),
                          here.origin.url("restored"), "--identity", self.identity, "--database-host", there.host,
                          "--database-port", str(there.port), "--database-user", there.user, PGPASSWORD=there.password,
                          **self.environment())
        self.assert_failed(run, scenario.NOT_FOUND, "logins", hint="createdb --owner=pachyderm logins")
        there.create("logins")
        self.restore(here, self.new_namespace("again"), there)
        self.assertEqual(there.psql("logins", "SELECT id FROM connector"), "mine")
        self.succeed("verify", here.origin.url("repository"), "--read", "--database", "--identity", self.identity)

        # A cluster without logins of its own says so, and one that hides their place names it.
        self.cluster.kubectl("--namespace", here.namespace, "set", "env", "deployment/pachd", "IDENTITY_SERVER_DATABASE-")
        here.postgres.drop("dex")
        run = self.pbcopy("backup", *arguments, **self.environment())
        self.assert_failed(run, scenario.NOT_FOUND, "database dex", hint="--identity-database none")
        cluster = self.backup(here, "--json", "--identity-database", "none").json()["snapshot"]["cluster"]
        self.assertEqual([a["database"] for a in cluster["artifacts"] if a["kind"] == "pg_dump"], ["pachyderm"])
        cluster = self.backup(here, "--json", "--identity-database", "logins").json()["snapshot"]["cluster"]
        self.assertEqual(cluster["identity_database"], "logins")

    def test_a_directory_in_place_of_a_bucket(self):
        here = self.pachyderm(chunks=20, workers=1)
        arguments = ("--config", self.configuration(here))

        def set_environment(*settings):
            self.cluster.kubectl("--namespace", here.namespace, "set", "env", "deployment/pachd", *settings)

        set_environment("STORAGE_URL-", "STORAGE_BACKEND=LOCAL", f"STORAGE_HOST_PATH={self.folder}/pachd")
        run = self.pbcopy("doctor", *arguments, **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        self.assertIn(f"ok      storage backend: LOCAL: data lies in directory {self.folder}/pachd", run.stdout)
        self.assertIn("WRONG   source: Pachyderm in namespace", run.stdout)
        self.assertIn(f"file://{self.folder}/pachd", run.stdout)
        run = self.pbcopy("backup", *arguments, **self.environment())
        self.assert_failed(run, scenario.USAGE, ["LOCAL", f"{self.folder}/pachd"], hint=f"file://{self.folder}/pachd")
        path = os.path.join(self.folder, "made.yaml")
        self.succeed("init", "--from-cluster", "--namespace", here.namespace, "--kubeconfig", self.cluster.kubeconfig,
                     "--config", path, **self.environment())
        with open(path, encoding="utf-8") as file:
            self.assertRegex(file.read(), rf"\nsource: [\"']?file://{self.folder}/pachd")
        # Said so, it is backed up.
        for key in here.bucket.list("chunk/"):
            os.makedirs(f"{self.folder}/pachd/chunk", exist_ok=True)
            with open(f"{self.folder}/pachd/{key}", "wb") as file:
                file.write(here.bucket.get(key))
        configured = self.configuration(here, source=f"file://{self.folder}/pachd")
        self.succeed("doctor", "--config", configured, **self.environment())
        told = self.succeed("backup", "--config", configured, "--json", **self.environment()).json()
        self.assertEqual(told["snapshot"]["cluster"]["chunks_needed"], 20)

        set_environment("STORAGE_BACKEND=MINIO", "STORAGE_HOST_PATH-", f"STORAGE_URL={here.storage_url}")
        run = self.pbcopy("doctor", *arguments, **self.environment())
        self.assertEqual(run.exit_code, scenario.FAILED, run)
        self.assertIn("WRONG   storage backend: Pachyderm 2.11.4 refuses STORAGE_BACKEND=MINIO", run.stdout)

    def test_what_went_since_the_base(self):
        here = self.pachyderm(chunks=600, workers=1)
        self.backup(here)
        chunks = sorted(here.bucket.list("chunk/"))
        here.postgres.psql("pachyderm", "UPDATE storage.chunk_objects SET tombstone = true WHERE gen <= 255")
        for key in chunks:
            if int(key.rsplit(".", 1)[1], 16) <= 255:
                here.bucket.delete(key)
        # One that comes, is copied beforehand, and goes before the window was never in the base.
        here.bucket.put("brief", b"here for a moment")
        gone = threading.Event()

        def attempts():
            return {key.split("/")[1] for key in here.origin.bucket("repository").list("snapshots/")}

        before = attempts()

        def forget():
            # The window's attempt begins when the pass beforehand is over.
            scenario.wait_until(lambda: len(attempts() - before) >= 2, 120, "the pass beforehand", poll_s=0.05)
            here.bucket.delete("brief")
            gone.set()

        told = self.backup(here, "--dry-run", "--json").json()
        self.assertEqual(told["gone_objects"], 255)
        player = threading.Thread(target=forget)
        player.start()
        run = self.backup(here, "--json")
        player.join()
        self.assertTrue(gone.is_set())
        self.assertEqual((run.json()["gone_objects"], run.json()["snapshot"]["objects"]), (255, 345))
        for key in chunks[:]:
            if 255 < int(key.rsplit(".", 1)[1], 16) <= 265:
                here.bucket.delete(key)
        here.postgres.psql("pachyderm", "UPDATE storage.chunk_objects SET tombstone = true WHERE gen <= 265")
        # A run that resumes after a pass counts what went before it, too.
        run = self.pbcopy("backup", "--config", self.configuration(here, wait=1), "--passes", "2",
                          **{**self.environment(), "PATH": self.failing("pg_dump")})
        self.assertNotEqual(run.exit_code, scenario.OK, run)
        run = self.backup(here, "--passes", "2")
        self.assertRegex(run.stdout, r"(?m)^resumed ")
        self.assertRegex(run.stdout, r"(?m)^gone +10$")

    def failing(self, name):
        """A PATH on which a program of this name fails at once, but not before the window."""
        return self.program(name, '[[ $1 == --version || $1 == --schema-only ]] && exec "$REAL" "$@"\nexit 1', apart="failing")


if __name__ == "__main__":
    scenario.main()
