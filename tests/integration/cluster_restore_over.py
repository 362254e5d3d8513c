"""A restore over a Pachyderm that is there suspends it first and ends as its outcome says; PostgreSQL in the namespace
comes before its dumps; the new bucket gets its own credentials, and rights in the whole cluster only where they are
allowed."""

import base64
import json
import os
import signal
import sys
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from api_proxy import ApiProxy
from cluster_scenario import ClusterScenario

RBAC = "/apis/rbac.authorization.k8s.io/v1"


class RestoreOver(ClusterScenario):
    def arguments(self, here, namespace, there, *more):
        return ("restore", "--config", self.configuration(here), "--namespace", namespace,
                here.origin.url("repository"), here.origin.url("restored"), "--identity", self.identity,
                "--database-host", there.host, "--database-port", str(there.port), "--database-user", there.user, *more)

    def in_place(self, here, *more):
        """Over the cluster that was backed up, into another bucket."""
        return self.arguments(here, here.namespace, here.postgres, "--pachd-database-host",
                              f"{here.postgres.host}:{here.postgres.port}", "--overwrite-database", *more)

    def keys(self, here):
        return here.postgres.psql("pachyderm", "SELECT count(*) FROM storage.keys")

    def assert_runs(self, here, run, again=True):
        self.assertFalse(here.is_suspended(), run)
        replicas = self.cluster.replicas(here.namespace)
        self.assertEqual((replicas["deployments/pachd"], replicas["deployments/pachw"]), (1, 2), run)
        last = scenario.lines_of(run.stderr)[-1]
        if again:
            self.assertRegex(last, f"^cluster {here.namespace}: suspended .*, running again ")

    def assert_stays_suspended(self, here, run):
        self.assertTrue(here.is_suspended(), run)
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 0)
        self.assertRegex(scenario.lines_of(run.stderr)[-1], f"^cluster {here.namespace}: STILL SUSPENDED since ")

    def test_in_place(self):
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        secret = {**self.environment(), "PGPASSWORD": here.postgres.password}
        here.postgres.psql("pachyderm", "DELETE FROM storage.keys")  # only the restore brings them back
        before = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{here.namespace}/deployments/pachd")

        # The databases alone, of a Pachyderm that runs: only where somebody said so.
        run = self.pbcopy(*self.in_place(here, "--kubernetes", "none"), **secret)
        self.assert_failed(run, scenario.BUSY, ["would drop databases", "Deployment/pachd has 1 replicas"],
                           hint="--allow-existing")
        self.assertEqual(here.origin.bucket("restored").list(), {})
        after = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{here.namespace}/deployments/pachd")
        self.assertEqual(before["metadata"]["generation"], after["metadata"]["generation"])
        run = self.succeed(*self.in_place(here, "--kubernetes", "none", "--allow-existing", "--dry-run"), **secret)
        self.assertIn("plan: suspend Deployment/pachd, which has 1 replicas", run.stderr)
        self.assertEqual(self.keys(here), "0")

        # The first database cannot be restored: nothing was changed, and all runs again.
        self.program("psql", '[[ "$*" == *--file=-* ]] || exec "$REAL" "$@"\n'
                             f'[[ -e {self.folder}/dex-alone && "$*" != *dex* ]] && exec "$REAL" "$@"\n'
                             'echo "psql: error: no space left" >&2; exit 3')
        run = self.pbcopy(*self.in_place(here, "--kubernetes", "none", "--allow-existing"),
                          **{**secret, **self.environment()})
        self.assertNotEqual(run.exit_code, 0, run)
        self.assert_runs(here, run)
        self.assertEqual(self.cluster.replicas(here.namespace)["replicationcontrollers/pipeline-0-v1"], 1)

        # The second one cannot: what is there is neither the old nor the new, and nobody starts it but by hand.
        open(os.path.join(self.folder, "dex-alone"), "w", encoding="ascii").close()
        run = self.pbcopy(*self.in_place(here, "--kubernetes", "none", "--allow-existing"),
                          **{**secret, **self.environment()})
        self.assertNotEqual(run.exit_code, 0, run)
        self.assertIn("as it is restored in part", run.stderr)
        self.assert_stays_suspended(here, run)
        run = self.pbcopy("backup", "--config", self.configuration(here), **secret)
        self.assert_failed(run, scenario.BUSY, "was suspended by a restore that did not end", hint="run the restore again")
        self.assertTrue(here.is_suspended())

        # Run again, whole, it goes on from there; the workers, which name the old bucket, are pachd's to make.
        os.remove(os.path.join(self.folder, "programs", "psql"))
        run = self.succeed(*self.in_place(here, "--allow-existing", "--allow-privileged"), **secret)
        self.assertIn("is suspended already (pbcopy restore): the restore goes on from there", run.stderr)
        self.assert_runs(here, run)
        self.assertEqual(self.keys(here), "1")
        self.assertNotIn("replicationcontrollers/pipeline-0-v1", self.cluster.replicas(here.namespace))
        pachd = self.cluster.kubectl("--namespace", here.namespace, "get", "deployment", "pachd", "-o", "json")
        self.assertIn("s3://restored", pachd)

        # All objects are applied, and kubectl fails: what is brought up by hand is all that there is.
        counts = {name: count for name, count in self.cluster.replicas(here.namespace).items() if "deployments" in name}
        self.program("kubectl", '[[ " $* " == *" apply "* ]] || exec "$REAL" "$@"\n"$REAL" "$@" > /dev/null\n'
                                'echo "Error from server (Forbidden): no" >&2; exit 1')
        run = self.pbcopy(*self.in_place(here, "--allow-existing", "--allow-privileged"),
                          **{**secret, **self.environment()})
        self.assertEqual(run.exit_code, scenario.REFUSED, run)
        self.assert_stays_suspended(here, run)
        os.remove(os.path.join(self.folder, "programs", "kubectl"))
        run = self.succeed("resume", "--config", self.configuration(here), **secret)
        self.assert_runs(here, run)
        self.assertEqual({name: count for name, count in self.cluster.replicas(here.namespace).items()
                          if "deployments" in name}, counts)

    def test_an_interrupt_after_the_commit(self):
        """What psql has committed before Ctrl-C is not what the Pachyderm of before is brought up on."""
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        secret = {**self.environment(), "PGPASSWORD": here.postgres.password}
        held = os.path.join(self.folder, "held")
        self.program("psql", f'[[ "$*" == *--file=-* ]] || exec "$REAL" "$@"\n"$REAL" "$@"; touch {held}; sleep 100')
        run = self.begin(*self.in_place(here, "--allow-existing", "--kubernetes", "none"),
                         **{**secret, **self.environment()})
        scenario.wait_until(lambda: os.path.exists(held) or run.is_over(), 120, "psql", poll_s=0.1)
        run.kill(signal.SIGINT)
        ended = run.wait(60)
        self.assert_failed(ended, scenario.CANCELLED)
        self.assertIn("as it is restored in part", ended.stderr)
        self.assert_stays_suspended(here, ended)

    def test_killed_and_resumed(self):
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        secret = {**self.environment(), "PGPASSWORD": here.postgres.password}
        held = os.path.join(self.folder, "held")
        self.program("psql", f'[[ "$*" == *--file=-* ]] || exec "$REAL" "$@"\n'
                             f'touch {held}; sleep 100; exec "$REAL" "$@"')
        run = self.begin(*self.in_place(here, "--allow-existing", "--kubernetes", "none"),
                         **{**secret, **self.environment()})
        scenario.wait_until(lambda: os.path.exists(held) or run.is_over(), 120, "psql", poll_s=0.1)
        # While it lives nobody undoes it.
        other = self.pbcopy("resume", "--config", self.configuration(here), **secret)
        self.assert_failed(other, scenario.BUSY, "suspended by a restore under way")
        # Nor does another restore, though it reaches the server by another name and nobody is connected,
        alias = types.SimpleNamespace(host="localhost", port=here.postgres.port, user=here.postgres.user)
        other = self.pbcopy(*self.arguments(here, here.namespace, alias, "--overwrite-database", "--kubernetes", "none"),
                            **secret)
        self.assert_failed(other, scenario.BUSY, "suspended by a restore under way")
        # nor one that cannot find out whether it lives.
        proxy = ApiProxy(self.cluster, self.folder)
        self.addCleanup(proxy.stop)
        proxy.reset(lambda number, method, path: 403 if "dryRun=All" in path else None)
        other = self.pbcopy(*self.in_place(here, "--allow-existing", "--kubernetes", "none", "--kubeconfig",
                                           proxy.kubeconfig), **secret)
        self.assert_failed(other, scenario.REFUSED, "asking the API server for the time")
        self.assertGreater(proxy.faults, 0)
        self.assertFalse(run.is_over())
        self.assertTrue(here.is_suspended(), other)
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 0)
        run.kill(signal.SIGKILL)
        run.wait()
        self.assertTrue(here.is_suspended())
        other = self.pbcopy("backup", "--config", self.configuration(here), **secret)
        self.assert_failed(other, scenario.BUSY, "by a restore that did not end", hint="pbcopy resume")
        other = self.succeed("resume", "--config", self.configuration(here), **secret)
        self.assert_runs(here, other)
        scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)

    def test_a_lease_that_is_lost(self):
        """A restore that was frozen, and wakes when somebody else has the cluster up again, changes nothing more."""
        here = self.pachyderm(chunks=20, workers=1)
        self.backup(here)
        secret = {**self.environment(), "PGPASSWORD": here.postgres.password}
        here.postgres.psql("pachyderm", "DELETE FROM storage.keys")
        held = os.path.join(self.folder, "held")
        self.program("psql", f'[[ "$*" == *--file=-* ]] || exec "$REAL" "$@"\n'
                             f'touch {held}; sleep 100; exec "$REAL" "$@"')
        run = self.begin(*self.in_place(here, "--allow-existing", "--kubernetes", "none"),
                         **{**secret, **self.environment()})
        scenario.wait_until(lambda: os.path.exists(held) or run.is_over(), 120, "psql", poll_s=0.1)
        run.kill(signal.SIGSTOP)
        other = self.succeed("resume", "--config", self.configuration(here), "--take-over", **secret)
        self.assert_runs(here, other)
        run.kill(signal.SIGCONT)
        ended = run.wait(60)
        self.assert_failed(ended, scenario.BUSY, "record of the suspension")
        self.assertIn("taken over by another run", scenario.lines_of(ended.stderr)[-1])
        self.assertEqual(self.keys(here), "0")
        self.assert_runs(here, ended, again=False)

    def cluster_rights(self, here):
        """What the chart makes for pachd beside its namespace, with somebody else in it."""
        metadata = {"name": f"pachyderm-of-{here.namespace}", "annotations": {"meta.helm.sh/release-name": "pachyderm"}}
        account = {"kind": "ServiceAccount", "name": "pachyderm", "namespace": here.namespace}
        other = {"kind": "ServiceAccount", "name": "other", "namespace": "kube-system"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": metadata["name"]}
        self.cluster.apply([
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata,
             "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata,
             "subjects": [other, account], "roleRef": role}])
        return metadata["name"]

    def test_all_that_the_namespace_had(self):
        """PostgreSQL in the namespace, rights in the whole cluster, and a bucket with other credentials."""
        here, there = self.pachyderm(chunks=20, workers=1, own_database=True), self.postgres()
        there.create("pachyderm", "dex")
        rights = self.cluster_rights(here)
        self.backup(here, "--database-host", here.postgres.host, "--database-port", str(here.postgres.port),
                    PGPASSWORD=here.postgres.password)
        namespace = self.new_namespace("whole")
        secret = {**self.environment(), "PGPASSWORD": there.password}
        credentials = os.path.join(self.folder, "credentials.yaml")
        with open(credentials, "w", encoding="ascii") as file:
            file.write("AMAZON_ID: new-id\nAMAZON_SECRET: marked-new-secret\n")
        restore = self.arguments(here, namespace, there, "--bucket-credentials", credentials)

        run = self.succeed(*restore, "--dry-run", **secret)
        for line in (f"plan: the PostgreSQL server of namespace {namespace} comes first",
                     f"plan: leave out ClusterRole/{rights}: it gives rights in the whole cluster",
                     "plan: leave out ClusterRoleBinding/pachyderm-of-"):
            self.assertIn(line, run.stderr)
        self.assertNotIn("marked-new-secret", run.stderr + run.stdout)
        self.assertFalse(self.cluster.exists(f"/api/v1/namespaces/{namespace}"))

        # What is there when the first dump is restored: the server, ready, and nobody that would write to it.
        seen = os.path.join(self.folder, "seen")
        self.program("psql", '[[ "$*" == *--file=-* ]] || exec "$REAL" "$@"\n'
                             f'[[ -e {seen} ]] || kubectl --kubeconfig {self.cluster.kubeconfig} --namespace '
                             f'{namespace} get statefulsets,deployments,services,pods -o json > {seen}\n'
                             'exec "$REAL" "$@"')
        run = self.succeed(*restore, "--allow-privileged", **{**secret, **self.environment()})
        with open(seen, encoding="utf-8") as file:
            found = {f"{item['kind']}/{item['metadata']['name']}": item for item in json.load(file)["items"]}
        self.assertEqual(found["StatefulSet/postgres"]["status"].get("readyReplicas"), 1)
        self.assertIn("Service/postgres", found)
        self.assertEqual([name for name in found if name.startswith("Deployment/") or "etcd" in name], [])

        self.assertEqual(self.cluster.ready(namespace).get("deployments/pachd"), 1)
        self.assert_agrees(there, here.origin.bucket("restored"))
        data = self.cluster.api("GET", f"/api/v1/namespaces/{namespace}/secrets/pachyderm-storage-secret")["data"]
        self.assertEqual(base64.b64decode(data["AMAZON_SECRET"]), b"marked-new-secret")
        self.assertEqual(base64.b64decode(data["AMAZON_ID"]), b"new-id")
        # The binding is the new namespace's own, without the stranger; the old one stays.
        binding = self.cluster.api("GET", f"{RBAC}/clusterrolebindings/pachyderm-of-{namespace}")
        self.addCleanup(self.cluster.kubectl, "delete", "clusterrolebinding", f"pachyderm-of-{namespace}", rights)
        self.addCleanup(self.cluster.kubectl, "delete", "clusterrole", rights)
        self.assertEqual([(each["name"], each["namespace"]) for each in binding["subjects"]], [("pachyderm", namespace)])
        self.assertNotIn("annotations", binding["metadata"])
        old = self.cluster.api("GET", f"{RBAC}/clusterrolebindings/{rights}")
        self.assertEqual(len(old["subjects"]), 2)
        self.assertIn(f"ClusterRole/{rights} exists already", run.stderr)

        # Names that are none, and values that are none.
        for text, says, hint in (("AMAZON_IDS: x\n", "is no credential of a bucket", "did you mean AMAZON_ID"),
                                 ("AMAZON_BUCKET: x\n", "is no credential of a bucket", None),
                                 ("AMAZON_ID: 17\n", "is no text", None), ("", "names no credential", None)):
            with open(credentials, "w", encoding="ascii") as file:
                file.write(text)
            run = self.pbcopy(*restore, "--dry-run", **secret)
            self.assert_failed(run, scenario.USAGE, says, hint=hint)


if __name__ == "__main__":
    scenario.main()
