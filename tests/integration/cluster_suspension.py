"""A suspension on a real API server, and what may happen to it: answers that are none, other hands, frozen runs, requests
that arrive late. The counts come back, or the record stays and the exit code says so."""

import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import run_scenarios
import scenario
from api_proxy import HANG, RESET, ApiProxy
from cluster_scenario import ClusterScenario


class Suspension(ClusterScenario):
    def command(self, here, *arguments, **more):
        return self.pbcopy(*arguments, "--config", self.configuration(here), timeout_s=280,
                           **{**self.environment(), **more})

    def kubectl_in_front(self, script):
        """PATH with a kubectl that does something before it is one."""
        return self.program("kubectl", f'{script}\nexec "$REAL" "$@"', apart="kubectl-in-front")

    def assert_up(self, here):
        self.assertFalse(here.is_suspended())
        self.assertTrue(here.is_scaled_up(), self.cluster.replicas(here.namespace))

    def seconds_of(self, run, pattern):
        """The time of the day that a line on standard error tells."""
        self.assertRegex(run.stderr, pattern)
        hours, minutes, seconds = map(int, re.search(pattern, run.stderr).group(1).split(":"))
        return hours * 3600 + minutes * 60 + seconds

    # ---- what the API server does not say ----

    def test_a_discovery_that_fails_is_no_resource_that_is_gone(self):
        here = self.pachyderm(chunks=10, workers=1)
        proxy = ApiProxy(self.cluster, self.folder)
        self.addCleanup(proxy.stop)
        self.succeed("suspend", "--config", self.configuration(here), **self.environment())
        through = self.configuration(here, kubeconfig=proxy.kubeconfig)
        for status, group in ((503, "/api"), (403, "/apis")):
            with self.subTest(status, group=group):
                cache = os.path.join(self.folder, f"cache-{status}-{group[1:]}")
                proxy.reset(lambda number, method, path: status if "/namespaces/" not in path
                            and path.startswith(group) else None)
                run = self.pbcopy("resume", "--config", through, "--take-over", timeout_s=280, KUBECACHEDIR=cache)
                self.assertGreater(proxy.faults, 0)
                self.assertIn(run.exit_code, (scenario.UNREACHABLE, scenario.REFUSED), run)
                self.assertTrue(here.is_suspended(), run)
                self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 0)
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    def test_a_cluster_that_was_not_scaled_was_not_suspended(self):
        here = self.pachyderm(chunks=10, workers=1)
        proxy = ApiProxy(self.cluster, self.folder)
        self.addCleanup(proxy.stop)
        through = self.configuration(here, kubeconfig=proxy.kubeconfig)
        proxy.reset(lambda number, method, path: 403 if method == "PATCH" else None)
        run = self.pbcopy("suspend", "--config", through, "--json", timeout_s=280, **self.environment())
        self.assertEqual(run.exit_code, scenario.REFUSED, run)
        self.assertEqual(run.stderr.splitlines()[-1],
                         f"cluster {here.namespace}: was not suspended: nothing was scaled down")
        self.assertEqual([run.json()["cluster_state"][name] for name in ("state", "suspended", "resumed")],
                         ["running", None, None])
        self.assert_up(here)
        # The record can be made, and not be deleted.
        proxy.reset(lambda number, method, path: 403 if method in ("PATCH", "DELETE") else None)
        run = self.pbcopy("suspend", "--config", through, timeout_s=280, **self.environment())
        self.assert_failed(run, scenario.REFUSED, "was not suspended", hint="pbcopy resume")
        self.assertIn("ConfigMap pbcopy-suspension is left: run pbcopy resume", run.stderr.splitlines()[-1])
        self.assertTrue(here.is_suspended())
        self.assertTrue(here.is_scaled_up())
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    def test_a_watch_that_fails(self):
        """It is refused, ends at once, or hangs while the pods go: lists tell, and the suspension is a whole one."""
        here = self.pachyderm(chunks=10, workers=1)
        proxy = ApiProxy(self.cluster, self.folder)
        self.addCleanup(proxy.stop)
        ends = self.kubectl_in_front('[[ " $* " != *watch=true* ]] || exit 0')
        for name, fault, path in (("refused", 403, None), ("ends", None, ends), ("hangs", HANG, None)):
            with self.subTest(name):
                proxy.reset(lambda number, method, path: fault if "watch=true" in path else None)
                run = self.succeed("suspend", "--config", self.configuration(here, kubeconfig=proxy.kubeconfig),
                                   **{**self.environment(), **({"PATH": path} if path else {})})
                self.assertEqual(proxy.faults, 0 if path else 3, proxy.requests)
                self.assertEqual(run.stderr.count("the watch of"), 3 if fault == 403 else 0, run)
                self.assertTrue(here.is_suspended())
                for label in {"app": "pachd"}, {"app": "pachw"}, {"component": "worker"}:
                    self.assertEqual(self.cluster.pods(here.namespace, **label), [], name)
                self.succeed("resume", "--config", self.configuration(here), **self.environment())
                self.assert_up(here)

    # ---- pods that need long ----

    def test_a_grace_period(self):
        """Pods that would take 100 s to end have 3."""
        here = self.pachyderm(chunks=10, workers=1)
        self.cluster.merge(f"/apis/apps/v1/namespaces/{here.namespace}/deployments/pachd", {"spec": {"template": {
            "metadata": {"annotations": {"node/ends-after-s": "100"}}, "spec": {"terminationGracePeriodSeconds": 100}}}})

        def is_slow():
            pods = self.cluster.api("GET", f"/api/v1/namespaces/{here.namespace}/pods?labelSelector=app%3Dpachd")["items"]
            return [pod["spec"]["terminationGracePeriodSeconds"] for pod in pods
                    if pod["status"]["phase"] == "Running"] == [100]

        scenario.wait_until(is_slow, 60, "the slow pod alone")
        pod, = self.cluster.pods(here.namespace, app="pachd")
        run = self.succeed("suspend", "--config", self.configuration(here, grace=3), "-v", **self.environment())
        self.assertNotIn("the watch of", run.stderr)  # none failed
        self.assertLess(run.seconds, 80)
        self.assertIn(f"shortened the grace period of Pod {pod} to 3 s\n", run.stderr)
        self.assertEqual(run.stderr.count("shortened"), 1, run)  # of the others none is longer
        self.assertEqual(self.cluster.pods(here.namespace, app="pachd"), [])
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    # ---- other hands ----

    def test_counts_are_read_after_the_lock_is_taken(self):
        here = self.pachyderm(chunks=10, workers=1)
        mark = os.path.join(self.folder, "creating")
        path = self.kubectl_in_front(
            f'if [[ " $* " == *" create "* && " $* " != *--dry-run* && ! -e "{mark}" ]]; then touch "{mark}"; sleep 4; fi')
        run = self.begin("suspend", "--config", self.configuration(here), **{**self.environment(), "PATH": path})
        scenario.wait_until(lambda: os.path.exists(mark), 60, "the record to be made")
        self.cluster.scale(here.namespace, "deployments", "pachd", 2)
        ended = run.wait()
        self.assertEqual(ended.exit_code, scenario.OK)
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 0)
        # It is suspended from the first scaling, not from when the run asked for the lock, four seconds before.
        made = self.seconds_of(ended, "([0-9:]{8}) made ConfigMap pbcopy-suspension")
        suspended = self.seconds_of(ended, f"cluster {here.namespace}: suspended ([0-9:]{{8}})")
        self.assertLess((suspended - made) % 86400, 43200, ended)
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 2)

    def test_a_workload_that_is_scaled_between_list_and_patch(self):
        """What was scaled is what was recorded."""
        here = self.pachyderm(chunks=10, workers=1)
        mark = os.path.join(self.folder, "patching")
        path = self.kubectl_in_front(
            f'if [[ " $* " == *" patch "* && ! -e "{mark}" ]]; then touch "{mark}"; sleep 4; fi')
        run = self.begin("suspend", "--config", self.configuration(here), **{**self.environment(), "PATH": path})
        scenario.wait_until(lambda: os.path.exists(mark), 60, "the first patch")
        self.cluster.scale(here.namespace, "deployments", "pachd", 3)
        self.assertEqual(run.wait().exit_code, scenario.OK)
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 3)

    def test_a_patch_that_arrives_after_its_kubectl_was_killed(self):
        here = self.pachyderm(chunks=10, workers=1)
        mark = os.path.join(self.folder, "late")
        path = self.kubectl_in_front(
            f'if [[ " $* " == *" patch "* && ! -e "{mark}" ]]; then\n  touch "{mark}"\n'
            f'  setsid bash -c \'while [[ ! -e "{mark}-now" ]]; do sleep .1; done; sleep 1.5; "$@"\' _ "$REAL" "$@" '
            '> /dev/null 2>&1 < /dev/null &\n  sleep 1000\nfi')
        run = self.begin("suspend", "--config", self.configuration(here), **{**self.environment(), "PATH": path})
        scenario.wait_until(lambda: os.path.exists(mark), 60, "the first patch")
        with open(f"{mark}-now", "w", encoding="ascii"):
            run.kill(signal.SIGINT)
        self.assertEqual(run.wait().exit_code, scenario.CANCELLED)
        time.sleep(4)
        self.assertTrue(here.is_scaled_up() or here.is_suspended())
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    def test_an_interrupt_while_the_record_is_made(self):
        here = self.pachyderm(chunks=10, workers=1)
        for before in (True, False):  # the request is under way when kubectl is killed, or done
            mark = os.path.join(self.folder, f"made-{before}")
            then = 'sleep 1000' if before else '"$REAL" "$@"; sleep 1000'
            path = self.kubectl_in_front(f'if [[ " $* " == *" create "* && " $* " != *--dry-run* ]]; then touch "{mark}"; '
                                         f'{then}; fi')
            run = self.begin("suspend", "--config", self.configuration(here), **{**self.environment(), "PATH": path})
            scenario.wait_until(lambda: os.path.exists(mark), 60, "the record to be made")
            time.sleep(1.5)
            run.kill(signal.SIGINT)
            self.assertEqual(run.wait().exit_code, scenario.CANCELLED)
            self.assert_up(here)

    # ---- runs that freeze, and clocks ----

    def in_the_window(self, here, *arguments):
        """A backup that is in its window for a long time."""
        self.dumping = os.path.join(self.folder, "dumping")
        path = self.program("pg_dump", '[[ $1 == --version || $1 == --schema-only ]] || '
                                       f'{{ touch "{self.dumping}"; sleep 25; }}\nexec "$REAL" "$@"', apart="slow")
        run = self.begin("backup", "--config", self.configuration(here), *arguments, **{**self.environment(), "PATH": path})
        scenario.wait_until(lambda: os.path.exists(self.dumping) or run.is_over(), 120, "the window")
        return run

    def test_a_run_that_was_frozen_finds_its_lease_lost(self):
        here = self.pachyderm(chunks=50, workers=1)
        frozen = self.in_the_window(here)
        frozen.kill(signal.SIGSTOP)
        run = self.command(here, "resume")
        self.assert_failed(run, scenario.BUSY, "under way")
        self.succeed("resume", "--config", self.configuration(here), "--take-over", **self.environment())
        self.assert_up(here)
        # Somebody else suspends meanwhile: the record is another's.
        self.succeed("suspend", "--config", self.configuration(here), **self.environment())
        time.sleep(20)
        frozen.kill(signal.SIGCONT)
        woken = frozen.wait()
        self.assertNotEqual(woken.exit_code, scenario.OK, woken)
        self.assertEqual(self.committed(here.origin.url("repository")), [])
        self.assertTrue(here.is_suspended(), "it took the record of another")
        self.assertEqual(self.cluster.replicas(here.namespace)["deployments/pachd"], 0)
        self.succeed("resume", "--config", self.configuration(here), **self.environment())
        self.assert_up(here)

    def test_clocks_that_are_an_hour_apart(self):
        if run_scenarios.elsewhere("true") is None or scenario.is_sanitized():
            self.skipTest("another machine cannot be played here: it takes root, faketime and no sanitizer")
        here = self.pachyderm(chunks=50, workers=1)
        running = self.in_the_window(here)
        for clock_s in (3600, -3600):
            command = run_scenarios.elsewhere(scenario.PBCOPY, "resume", "--config", self.configuration(here),
                                              clock_s=clock_s)
            other = self.run_outside(command, **self.environment())
            self.assertEqual(other.returncode, scenario.BUSY, other.stderr)
        ended = running.wait()
        self.assertEqual(ended.exit_code, scenario.OK, ended)
        self.assert_up(here)

    def run_outside(self, command, **more):
        return subprocess.run(command, env=scenario.environment(self.folder, **more), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=200, check=False)


if __name__ == "__main__":
    scenario.main()
