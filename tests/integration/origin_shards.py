"""A bucket of any shape is soon listed by many shards, each key once; loops without a shard are lent work."""

import os
import random
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import some_bytes

MIB = 1 << 20


class Shards(scenario.Scenario):
    def figures(self, run):
        """What -v tells of the engine."""
        told = re.search(r"(\d+) loops, (\d+) shards, (\d+) loans", run.stderr)
        self.assertIsNotNone(told, run)
        return dict(zip(("loops", "shards", "loans"), map(int, told.groups())))

    def test_shapes(self):
        objects, page = 4000, 50
        fills = [word for shape in ("flat", "chunk", "tree")
                 for word in ("--fill", f"{shape}:{objects}:10:{shape}")]
        origin = self.origin(*fills, "--page-size", str(page), "--latency-ms", "5", buckets=("empty",))
        for shape in ("flat", "chunk", "tree"):
            with self.subTest(shape):
                origin.reset_statistics()
                run = self.succeed("copy", origin.url(shape), origin.url("empty"), "--dry-run", "-v", "--json",
                                   "--loops", "2")
                self.assertEqual(run.json()["objects"], objects)
                shards = self.figures(run)["shards"]
                listings = origin.statistics()["ListObjectsV2"]
                print(f"{shape}: {shards} shards, {listings} listings of {2 * objects // page} pages", flush=True)
                self.assertGreater(shards, 8)
                # The empty destination is listed once a shard; half of the pages is the most that guesses cost.
                self.assertLess(listings - shards, 1.5 * objects / page + 256)

    def test_odd_keys(self):
        """The parts of a snapshot cover all keys, though ranges that held none have no part."""
        origin = self.origin("--page-size", "10", buckets=("source", "repository", "restored"))
        source, url = origin.bucket("source"), origin.url("repository")
        dice = random.Random(7)
        alphabet = "abz019-_/.+ %&<\"'äßж中文字\U0001f600\u0301~"
        keys = {"".join(dice.choice(alphabet) for _ in range(dice.randint(1, 12))) for _ in range(200)}
        keys |= {f"deep/er/and/deeper/{i:03}" for i in range(200)} | {"\U0010fffd" * 3, "0", "!"}
        keys = {key for key in keys if not key.startswith("/") and "//" not in key}
        source.put_many({key: some_bytes(10, key) for key in sorted(keys)})
        run = self.succeed("backup", origin.url("source"), url, "-v", "--loops", "2")
        self.assertGreater(self.figures(run)["shards"], 4)
        self.assertEqual([each["key"] for each in self.records(url)], sorted(keys, key=lambda key: key.encode()))
        for key in sorted(keys)[::7]:
            source.delete(key)
        second = self.succeed("backup", origin.url("source"), url, "--json").json()
        self.assertEqual(second["snapshot"]["copied_objects"], 0)
        self.succeed("verify", url, "--read")
        self.succeed("restore", url, origin.url("restored"))
        self.assertEqual(origin.bucket("restored").digests(), source.digests())

    def test_loans(self):
        """Twelve large objects are one page, and so one shard's: the other loop takes its part."""
        first = self.origin(buckets=("source",))
        second = self.origin(buckets=("destination",))
        first.bucket("source").put_many({f"large-{i:02}": some_bytes(9 * MIB, i) for i in range(12)})
        run = self.succeed("copy", first.url("source"), second.url("destination"), "-v", "--loops", "2",
                           "--parallel", "4")
        self.assertGreater(self.figures(run)["loans"], 0)
        self.assertEqual(second.bucket("destination").digests(), first.bucket("source").digests())
        # One that does not arrive as it was is told by the loop that it belongs to.
        first.set_faults("fault flipped operation=GetObject key=large-07")
        second.client.create_bucket(Bucket="again")
        run = self.pbcopy("copy", first.url("source"), second.url("again"), "--loops", "2", "--parallel", "4",
                          "--json")
        self.assert_failed(run, scenario.FAILED)
        self.assertEqual(run.json()["failed_objects"], 1)
        self.assertEqual(len(second.bucket("again").list()), 11)


    def tickets(self, run):
        """Given back, and the most bytes in buffers at any time."""
        told = re.search(r"(\d+) of (\d+) tickets given back, at most (\d+) bytes", run.stderr)
        self.assertIsNotNone(told, run)
        given, taken, most = map(int, told.groups())
        self.assertEqual(given, taken)
        return given, most

    def test_no_ticket_is_lost(self):
        """Whatever becomes of a transfer, its buffer goes back to the budget, which is never overdrawn."""
        first = self.origin(buckets=("source",))
        second = self.origin(buckets=("destination", "again", "third"))
        first.bucket("source").put_many({f"small/{i:03}": some_bytes(70_000, i) for i in range(300)})
        first.bucket("source").put_many({f"large/{i}": some_bytes(25 * MIB, i) for i in range(4)})
        first.bucket("source").put_parts("parts", some_bytes(30 * MIB), 6 * MIB)
        arguments = (first.url("source"), "-v", "--loops", "2", "--parallel", "64", "--memory", "64M")
        given, most = self.tickets(self.succeed("copy", *arguments, second.url("destination")))
        self.assertGreaterEqual(given, 305)
        self.assertLessEqual(most, 64 * MIB)
        # Answers that are lost, cut, late and refused; one object that never arrives as it was.
        unrest = ("seed 11", "fault error503 probability=0.05", "fault reset probability=0.03",
                  "fault truncated probability=0.05 operation=GetObject")
        first.set_faults(*unrest, "fault flipped operation=GetObject key=small/123")
        second.set_faults(*unrest, "fault reset-after probability=0.03")
        run = self.pbcopy("copy", *arguments, second.url("again"))
        self.assert_failed(run, scenario.FAILED)
        more, most = self.tickets(run)
        self.assertGreater(more, given)
        self.assertLessEqual(most, 64 * MIB)
        # Cancelled in the middle.
        first.set_faults("fault slow delay=30")
        second.set_faults()
        second.reset_statistics()
        running = self.begin("copy", *arguments, second.url("third"))
        scenario.wait_until(lambda: second.statistics()["PutObject"] > 20 or running.is_over())
        running.kill(signal.SIGINT)
        run = running.wait()
        self.assert_failed(run, scenario.CANCELLED)
        self.tickets(run)


if __name__ == "__main__":
    scenario.main()
