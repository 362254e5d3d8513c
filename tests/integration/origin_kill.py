"""A run that was killed leaves no snapshot, and the next one goes on from where it ended.

Every moment is chosen by what the store has seen, not by a clock: a fault plan holds the run at a request, or
the store's counts say that so many objects are through."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import some_bytes, wait_until

MIB = 1 << 20
OBJECTS = 1200
PAGE = "100"  # many pages, so that there are several ranges and parts

# Stretches a run, so that counts can be caught in its middle.
SLOW = "fault slow delay=5"


class Kill(scenario.Scenario):
    relayed = False

    def setUp(self):
        super().setUp()
        fill = ("--fill", f"source:{OBJECTS}:300:tree")
        self.second = self.origin(*(() if self.relayed else fill), "--page-size", PAGE,
                                  buckets=("repository", "undisturbed"))
        self.first = self.origin(*fill, "--page-size", PAGE) if self.relayed else self.second
        self.moved = "PutObject" if self.relayed else "CopyObject"
        self.source = self.first.bucket("source")
        self.source.put("large", some_bytes(26 * MIB))
        self.source.put_parts("parts", some_bytes(20 * MIB), 8 * MIB)
        self.objects = OBJECTS + 2
        self.arguments = ("--parallel", "8", "--memory", "64M", "--loops", "2")
        self.succeed("backup", self.first.url("source"), self.second.url("undisturbed"))
        self.expected = self.anonymous_records(self.second.url("undisturbed"))

    # A moment is a fault plan of the repository's store, and a condition on its counts.

    def held(self, key, *more):
        """A PUT is refused again and again, until the run is killed: it was not done."""
        rule = " ".join(("fault error503 operation=PutObject", "key=" + key) + more)
        return ((rule, SLOW), lambda counts: counts["faults"]["error503"] > 0)

    def unanswered(self, operation, *more):
        """A request is done, but the run never hears of it."""
        rule = " ".join(("fault stall times=1", "operation=" + operation) + more)
        return ((rule, SLOW), lambda counts: counts["faults"]["stall"] > 0)

    def after(self, operation, count, *plan):
        return ((*plan, SLOW), lambda counts: counts[operation] >= count)

    def moments(self):
        result = {
            "the repository's mark": self.held("pbcopy.json"),
            "the intent": self.held("intent.json"),
            "the intent, written": self.unanswered("PutObject", "key=intent.json"),
            "the first objects": self.after(self.moved, 8),
            "a tenth": self.after(self.moved, OBJECTS // 10),
            "the half": self.after(self.moved, OBJECTS // 2),
            "nine tenths": self.after(self.moved, OBJECTS * 9 // 10),
            "the first part": self.held("/manifest/"),
            "a later part": self.held("/manifest/", "after=3"),
            "a later part, written": self.unanswered("PutObject", "key=/manifest/", "after=3"),
            "the commit": self.held("snapshot.json"),
        }
        if self.relayed:
            result["parts of an upload"] = self.unanswered("UploadPart", "after=2")
            result["the end of an upload"] = self.unanswered("CompleteMultipartUpload")
        else:
            result["a copy"] = self.unanswered("CopyObject", "key=folder-01/file-003")
        return result

    def run_and_kill(self, url, plan, condition, name):
        self.second.reset_statistics()
        self.second.set_faults(*plan)
        running = self.begin("backup", self.first.url("source"), url, *self.arguments)
        wait_until(lambda: condition(self.second.statistics()) or running.is_over(), what=name)
        if running.is_over():
            self.fail(f"{name}: over before it could be killed: {running.wait()}")
        running.kill(signal.SIGKILL)
        killed = running.wait()
        self.assertEqual(killed.exit_code, -signal.SIGKILL)
        self.second.set_faults()

    def test_kill(self):
        for number, (name, (plan, condition)) in enumerate(self.moments().items()):
            with self.subTest(name):
                repository = f"repository-{number}"
                self.second.client.create_bucket(Bucket=repository)
                url, bucket = self.second.url(repository), self.second.bucket(repository)
                self.run_and_kill(url, plan, condition, name)

                # Nothing that could be taken for a snapshot.
                keys = bucket.list()
                self.assertEqual([key for key in keys if key.endswith("snapshot.json")], [])
                if "pbcopy.json" in keys:
                    self.assertEqual(self.committed(url), [])
                    self.fail_with(scenario.NOT_FOUND, "verify", url)
                stored = {key.split("/", 2)[2] for key in keys if key.startswith("data/")}

                self.second.reset_statistics()
                told = self.succeed("backup", self.first.url("source"), url, "--json", *self.arguments).json()
                counts = self.second.statistics()
                self.assertEqual(told["resumed"], any(key.endswith("intent.json") for key in keys))
                self.assert_is_whole(url)
                # What was there was not moved again. (Documents are PUT, too: the mark and its probes, the
                # intent, the parts, the commit, and the lease, which is renewed every 10 s.)
                documents = len(bucket.list("snapshots/")) + 10
                self.assertLessEqual(counts[self.moved], self.objects - len(stored - {"parts"}) +
                                     (documents if self.relayed else scenario.PROBE_COPIES))
                self.assertEqual(len(stored - set(self.source.list())), 0)

    def assert_is_whole(self, url):
        self.assertEqual([state for _, state in self.snapshots(url)], ["complete"])
        self.assertEqual(self.anonymous_records(url), self.expected)
        self.succeed("verify", url)
        self.succeed("verify", url, "--read")

    def test_killed_again_and_again(self):
        """Each run gets some objects further, and is killed; the last one finds the rest done."""
        url = self.second.url("repository")
        for _ in range(4):
            self.run_and_kill(url, *self.after(self.moved, 150), "some more")
        stored = len(self.second.bucket("repository").list("data/"))
        self.assertGreater(stored, 300)
        self.second.reset_statistics()
        self.succeed("backup", self.first.url("source"), url, *self.arguments)
        counts = self.second.statistics()
        documents = len(self.second.bucket("repository").list("snapshots/"))
        self.assertLessEqual(counts[self.moved], self.objects - stored + 1 + (documents if self.relayed else 0))
        self.assert_is_whole(url)

    def test_killed_while_the_source_changes(self):
        """Objects that change or go between the runs are of the second run's state."""
        self.second.client.create_bucket(Bucket="restored")
        url = self.second.url("repository")
        # Ranges that a part covers are not looked at again: here no part is stored before the kill.
        self.run_and_kill(url, *self.after(self.moved, OBJECTS // 2,
                                           "fault error503 operation=PutObject key=/manifest/"), "the half")
        stored = sorted(key.split("/", 2)[2] for key in self.second.bucket("repository").list("data/"))
        self.assertGreater(len(stored), 20)
        for key in stored[:5]:
            self.source.delete(key)
        for key in stored[5:10]:
            self.source.put(key, some_bytes(len(self.source.get(key)), "changed, of the same size"))
        self.source.put("branch-00000/added", b"added")
        self.succeed("backup", self.first.url("source"), url, *self.arguments)
        identity, = self.committed(url)
        in_parts = {each["key"] for each in self.records(url)}
        self.assertEqual(in_parts, set(self.source.list()))
        self.succeed("verify", url)
        self.succeed("verify", url, "--read")
        self.succeed("restore", url, self.second.url("restored"))
        self.assertEqual(self.second.bucket("restored").digests(), self.source.digests())

    def test_killed_after_the_commit(self):
        """The commit was made, and the run died before it heard of it: the next one is a new snapshot."""
        url = self.second.url("repository")
        self.run_and_kill(url, *self.unanswered("PutObject", "key=snapshot.json"), "the commit's answer")
        self.assert_is_whole(url)
        self.second.reset_statistics()
        self.succeed("backup", self.first.url("source"), url)
        self.assertEqual(self.second.statistics()["CopyObject"], 0)
        self.assertEqual([state for _, state in self.snapshots(url)], ["complete", "complete"])

    def test_incremental_killed(self):
        url = self.second.url("repository")
        self.succeed("backup", self.first.url("source"), url)
        base = self.committed(url)[0]
        old = self.source.digests()
        for i in range(200):
            self.source.put(f"branch-0000{i % 3}/new-{i:04}", some_bytes(400 + i, ("new", i)))
        for i in range(10):
            key = f"branch-00000/folder-00/file-{i}05"
            self.assertEqual(self.source.head(key)["ContentLength"], 300)
            self.source.put(key, f"changed {i}".encode())
        self.source.delete("branch-00000/folder-01/file-001")
        self.succeed("backup", self.first.url("source"), self.second.url("undisturbed"))
        undisturbed = self.committed(self.second.url("undisturbed"))
        expected = [line.replace(undisturbed[0], base) for line in
                    self.anonymous_records(self.second.url("undisturbed"), undisturbed[0])]
        for name, (plan, condition) in {
                "objects": self.after(self.moved, 80),
                "a part": self.held("/manifest/"),
                # The closing notes of the two runs before, of which one held the lease, come first.
                "the commit": self.held("snapshot.json", "after=3")}.items():
            self.run_and_kill(url, plan, condition, name)
            self.assertEqual(self.committed(url), [base])
            self.succeed("verify", url)
        self.second.reset_statistics()
        self.succeed("backup", self.first.url("source"), url, *self.arguments)
        self.assertEqual(self.second.statistics()["CopyObject"], 0, "all was there")
        self.assertEqual(len(self.committed(url)), 2)
        self.assertEqual(self.anonymous_records(url, base), expected)
        for identity in self.committed(url):
            self.succeed("verify", url, "--snapshot", identity)
            self.succeed("verify", url, "--snapshot", identity, "--read")
        self.second.client.create_bucket(Bucket="older")
        self.succeed("restore", url, self.second.url("older"), "--snapshot", base)
        self.assertEqual(self.second.bucket("older").digests(), old)

    def test_restore_killed(self):
        """A restore goes on, too."""
        self.second.client.create_bucket(Bucket="restored")
        self.second.reset_statistics()
        self.second.set_faults(SLOW)
        running = self.begin("restore", self.second.url("undisturbed"), self.second.url("restored"),
                             *self.arguments)
        wait_until(lambda: self.second.statistics()["CopyObject"] >= OBJECTS // 2 or running.is_over())
        running.kill()
        running.wait()
        self.second.set_faults()
        there = len(self.second.bucket("restored").list())
        self.assertTrue(0 < there < self.objects, there)
        self.second.reset_statistics()
        self.succeed("restore", self.second.url("undisturbed"), self.second.url("restored"))
        self.assertLessEqual(self.second.statistics()["CopyObject"], self.objects - there)
        self.assertEqual(self.second.bucket("restored").digests(), self.source.digests())


class KillOfRelay(Kill):
    relayed = True


if __name__ == "__main__":
    scenario.main()
