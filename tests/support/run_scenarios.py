"""Two runs of one source, runs that freeze and wake, runs that die: on any store. A test file gives the places.

A store is `place(name)`: a URL, and how to read and write its objects without pbcopy."""

import hashlib
import os
import shutil
import signal
import subprocess

import scenario
from scenario import wait_until


class Folder:
    """A directory as a bucket; reads like scenario.Bucket. Keys are plain names here."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        self.url = "file://" + path

    def put(self, key, body):
        path = os.path.join(self.path, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "wb") as file:
            file.write(body)
        os.replace(path + ".new", path)

    def delete(self, key):
        os.unlink(os.path.join(self.path, key))

    def get(self, key):
        with open(os.path.join(self.path, key), "rb") as file:
            return file.read()

    def list(self, prefix=""):
        found = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = os.path.join(folder, name)
                key = os.path.relpath(path, self.path)
                if key.startswith(prefix) and ".pbcopy-" not in key:
                    found[key] = os.path.getsize(path)
        return found

    def digests(self, prefix=""):
        return {key: hashlib.sha256(self.get(key)).hexdigest() for key in self.list(prefix)}


class RunScenarios:
    """Mixed into a scenario.Scenario; `place(name)` gives a new empty store, `limits` slow a run down so that it can
    be caught in its middle."""

    objects = 400
    limits = ("--parallel", "4", "--limit-requests", "150")

    def fill(self, source, text="first"):
        for number in range(self.objects):
            source.put(f"folder-{number % 7}/{number:05}", f"{text} {number}".encode())

    def places(self):
        source, repository = self.place("source"), self.place("repository")
        self.fill(source)
        return source, repository

    def stored(self, repository):
        return len(repository.list("data/"))

    def freeze(self, source, repository, *more, least=40):
        """A run that has stored so many objects, or somewhat more, and is stopped. It stands still while its objects are
        counted: on a busy machine a count takes as long as the rest of the run."""
        running = self.begin("backup", source.url, repository.url, *self.limits, *more)

        def has_stored_them():
            running.kill(signal.SIGSTOP)
            self.assertFalse(running.is_over(), "it was to be caught in its middle")
            if self.stored(repository) >= least:
                return True
            running.kill(signal.SIGCONT)
            return False

        wait_until(has_stored_them, timeout_s=180, poll_s=0.05, what="objects stored")
        return running

    def begin_slow(self, source, repository, *more, least=40):
        running = self.freeze(source, repository, *more, least=least)
        running.kill(signal.SIGCONT)
        return running

    def die(self, source, repository, *more, least=40):
        running = self.freeze(source, repository, *more, least=least)
        running.kill()
        running.wait()

    def assert_restores(self, repository, expected, *more):
        into = self.place("restored")
        self.succeed("verify", repository.url, "--read", *more)
        self.succeed("restore", repository.url, into.url, *more)
        self.assertEqual(into.digests(), expected)

    def newest(self, repository):
        return self.committed(repository.url)[-1]


class DeadRunScenarios(RunScenarios):
    """A run that dies, and the one after it."""

    def test_a_backup_after_a_dead_run_is_of_today(self):
        source, repository = self.places()
        self.die(source, repository, least=self.objects * 3 // 4)
        keys = sorted(source.list())
        source.put(keys[3] + "-new", b"new")
        source.put(keys[5], b"changed")
        source.delete(keys[7])
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        self.assertTrue(told["resumed"])
        self.assertGreater(told["resumed_objects"], self.objects // 2)
        self.assert_restores(repository, source.digests())

    def test_nothing_is_copied_again_after_a_dead_run(self):
        source, repository = self.places()
        self.die(source, repository, least=self.objects // 2)
        stored = self.stored(repository)
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        self.assertGreaterEqual(told["resumed_objects"], stored - 4)
        self.assertLessEqual(self.stored(repository), self.objects + 4)
        self.assert_restores(repository, source.digests())


class MeetingScenarios(RunScenarios):
    """Runs that meet."""

    # ---- a run that freezes and wakes ----

    def freeze_and_wake(self, *second, prefix=()):
        source, repository = self.places()
        frozen = self.freeze(source, repository)
        expected = source.digests()
        self.succeed("backup", source.url, repository.url, *second)
        snapshot = self.newest(repository)
        self.fill(source, "second")
        frozen.kill(signal.SIGCONT)
        woken = frozen.wait()
        self.assert_failed(woken, scenario.BUSY, says="")
        self.assertEqual(self.committed(repository.url), [snapshot])
        self.assert_restores(repository, expected)
        # What the frozen run copied was used, and the next backup is of today.
        self.succeed("backup", source.url, repository.url)
        self.assert_restores(repository, source.digests())

    def test_a_run_that_was_frozen_changes_nothing_when_it_wakes(self):
        self.freeze_and_wake("--take-over")

    # ---- two at once ----

    def test_of_two_runs_that_begin_at_once_one_is_refused(self):
        source, repository = self.places()
        self.succeed("backup", source.url, repository.url)
        self.fill(source, "second")
        runs = [self.begin("backup", source.url, repository.url, "--no-wait", *self.limits) for _ in range(3)]
        codes = sorted(run.wait().exit_code for run in runs)
        self.assertEqual(codes, [scenario.OK, scenario.BUSY, scenario.BUSY])
        self.assert_restores(repository, source.digests())

    def test_a_run_waits_for_another_and_goes_on_when_that_has_ended(self):
        source, repository = self.places()
        first = self.begin_slow(source, repository)
        second = self.succeed("backup", source.url, repository.url)
        self.assertEqual(first.wait().exit_code, scenario.OK)
        self.assertEqual(len(self.committed(repository.url)), 2)
        self.assertIn("0 B", second.stdout)  # the first had copied it all

    # ---- what they leave behind ----

    def test_a_run_that_died_five_times(self):
        source, repository = self.places()
        self.limits = ("--parallel", "4", "--limit-requests", "25")  # none comes to its end, however slow it is to see
        for _ in range(5):  # each stores something itself, however far the one before came
            self.die(source, repository, least=self.stored(repository) + 5)
        stored = self.stored(repository)
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        self.assertGreaterEqual(told["resumed_objects"], stored - 20)
        self.assert_restores(repository, source.digests())
        self.assertEqual(len(self.snapshots(repository.url)), 1)  # the others are abandoned
        everything = self.succeed("snapshots", repository.url, "--all", "--json").json()["snapshots"]
        self.assertEqual(sorted(each["state"] for each in everything), 5 * ["abandoned"] + ["complete"])

    def test_full_after_an_unfinished_incremental_run_and_the_other_way_round(self):
        source, repository = self.places()
        self.succeed("backup", source.url, repository.url)
        for first, second in (((), ("--full",)), (("--full",), ())):
            self.fill(source, str(first))
            stored = self.stored(repository)
            self.die(source, repository, *first, least=stored + 20)
            self.succeed("backup", source.url, repository.url, *second)
            self.assert_restores(repository, source.digests())

    def test_damaged_leavings_are_left_unused(self):
        source, repository = self.places()
        self.succeed("backup", source.url, repository.url)
        for flaw in (b"[" * 100000, b'{"pbcopy":"intent","version":99}'):
            self.fill(source, hashlib.sha256(flaw).hexdigest())
            self.die(source, repository, least=self.stored(repository) + 20)
            unfinished = [each for each, state in self.snapshots(repository.url) if state != "complete"][-1]
            repository.put(f"snapshots/{unfinished}/intent.json", flaw)
            self.succeed("backup", source.url, repository.url)
            self.succeed("backup", source.url, repository.url, "--full")
            self.assert_restores(repository, source.digests())

    def test_a_closing_note_with_odd_contents_is_one(self):
        source, repository = self.places()
        for note in (b'{"pbcopy":"abandoned"}', b'{"pbcopy":"abandoned","version":7,"by":["x"],"when":0}'):
            self.fill(source, hashlib.sha256(note).hexdigest())
            run = self.freeze(source, repository, least=self.stored(repository) + 20)
            attempt = [each for each, state in self.snapshots(repository.url) if state == "unfinished"][-1]
            repository.put(f"snapshots/{attempt}/snapshot.json", note)
            run.kill(signal.SIGCONT)
            self.assert_failed(run.wait(), scenario.BUSY, says="closed by")
        self.succeed("backup", source.url, repository.url)
        self.assert_restores(repository, source.digests())

    # ---- the lease ----

    def lease(self, repository):
        (key,) = [key for key in repository.list("sources/") if key.endswith("/run.json")]
        return key

    def test_a_lease_of_a_newer_program_is_not_touched(self):
        source, repository = self.places()
        run = self.freeze(source, repository)
        key = self.lease(repository)
        run.kill()
        run.wait()
        newer = b'{"pbcopy":"run","version":2}'
        repository.put(key, newer)
        self.fail_with(scenario.USAGE, "backup", source.url, repository.url, says="version 2", hint="newer pbcopy")
        self.assertEqual(repository.get(key), newer)

    def test_a_run_whose_lease_is_taken_over_ends(self):
        source, repository = self.places()
        run = self.freeze(source, repository)
        repository.put(self.lease(repository), b"something else")
        run.kill(signal.SIGCONT)
        self.assert_failed(run.wait(), scenario.BUSY, says="lease")
        self.assertEqual(self.committed(repository.url), [])

    def test_a_damaged_lease_delays_and_does_not_block(self):
        source, repository = self.places()
        run = self.freeze(source, repository)
        key = self.lease(repository)
        run.kill()
        run.wait()
        repository.put(key, b"\0" * 2000000)
        self.fail_with(scenario.BUSY, "backup", source.url, repository.url, "--no-wait", hint="--take-over")
        self.succeed("backup", source.url, repository.url, "--take-over")
        self.assert_restores(repository, source.digests())


class OnOrigin:
    """Inside one store."""

    def setUp(self):
        super().setUp()
        self.server = self.origin("--page-size", "50")
        self.places_made = 0

    def place(self, name):
        return self.bucket(name, self.server)

    def bucket(self, name, server):
        self.places_made += 1
        bucket = f"{name}-{self.places_made}"
        server.client.create_bucket(Bucket=bucket)
        place = server.bucket(bucket)
        place.url = server.url(bucket)
        return place

    def directory(self, name):
        self.places_made += 1
        return Folder(os.path.join(self.folder, f"{name}-{self.places_made}"))


def elsewhere(*arguments, clock_s=0):
    """The command as another machine would run it: another host name, and a clock of its own. None where that
    cannot be had (it takes root and faketime)."""
    if os.geteuid() or not shutil.which("faketime") or not shutil.which("unshare"):
        return None
    if subprocess.run(["unshare", "--uts", "hostname", "elsewhere"], check=False, capture_output=True).returncode:
        return None
    inner = ["faketime", "-f", f"{clock_s:+}s"] if clock_s else []
    return ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh", *inner, *arguments]
