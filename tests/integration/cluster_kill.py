"""Ten backups of a live cluster are killed at ten moments, in all phases and inside the window. The next command scales
the cluster up again, and what is committed always agrees with its database."""

import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario

# Where a run is killed: after so many seconds since its begin, or since the namespace was seen suspended.
MOMENTS = [("begin", 0.3), ("begin", 0.8), ("window", 0.0), ("window", 0.3), ("window", 0.8), ("window", 1.5),
           ("window", 2.2), ("window", 3.0), ("window", 3.8), ("window", 5.0)]


class Kill(ClusterScenario):
    def slow_dumps(self):
        """A folder for PATH with a pg_dump that takes its time, so that there is a window to be killed in."""
        folder = os.path.join(self.folder, "programs")
        os.mkdir(folder)
        path = os.path.join(folder, "pg_dump")
        with open(path, "w", encoding="ascii") as file:
            file.write(f'#!/bin/bash\n[[ $1 == --version ]] || sleep 2\nexec {shutil.which("pg_dump")} "$@"\n')
        os.chmod(path, 0o755)
        return f"{folder}:{os.environ['PATH']}"

    def test_ten_moments(self):
        here = self.pachyderm(chunks=1000, workers=2)
        here.start_simulation()
        slow = {**self.environment(), "PATH": self.slow_dumps()}
        repository = here.origin.url("repository")
        inside, finished = 0, 0
        for number, (since, seconds) in enumerate(MOMENTS):
            run = self.begin("backup", "--config", self.configuration(here), "-v", **slow)
            if since == "window":
                scenario.wait_until(lambda: here.is_suspended() or run.is_over(), 60, "the window", poll_s=0.05)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not run.is_over():
                time.sleep(0.02)
            inside += here.is_suspended()
            if not run.is_over():
                run.kill(signal.SIGKILL)
            else:
                finished += 1
            run.wait()
            # The next command, in turn: resume, or another backup to its end.
            if number % 2:
                self.succeed("resume", "--config", self.configuration(here), **self.environment())
            else:
                self.backup(here)
            self.assertTrue(here.is_scaled_up(), f"scaled down after {since} + {seconds} s")
            self.assertFalse(here.is_suspended())
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        self.assertGreaterEqual(inside, 4, "too few runs were killed in the window")
        self.assertLessEqual(finished, 3, "too few runs were killed at all")
        print(f"killed in the window: {inside}, not killed in time: {finished}")
        committed = self.committed(repository)
        self.assertGreaterEqual(len(committed), 5)
        for snapshot in committed:
            self.succeed("verify", repository, "--snapshot", snapshot, "--database", "--identity", self.identity)
        # The last one is restored, and what it is of agrees.
        there, namespace = self.postgres(), self.new_namespace("again")
        there.create("pachyderm", "dex")
        self.restore(here, namespace, there)
        self.assert_agrees(there, here.origin.bucket("restored"))

    def test_signals(self):
        here = self.pachyderm(chunks=100, workers=1)
        here.start_simulation()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            run = self.begin("backup", "--config", self.configuration(here), **self.environment())
            scenario.wait_until(here.is_suspended, 60, "the window", poll_s=0.05)
            time.sleep(1)
            run.kill(number)
            ended = run.wait()
            self.assert_failed(ended, scenario.CANCELLED, "nothing was committed")
            self.assertFalse(here.is_suspended())
            self.assertTrue(here.is_scaled_up())
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        self.assertEqual(self.committed(here.origin.url("repository")), [])

    def test_suspend_and_resume_by_themselves(self):
        here = self.pachyderm(chunks=50, workers=2)
        here.start_simulation()
        configuration = self.configuration(here)
        told = self.succeed("suspend", "--config", configuration, "--json", **self.environment()).json()
        self.assertEqual([w["name"] for w in told["workloads"]][0], "pachd")
        self.assertEqual(self.cluster.pods(here.namespace, app="pachd"), [])
        self.assertEqual(self.cluster.pods(here.namespace, app="pachw"), [])
        self.assertEqual(self.cluster.pods(here.namespace, component="worker"), [])
        before = here.written()
        # It outlives its process; a backup, and a second suspend, say so.
        for command in ("suspend", "backup"):
            run = self.pbcopy(command, "--config", configuration, **self.environment())
            self.assert_failed(run, scenario.BUSY, "pbcopy suspend", hint="pbcopy resume")
        self.assertEqual(here.written(), before)
        self.succeed("resume", "--config", configuration, **self.environment())
        self.assertTrue(here.is_scaled_up())
        self.assertIn("nothing is suspended",
                      self.succeed("resume", "--config", configuration, **self.environment()).stdout)


if __name__ == "__main__":
    scenario.main()
