"""What keeps a backup of a cluster from working is found before the cluster is touched: all of it at once, and by the
doctor as well."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario

DUMPER = "marked-dumper-password"


class Rehearsal(ClusterScenario):
    def generations(self, here):
        """Of each Deployment: it grows with each change of its spec, replicas too."""
        items = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{here.namespace}/deployments")["items"]
        return {item["metadata"]["name"]: item["metadata"]["generation"] for item in items}

    def refused(self, here, exit_code, says, *arguments, wrong, hint=None, doctor=True, **more):
        """A backup ends with the first of the failures, tells all checks of `wrong` and touches nothing; neither does the
        doctor, who tells the same."""
        before, environment = self.generations(here), {**self.environment(), **more}
        run = self.pbcopy("backup", "--config", self.configuration(here), *arguments, **environment)
        self.assert_failed(run, exit_code, says, hint)
        for check in wrong:
            self.assertIn(f"pbcopy: rehearsal: {check} failed: ", run.stderr, run)
        self.assertEqual(run.stderr.count("pbcopy: rehearsal: "), len(wrong), run)
        self.assertNotIn("ConfigMap pbcopy-suspension", run.stderr)
        if doctor:
            told = self.pbcopy("doctor", "--config", self.configuration(here), *arguments, "--json", **environment)
            self.assertEqual(told.exit_code, scenario.FAILED, told)
            self.assertEqual({check["name"] for check in told.json()["checks"] if not check["ok"]}, set(wrong), told)
        self.assertEqual(self.generations(here), before)
        self.assertFalse(here.is_suspended())
        return run

    def test_the_database(self):
        here = self.pachyderm(chunks=10, workers=1)
        postgres = here.postgres
        postgres.psql("pachyderm", f"CREATE ROLE dumper LOGIN PASSWORD '{DUMPER}'; SELECT lo_from_bytea(4711, 'x'); "
                                   "CREATE SCHEMA \"Odd one\"; CREATE TABLE \"Odd one\".\"x.y\" (n int)")
        postgres.psql("dex", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dumper")
        dumper = {"PGPASSWORD": DUMPER}

        def refused(says, **more):
            self.refused(here, scenario.REFUSED, ["database pachyderm: permission denied", *says], "--database-user",
                         "dumper", wrong=["dump of pachyderm"], hint="pg_read_all_data", **dumper, **more)

        # Nothing at all: three are named. Tables are there in schemas that may not be used.
        refused(["for 11 of", ": large object 4711, sequence pfs.commits_int_id_seq, sequence pps.jobs_id_seq, ..."])
        for schema in ("storage", "pfs", "pps", "collections", '"Odd one"'):
            postgres.psql("pachyderm", f"GRANT USAGE ON SCHEMA {schema} TO dumper; "
                                       f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO dumper")
        # These pg_dump would read late, in the middle of the window: a dump of the schema alone goes well.
        postgres.psql("pachyderm", "GRANT SELECT ON LARGE OBJECT 4711 TO dumper")
        refused(["for 3 of", ": sequence pfs.commits_int_id_seq, sequence pps.jobs_id_seq, sequence storage."],
                doctor=False)
        for schema in ("storage", "pfs", "pps"):
            postgres.psql("pachyderm", f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO dumper")
        postgres.psql("pachyderm", 'REVOKE SELECT ON "Odd one"."x.y" FROM dumper')
        refused(["for 1 of", ': table "odd one"."x.y"'], doctor=False)
        postgres.psql("pachyderm", 'GRANT SELECT ON "Odd one"."x.y" TO dumper; REVOKE SELECT ON LARGE OBJECT 4711 FROM dumper')
        refused(["for 1 of", ": large object 4711"], doctor=False)
        postgres.psql("pachyderm", "GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC; "
                                   "ALTER TABLE storage.keys ENABLE ROW LEVEL SECURITY")
        refused(["for 1 of", ": table storage.keys"], doctor=False)
        postgres.psql("pachyderm", "ALTER TABLE storage.keys DISABLE ROW LEVEL SECURITY")
        # The whole server takes more: its roles.
        self.refused(here, scenario.REFUSED, "pg_dumpall --schema-only of the server", "--database-user", "dumper",
                     "--dump", "all", wrong=["dump of all databases"], hint="pg_read_all_data", doctor=False, **dumper)
        # With these rights it works, to its end.
        run = self.backup(here, "--database-user", "dumper", "-v", **dumper)
        for check in ("dump of pachyderm: all of it may be read", "dump of dex: all", "capture: every kind may be listed",
                      "right to patch deployments.apps/scale: yes", "encryption: to the given recipients"):
            self.assertIn(f"rehearsal: {check}", run.stderr)
        self.assertNotIn("rehearsal:", self.backup(here, "--dump", "all", "--dry-run").stderr)

    def test_kubernetes(self):
        here = self.pachyderm(chunks=10, workers=1)
        rights = [
            {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["list", "watch"]},
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
            {"apiGroups": [""], "resources": ["replicationcontrollers/scale"], "verbs": ["get", "patch"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "update", "delete"]},
        ]
        some = self.cluster.user("some", rights, here.namespace)
        self.refused(here, scenario.REFUSED, ["capturing", "forbidden"], "--kubeconfig", some, wrong=["capture"],
                     hint="doctor")
        # What can be done without listing all that there is, may be.
        self.backup(here, "--kubeconfig", some, "--kubernetes", "none", "--dry-run")
        fewer = self.cluster.user("fewer", rights[:1] + rights[2:4] + [{**rights[4], "verbs": ["get", "create"]}],
                                  here.namespace)
        self.refused(here, scenario.REFUSED, "forbidden: this account may not update configmaps/pbcopy-suspension",
                     "--kubeconfig", fewer, "--kubernetes", "none", hint="deploy/rbac.yaml",
                     wrong=[f"right to {each}" for each in (
                         "update configmaps/pbcopy-suspension", "delete configmaps/pbcopy-suspension",
                         "get deployments.apps/scale", "patch deployments.apps/scale")])
        self.refused(here, scenario.USAGE, "no Velero", "--kubernetes", "velero", wrong=["Velero"], hint="native")
        # Half of an API is as bad as none: nobody knows what is not listed.
        down = "/apis/apiregistration.k8s.io/v1/apiservices"
        self.cluster.api("POST", down, {"metadata": {"name": "v1.down.example.com"}, "spec": {
            "group": "down.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": True, "service": {"namespace": "default", "name": "nobody", "port": 443}}})
        try:
            scenario.wait_until(lambda: "down.example.com" in self.cluster.kubectl("get", "--raw", "/apis"), 30, "the API")
            self.refused(here, scenario.UNREACHABLE, "down.example.com/v1", wrong=["capture"],
                         hint="kubectl get apiservices")
        finally:
            self.cluster.api("DELETE", f"{down}/v1.down.example.com")

    def without_room(self):
        """Goes before a command: TMPDIR is a disk of 16 KiB for it; None where that cannot be."""
        folder = os.path.join(self.folder, "small")
        os.mkdir(folder)
        command = ["unshare", "--map-root-user", "--mount", "bash", "-c",
                   'mount -t tmpfs -o size=16k small "$TMPDIR" && exec "$@"', "small"]
        run = subprocess.run([*command, "true"], env={**os.environ, "TMPDIR": folder}, check=False,
                                      stderr=subprocess.DEVNULL)
        return (command, folder) if not run.returncode else None

    def test_the_stores_and_the_machine(self):
        here = self.pachyderm(chunks=10, workers=1)
        repository, origin = here.origin.bucket("repository"), here.origin
        # A repository that cannot be made, and one that cannot be written; it is the run's own lease that shows it.
        origin.set_faults("fault error403 operation=PutObject")
        self.refused(here, scenario.REFUSED, "making the repository", wrong=[], doctor=False)
        origin.set_faults()
        self.assertEqual(repository.list(), {})
        self.backup(here, "--dry-run")
        self.assertEqual(repository.list(), {})
        self.backup(here)
        kept = repository.list()
        origin.set_faults("fault error403 operation=PutObject")
        self.refused(here, scenario.REFUSED, "taking the lease", wrong=[], doctor=False)
        told = self.pbcopy("doctor", "--config", self.configuration(here), **self.environment())
        self.assertEqual(told.exit_code, scenario.FAILED, told)
        self.assertIn("WRONG   repository: writing to", told.stdout)
        # With something else wrong there is no lease to be taken, and it shows all the same.
        here.postgres.psql("pachyderm", f"CREATE ROLE dumper LOGIN PASSWORD '{DUMPER}'")
        here.postgres.psql("dex", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dumper")
        self.refused(here, scenario.REFUSED, "permission denied", "--database-user", "dumper", PGPASSWORD=DUMPER,
                     wrong=["dump of pachyderm", "repository"])
        # A source that is listed, and whose objects cannot be read.
        origin.set_faults("fault error403 operation=GetObject key=chunk/")
        self.refused(here, scenario.REFUSED, "reading 'chunk/", wrong=["source"])
        origin.set_faults()
        # Nothing of all that is left behind: probes are deleted again.
        self.assertEqual({key for key in set(repository.list()) - set(kept) if not key.startswith("sources/")}, set())
        # Two at once, each of another kind: the first one's exit code.
        self.refused(here, scenario.USAGE, "temporary files", "--database-user", "dumper", "--kube-context", "nowhere",
                     hint="--scratch DIR, or TMPDIR", wrong=["temporary files", "suspension"], TMPDIR="/sys/kernel")
        # A folder without room.
        small = self.without_room()
        if not small:
            print("SKIP: a disk without room: no user namespaces here")
            return
        command, folder = small
        before = self.generations(here)
        run = scenario.Running(home=self.folder, command=[*command, scenario.PBCOPY, "backup", "--config",
                                                          self.configuration(here)],
                               TMPDIR=folder, **self.environment()).wait()
        self.assert_failed(run, scenario.FAILED, ["temporary files", "No space left"], hint="--scratch DIR, or TMPDIR")
        self.assertEqual(self.generations(here), before)


if __name__ == "__main__":
    scenario.main()
