"""Runs that meet, freeze, wake and die, on origin, copied inside the store and through this machine; and how a
repository comes to be."""

import os
import signal
import subprocess
import sys


sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import run_scenarios
import scenario
from run_scenarios import DeadRunScenarios, MeetingScenarios, OnOrigin, RunScenarios
from scenario import wait_until


class OriginRuns(OnOrigin, MeetingScenarios, DeadRunScenarios, scenario.Scenario):
    """Inside one store."""


class RelayedRuns(OnOrigin, DeadRunScenarios, scenario.Scenario):
    """From one store to another."""

    def setUp(self):
        super().setUp()
        self.other = self.origin("--page-size", "50")

    def place(self, name):
        return self.bucket(name, self.other if name == "source" else self.server)


class Elsewhere(OnOrigin, RunScenarios, scenario.Scenario):
    """Two machines, with clocks as far apart as S3 lets them be (its signatures hold 15 minutes)."""

    def setUp(self):
        super().setUp()
        if run_scenarios.elsewhere("true") is None or scenario.is_sanitized():
            self.skipTest("another machine cannot be played here: it takes root, faketime and no sanitizer")

    def run_elsewhere(self, clock_s, *arguments, timeout_s=200):
        command = run_scenarios.elsewhere(scenario.PBCOPY, *arguments, clock_s=clock_s)
        return subprocess.run(command, env=scenario.environment(self.folder), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout_s, check=False)

    def test_a_clock_that_is_ahead_or_behind_makes_nobody_dead(self):
        for clock_s in (200, 800, -800):
            with self.subTest(clock_s):
                source, repository = self.places()
                running = self.begin_slow(source, repository, "--limit-requests", "50")
                other = self.run_elsewhere(clock_s, "backup", source.url, repository.url, "--no-wait",
                                           "--unsigned-payload")
                self.assertEqual(other.returncode, scenario.BUSY, other.stderr)
                self.assertEqual(running.wait().exit_code, scenario.OK)
                self.assert_restores(repository, source.digests())

    def test_a_run_of_another_machine_is_dead_after_a_minute_of_silence(self):
        source, repository = self.places()
        frozen = self.freeze(source, repository)
        expected = source.digests()
        other = self.run_elsewhere(0, "backup", source.url, repository.url)
        self.assertEqual(other.returncode, scenario.OK, other.stderr)
        self.fill(source, "second")
        frozen.kill(signal.SIGCONT)
        self.assert_failed(frozen.wait(), scenario.BUSY, says="")
        self.assert_restores(repository, expected)


class Creation(scenario.Scenario):
    """A place becomes a repository, whatever happens on the way."""

    REQUESTS = 16

    def setUp(self):
        super().setUp()
        self.server = self.origin("--fill", "source:20:100:flat")
        self.source = self.server.url("source")

    def bucket(self, name):
        self.server.client.create_bucket(Bucket=name)
        return self.server.bucket(name), self.server.url(name)

    def test_a_run_that_is_killed_at_each_of_its_requests(self):
        for number in range(self.REQUESTS):
            for done in ("stall", "reset-after"):
                with self.subTest(f"{done} {number}"):
                    bucket, url = self.bucket(f"repository-{done}-{number}")
                    self.server.set_faults(f"fault {done} after={number} times=1000000")
                    before = self.server.statistics()["faults"][done]
                    running = self.begin("backup", self.source, url)
                    wait_until(lambda: self.server.statistics()["faults"][done] > before or running.is_over())
                    running.kill(signal.SIGKILL)
                    running.wait()
                    self.server.set_faults()
                    self.succeed("backup", self.source, url)
                    self.succeed("verify", url, "--read")

    def test_without_the_right_to_delete(self):
        _, url = self.bucket("repository")
        self.server.set_faults("fault error403 operation=DeleteObjects", "fault error403 operation=DeleteObject")
        for _ in range(2):
            self.succeed("backup", self.source, url)
        self.server.set_faults()
        self.succeed("verify", url, "--read")

    def test_leavings_of_an_older_program(self):
        bucket, url = self.bucket("repository")
        bucket.put("probe-0123456789abcdef", b"{}")
        self.succeed("backup", self.source, url)

    def test_what_is_no_repository_is_named(self):
        bucket, url = self.bucket("repository")
        for key in ("probe/x", "b/photo.jpg", "a\nb", "c", "d"):
            bucket.put(key, b"x")
        run = self.fail_with(scenario.USAGE, "backup", self.source, url, says=("b/photo.jpg", "'c'"), hint="empty")
        self.assertNotIn("'d'", run.errors[0])

    def test_a_store_without_create_only_takes_a_promise(self):
        server = self.origin("--no-create-only", "--fill", "source:20:100:flat", buckets=("repository",))
        source, url = server.url("source"), server.url("repository")
        self.fail_with(scenario.USAGE, "backup", source, url, says="create-only", hint="--exclusive")
        for _ in range(2):
            run = self.succeed("backup", source, url, "--exclusive")
            self.assertIn("--exclusive", run.stderr)
        self.succeed("verify", url, "--read")


if __name__ == "__main__":
    scenario.main()
