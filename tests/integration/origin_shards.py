"""A bucket of any shape is soon listed by many shards, each key once; loops without a shard are lent work."""

import os
import random
import re
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


if __name__ == "__main__":
    scenario.main()
