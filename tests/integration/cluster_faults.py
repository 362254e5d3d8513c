"""The N-th request of a backup, a suspend, a resume and a restore to the API server fails: 429, 500, 503, 403, or nothing.
No run says that all is well where it is not, and no count is lost.

PB_FAULT_EVERY=N tries each N-th request, with one failure after the other; 1 tries all. PB_FAULT_KINDS=5 tries each of
these with so many failures."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from api_proxy import RESET, ApiProxy
from cluster_scenario import ClusterScenario

FAULTS = (503, 403, RESET, 429, 500)


class EachRequest(ClusterScenario):
    def setUp(self):
        super().setUp()
        self.proxy = ApiProxy(self.cluster, self.folder)
        self.addCleanup(self.proxy.stop)
        self.ended, self.tried = {}, 0

    def assert_up(self, here):
        self.assertFalse(here.is_suspended())
        self.assertTrue(here.is_scaled_up(), self.cluster.replicas(here.namespace))

    def all_replicas(self, here):
        return {name: count for name, count in self.cluster.replicas(here.namespace).items() if "deployments" in name}

    def each(self, here, every, *arguments):
        """Runs the command again and again, and yields each run; the requests of each begin with those of a machine that
        has never seen this cluster."""
        every = int(os.environ.get("PB_FAULT_EVERY", every))
        kinds = int(os.environ.get("PB_FAULT_KINDS", "1"))
        number, at_end = 0, False
        while not at_end:
            for kind in range(kinds):
                fault = FAULTS[(number // every + kind) % len(FAULTS)]
                self.proxy.reset(lambda at, method, path, number=number, fault=fault: fault if at == number else None)
                run = self.pbcopy(*arguments, "--config", self.configuration(here, kubeconfig=self.proxy.kubeconfig),
                                  timeout_s=280, KUBECACHEDIR=os.path.join(self.folder, f"cache-{number}-{kind}"),
                                  PGPASSWORD=here.postgres.password)
                at_end = not self.proxy.faults
                asked = self.proxy.requests[number:number + 1]
                print(f"    {arguments[0]} {number} {fault} {asked}: {run.exit_code}, {len(self.proxy.requests)} requests, "
                      f"{run.seconds:.1f} s", flush=True)
                self.proxy.reset()
                self.tried += not at_end
                self.ended[run.exit_code] = self.ended.get(run.exit_code, 0) + 1
                yield run
            number += every
        print(f"{arguments[0]}: {self.tried} requests failed; exit codes {self.ended}", flush=True)
        self.assertGreater(self.tried, 2)
        self.assertEqual(run.exit_code, 0, "the last run met no fault")

    def resume(self, here):
        """Whatever it was, the next command brings the counts back."""
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    def test_suspend(self):
        here = self.pachyderm(chunks=10, workers=1)
        for run in self.each(here, 8, "suspend"):
            if not run.exit_code:
                self.assertTrue(here.is_suspended(), run)
                self.assertEqual(self.cluster.pods(here.namespace, app="pachd"), [], run)
            self.assertTrue(here.is_suspended() or here.is_scaled_up(), run)
            self.resume(here)

    def test_resume(self):
        here = self.pachyderm(chunks=10, workers=1)
        self.succeed("suspend", "--config", self.configuration(here), **self.environment())
        for run in self.each(here, 8, "resume"):
            if not run.exit_code:
                self.assert_up(here)
            self.assertTrue(here.is_suspended() or here.is_scaled_up(), run)
            self.resume(here)
            self.succeed("suspend", "--config", self.configuration(here), **self.environment())

    def test_backup(self):
        here = self.pachyderm(chunks=10, workers=1)
        repository, before = here.origin.url("repository"), 0
        for run in self.each(here, 16, "backup"):
            committed = self.committed(repository) if here.origin.bucket("repository").list("snapshots/") else []
            self.assertEqual(len(committed) - before, int(not run.exit_code), run)
            before = len(committed)
            if not run.exit_code:
                self.assert_up(here)
                key = max(key for key in here.origin.bucket("repository").list("snapshots/")
                          if key.endswith("/snapshot.json"))
                counts = json.loads(here.origin.bucket("repository").get(key))["cluster"]["workloads"]
                self.assertEqual({each["name"]: each["replicas"] for each in counts},
                                 {name.split("/")[1]: count for name, count in here.counts.items()})
            self.assertTrue(here.is_suspended() or here.is_scaled_up(), run)
            self.resume(here)

    def test_restore(self):
        """Over what is there: it is suspended, every object is replaced, and all is scaled up again."""
        here = self.pachyderm(chunks=10, workers=0)
        self.backup(here)
        counts = self.all_replicas(here)
        restore = ("restore", "--namespace", here.namespace, here.origin.url("repository"), here.origin.url("restored"),
                   "--identity", self.identity, "--dump", "none", "--allow-existing", "--allow-privileged")
        for run in self.each(here, 16, *restore):
            if run.exit_code:
                self.assertTrue(here.is_suspended() or here.is_scaled_up(), run)
                run = self.succeed(*restore, "--config", self.configuration(here), **self.environment())
            self.assert_up(here)
            self.assertEqual(self.all_replicas(here), counts, run)


if __name__ == "__main__":
    scenario.main()
