"""Backups of a live cluster are killed at more than ten moments, in all phases and inside the window. The next command
scales the cluster up again, and what is committed always agrees with its database."""

import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario


class Kill(ClusterScenario):
    def slow_dumps(self):
        """PATH with a pg_dump in front that takes its time, so that there is a window to be killed in; it leaves a file
        behind when it begins."""
        self.marks = os.path.join(self.folder, "marks")
        os.mkdir(self.marks)
        return self.program("pg_dump", '[[ $1 == --version || $1 == --schema-only ]] || '
                                       f'{{ touch "{self.marks}/begun"; sleep 2; }}\nexec "$REAL" "$@"', apart="slow")

    def moments(self, here):
        """(name, fault of the store that keeps the run there, whether it has come so far) of the moments at which runs
        are killed, in the order of a run."""
        cluster, namespace = self.cluster, here.namespace

        def new(begin, end=""):
            keys = here.origin.bucket("repository").list(begin)
            return any(key.endswith(end) and key not in self.before for key in keys)

        def committed():
            """A new snapshot.json that is no closing note."""
            bucket = here.origin.bucket("repository")
            return any(b'"abandoned"' not in bucket.get(key) for key in bucket.list("snapshots/")
                       if key.endswith("/snapshot.json") and key not in self.before)

        def dumping():
            return os.path.exists(os.path.join(self.marks, "begun"))

        def pods(**labels):
            return cluster.pods(namespace, **labels)

        return [
            ("nothing is done yet", None, lambda: True),
            ("the intent is there", None, lambda: new("snapshots/", "/intent.json")),
            ("copying beforehand", "fault slow operation=CopyObject delay=500", lambda: new("data/")),
            ("the record is there", None, here.is_suspended),
            ("pachd is gone", None, lambda: here.is_suspended() and not pods(app="pachd")),
            ("the workers are gone", None, lambda: here.is_suspended() and not pods(app="pachd")
             and not pods(component="worker")),
            ("dumping", None, dumping),
            ("the dump is stored", "fault slow operation=CompleteMultipartUpload key=database delay=3000",
             lambda: dumping() and self.elapsed_since_mark() > 2.5),
            ("pachd is scaled up again", None, lambda: dumping() and here.is_suspended()
             and cluster.replicas(namespace)["deployments/pachd"]),
            ("running again, not committed", "fault slow operation=PutObject key=objects.ndjson delay=4000",
             lambda: dumping() and not here.is_suspended() and not committed()),
            ("committed, and nobody knows", "fault slow operation=PutObject key=snapshot.json delay=4000",
             committed),
        ]

    def elapsed_since_mark(self):
        return time.time() - os.path.getmtime(os.path.join(self.marks, "begun"))

    def begin_until(self, here, name, fault, is_there, slow):
        """A backup that has come to this moment."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.marks, "begun"))
        self.before = here.origin.bucket("repository").list()
        here.origin.set_faults(*([fault] if fault else []))
        run = self.begin("backup", "--config", self.configuration(here), "-v", **slow)
        scenario.wait_until(lambda: is_there() or run.is_over(), 120, name, poll_s=0.02)
        if run.is_over():
            self.fail(f"{name}: over before it was killed\n{run.wait()}")
        return run

    def test_moments(self):
        here = self.pachyderm(chunks=1000, workers=2)
        here.start_simulation()
        slow = {**self.environment(), "PATH": self.slow_dumps()}
        repository = here.origin.url("repository")
        inside = 0
        moments = self.moments(here)
        for number, (name, fault, is_there) in enumerate(moments):
            run = self.begin_until(here, name, fault, is_there, slow)
            run.kill(signal.SIGKILL)
            run.wait()
            here.origin.set_faults()
            is_inside = here.is_suspended()
            inside += is_inside
            # The next command, in turn: another backup to its end, or resume.
            if number % 2:
                told = self.succeed("resume", "--config", self.configuration(here), **self.environment())
            else:
                told = self.backup(here)
            print(f"killed: {name}{' (suspended)' if is_inside else ''}; then {told.arguments[0]}", flush=True)
            self.assertTrue(here.is_scaled_up(), f"scaled down after: {name}")
            self.assertFalse(here.is_suspended())
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        self.assertGreaterEqual(inside, 4, "too few runs were killed in the window")
        committed = self.committed(repository)
        self.assertGreaterEqual(len(committed), len(moments) // 2)
        here.stop_simulation()
        there = self.postgres()
        for number, snapshot in enumerate(committed):
            self.succeed("verify", repository, "--snapshot", snapshot, "--database", "--identity", self.identity)
            # And by a check that is not pbcopy's: in a bucket of its own, as others would fill its gaps.
            bucket = f"agreement-{number}"
            here.origin.client.create_bucket(Bucket=bucket)
            there.create("pachyderm", "dex")
            self.restore(here, self.new_namespace("none"), there, "--snapshot", snapshot, "--kubernetes", "none",
                         destination=bucket)
            self.assert_agrees(there, here.origin.bucket(bucket))
            there.drop("pachyderm", "dex")
        # The last one comes back whole.
        there.create("pachyderm", "dex")
        self.restore(here, self.new_namespace("again"), there)
        self.assert_agrees(there, here.origin.bucket("restored"))

    def test_interrupts_at_the_same_moments(self):
        """Nobody needs to run anything after Ctrl-C: the cluster runs, and what was not committed is not there."""
        here = self.pachyderm(chunks=300, workers=1)
        here.start_simulation()
        slow = {**self.environment(), "PATH": self.slow_dumps()}
        committed = 0
        for name, fault, is_there in self.moments(here):
            run = self.begin_until(here, name, fault, is_there, slow)
            run.kill(signal.SIGINT)
            ended = run.wait()
            here.origin.set_faults()
            with self.subTest(name):
                # Before it listens to signals, the kernel ends it.
                at_once = (-signal.SIGINT,) if name == "nothing is done yet" else ()
                self.assertIn(ended.exit_code, (scenario.CANCELLED, scenario.OK, *at_once), ended)
                self.assertFalse(here.is_suspended(), ended)
                self.assertTrue(here.is_scaled_up(), ended)
                told = len(self.committed(here.origin.url("repository"))) if self.before else 0
                if "was being committed" not in ended.stderr:
                    self.assertEqual(told - committed, int(ended.exit_code == scenario.OK), ended)
                committed = told
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)

    def test_signals(self):
        here = self.pachyderm(chunks=100, workers=1)
        here.start_simulation()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            run = self.begin("backup", "--config", self.configuration(here), **self.environment())
            scenario.wait_until(lambda: not self.cluster.replicas(here.namespace)["deployments/pachd"], 60,
                                "pachd to be scaled to 0", poll_s=0.05)
            time.sleep(1)
            run.kill(number)
            ended = run.wait()
            self.assert_failed(ended, scenario.CANCELLED, "nothing was committed")
            self.assertRegex(ended.stderr.splitlines()[-1],
                             rf"^cluster {here.namespace}: suspended [0-9:]{{8}}, running again [0-9:]{{8}} \([0-9]+ s\)$")
            self.assertFalse(here.is_suspended())
            self.assertTrue(here.is_scaled_up())
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        self.assertEqual(self.committed(here.origin.url("repository")), [])

    def hanging(self, program, argument, call=1):
        """PATH with a program in front that hangs at that call of those that have `argument` among their arguments, and
        the mark that it leaves then."""
        mark = os.path.join(self.folder, f"mark-{program}-{argument.strip('-')}")
        path = self.program(
            program, f'if [[ " $* " == *" {argument}"* && " $* " != *"--version"* ]]; then\n'
                     f'  number=1  # several may be called at once\n'
                     f'  while ! mkdir "{mark}-$number" 2> /dev/null; do number=$((number + 1)); done\n'
                     f'  if [[ $number == {call} ]]; then\n'
                     f'    touch "{mark}"; trap "" TERM INT; while :; do sleep 1; done\n  fi\nfi\nexec "$REAL" "$@"',
            apart=f"hang-{program}-{argument.strip('-')}")
        return path, mark

    def test_children_that_hang_in_the_window(self):
        """When the allowed downtime is over, whatever hangs is ended and the cluster runs again."""
        here = self.pachyderm(chunks=100, workers=1)
        here.start_simulation()
        allowed_s = 20
        # age is called once before, to see whether it takes the recipient; the kinds are asked for twice, and sort sorts once.
        for program, argument, call in (("pg_dump", "--format", 1), ("pg_restore", "--file", 1), ("age", "--encrypt", 2),
                                        ("kubectl", "api-resources", 3), ("kubectl", "patch", 1)):
            with self.subTest(program, argument=argument):
                path, mark = self.hanging(program, argument, call)
                started = time.monotonic()
                run = self.pbcopy("backup", "--config", self.configuration(here), "--max-downtime", f"{allowed_s}s",
                                  **{**self.environment(), "PATH": path})
                self.assertTrue(os.path.exists(mark), f"it was not called\n{run}")
                self.assert_failed(run, scenario.FAILED, "over the allowed downtime", hint="--max-downtime")
                self.assertIn("may be for", run.stderr)
                self.assertLess(time.monotonic() - started, allowed_s + 60)
                self.assertFalse(here.is_suspended())
                self.assertTrue(here.is_scaled_up())
                scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        # After the window the cluster runs, whatever hangs; Ctrl-C ends it.
        path, mark = self.hanging("sort", "--unique", 2)
        run = self.begin("backup", "--config", self.configuration(here), **{**self.environment(), "PATH": path})
        scenario.wait_until(lambda: os.path.exists(mark) and not here.is_suspended(), 60, "the end of the window")
        time.sleep(2)
        self.assertFalse(run.is_over())
        self.assertTrue(here.is_scaled_up())
        run.kill(signal.SIGINT)
        self.assert_failed(run.wait(60), scenario.CANCELLED, "nothing was committed")
        self.assertEqual(self.committed(here.origin.url("repository")), [])
        run = self.succeed("backup", "--config", self.configuration(here), "--max-downtime", "0", **self.environment())
        self.assertIn("nothing ends this backup", run.stderr)

    def test_suspend_and_resume_by_themselves(self):
        here = self.pachyderm(chunks=50, workers=2)
        here.start_simulation()
        configuration = self.configuration(here)
        run = self.succeed("suspend", "--config", configuration, "--json", **self.environment())
        self.assertRegex(run.stderr.splitlines()[-1],
                         rf"^cluster {here.namespace}: suspended [0-9:]{{8}}: `pbcopy resume --namespace {here.namespace}`")
        told = run.json()
        # Each change is told, with its time.
        self.assertRegex("\n".join(told["notes"]),
                         r"^[0-9:]{8} made ConfigMap pbcopy-suspension\n[0-9:]{8} scaled Deployment pachd to 0\n")
        self.assertEqual([told["cluster_state"][name] for name in ("namespace", "state", "resumed")],
                         [here.namespace, "suspended", None])
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
