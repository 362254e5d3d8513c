"""Stores that fail now and then: a backup rides it out and what it commits is whole, or it says so."""

import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, some_bytes

MIB = 1 << 20

# A few per cent each of what networks and stores do. Not `flipped`, which is aimed (below), and not `lost`,
# which no client can ride out.
USUAL = [
    "fault error500 probability=0.03",
    "fault error503 probability=0.03",
    "fault reset probability=0.02",
    "fault reset-after probability=0.02",
    "fault truncated probability=0.03",
    "fault slow probability=0.01 delay=300",
    "fault error200 operation=CopyObject probability=0.04",
    "fault error200 operation=UploadPartCopy probability=0.1",
    "fault error200 operation=CompleteMultipartUpload probability=0.2",
]


class Faults(scenario.Scenario):
    def fill(self, bucket, count=500):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: bucket.put(f"folder-{i % 10}/{i:04}", some_bytes(200 + i, i)), range(count)))
        bucket.put("empty", b"")
        bucket.put("alone", some_bytes(6 * MIB))
        bucket.put("larger", some_bytes(26 * MIB))
        bucket.put_parts("parts-of-8", some_bytes(20 * MIB, 1), 8 * MIB, Metadata={"kept": "yes"})
        bucket.put_parts("parts-of-5", some_bytes(11 * MIB, 2), 5 * MIB)

    def check(self, source, url, restored):
        """A clean repository, and the source's bytes out of it."""
        self.assertEqual(len(self.committed(url)), 1)
        self.succeed("verify", url)
        self.succeed("verify", url, "--read")
        self.succeed("restore", url, restored.origin.url(restored.name))
        self.assert_same_objects(source, restored)

    def ride_out(self, seeds, first, second, *plan):
        """Back up, verify and restore under a plan; each seed into a new bucket."""
        source = first.bucket("source")
        self.fill(source)
        for seed in seeds:
            with self.subTest(seed=seed):
                for bucket in f"repository-{seed}", f"restored-{seed}":
                    second.client.create_bucket(Bucket=bucket)
                url = second.url(f"repository-{seed}")
                for origin in {first, second}:
                    origin.reset_statistics()
                    origin.set_faults(f"seed {seed}", *plan)
                self.succeed("backup", first.url("source"), url, "--parallel", "32", "--memory", "64M")
                faults = {}
                for origin in {first, second}:
                    for kind, count in origin.statistics()["faults"].items():
                        faults[kind] = faults.get(kind, 0) + count
                    origin.set_faults()
                self.assertGreater(sum(faults.values()), 20, "the plan did nothing")
                self.assert_no_uploads(second)
                self.check(source, url, second.bucket(f"restored-{seed}"))

    def assert_no_uploads(self, origin):
        """Uploads whose answer to CreateMultipartUpload was lost have nobody who knows their id; all
        others must be completed or aborted."""
        left = origin.statistics()
        lost = left["faults"]["reset-after"] + left["faults"]["truncated"]
        self.assertLessEqual(left["uploads"], lost)

    def test_inside_one_store(self):
        origin = self.origin(buckets=("source",))
        self.ride_out((1, 2, 3), origin, origin, *USUAL)

    def test_inside_one_store_that_keeps_etags(self):
        origin = self.origin("--ceph-copy-etag", buckets=("source",))
        self.ride_out((4,), origin, origin, *USUAL)

    def test_between_two_stores(self):
        self.ride_out((5, 6, 7), self.origin(buckets=("source",)), self.origin(), *USUAL)

    def test_restore_and_verify(self):
        """The other commands read and write under the same faults."""
        for name, relayed in (("inside", False), ("between", True)):
            with self.subTest(name):
                origin = self.origin(buckets=("source", "repository", "restored"))
                other = self.origin(buckets=("restored",)) if relayed else origin
                self.fill(origin.bucket("source"), 300)
                self.succeed("backup", origin.url("source"), origin.url("repository"))
                for each in {origin, other}:
                    each.set_faults("seed 11", *USUAL)
                self.succeed("verify", origin.url("repository"))
                self.succeed("verify", origin.url("repository"), "--read")
                self.succeed("restore", origin.url("repository"), other.url("restored"))
                self.succeed("snapshots", origin.url("repository"))
                self.succeed("show", origin.url("repository"), "--records")
                self.succeed("copy", origin.url("source"), other.url("restored"))
                for each in {origin, other}:
                    each.set_faults()
                self.assert_same_objects(origin.bucket("source"), other.bucket("restored"))

    def test_flipped_on_the_way(self):
        """Bytes that changed on their way do not have the source's ETag: they are read again."""
        first = self.origin(buckets=("source", "restored"))
        second = self.origin(buckets=("repository",))
        self.fill(first.bucket("source"), 40)
        flipped = [*(f"folder-3/00{i}3" for i in range(4)), "alone", "larger", "parts-of-8", "parts-of-5"]
        flips = [f"fault flipped operation=GetObject key={key} times=1" for key in flipped]
        for url, read_by in ((second.url("repository"), second), (f"file://{self.folder}/repository", None)):
            with self.subTest(repository=url.split(":")[0]):
                first.reset_statistics()
                first.set_faults(*flips)
                self.succeed("backup", first.url("source"), url)
                self.assertEqual(first.statistics()["faults"]["flipped"], 8)
                first.set_faults()
                bucket = f"restored-{url.split(':')[0]}"
                first.client.create_bucket(Bucket=bucket)
                self.succeed("verify", url, "--read")
                # And the way back, from the repository: what was written wrongly was copied again, to another place.
                if read_by:
                    places = {record["key"]: record.get("path", record["key"]) for record in self.records(url)}
                    read_by.set_faults(*(f"fault flipped operation=GetObject key={places[key]} times=1"
                                         for key in flipped))
                self.succeed("restore", url, first.url(bucket))
                if read_by:
                    self.assertEqual(read_by.statistics()["faults"]["flipped"], 8)
                    read_by.set_faults()
                self.assertEqual(first.bucket(bucket).digests(), first.bucket("source").digests())

    def test_flipped_every_time(self):
        """A source whose bytes never have its ETag is no source of a snapshot."""
        first, second = self.origin(buckets=("source",)), self.origin(buckets=("repository",))
        first.bucket("source").put_many({f"k{i}": some_bytes(1000, i) for i in range(20)})
        for key in ("k7",):
            first.set_faults(f"fault flipped operation=GetObject key={key}")
            for url in second.url("repository"), f"file://{self.folder}/repository":
                run = self.pbcopy("backup", first.url("source"), url)
                self.assertNotEqual(run.exit_code, 0, run)
                self.assertEqual(len(run.errors), 1, run)
                self.assertIn("1 of the objects could not be copied", run.errors[0])
                self.assertIn(key, run.stdout + run.stderr)
                self.assertEqual(self.committed(url), [])
        first.set_faults()
        self.succeed("backup", first.url("source"), second.url("repository"))
        self.succeed("verify", second.url("repository"), "--read")

    def test_flipped_while_stored(self):
        """The store spoils what it was sent and says nothing: verify --read tells, and names it."""
        first, second = self.origin(buckets=("source",)), self.origin(buckets=("repository", "restored"))
        self.fill(first.bucket("source"), 40)
        second.set_faults("fault flipped operation=PutObject key=folder-2/0022 times=1",
                          "fault flipped operation=UploadPart key=parts-of-8 times=1")
        url = second.url("repository")
        self.succeed("backup", first.url("source"), url)
        run = self.pbcopy("verify", url, "--read", "--json")
        self.assert_failed(run, DAMAGED)
        self.assertEqual({(each["finding"], each["key"]) for each in run.json()["findings"]},
                         {("mismatch", "folder-2/0022"), ("mismatch", "parts-of-8")})
        run = self.pbcopy("restore", url, first.url("restored"))
        self.assertNotEqual(run.exit_code, 0, run)

    def test_lost(self):
        """A store that says 200 and keeps nothing: verify finds every one of them."""
        for relayed in (False, True):
            with self.subTest(relayed=relayed):
                second = self.origin(buckets=("source", "repository", "restored"))
                first = self.origin(buckets=("source",)) if relayed else second
                self.fill(first.bucket("source"), 300)
                operation = "PutObject" if relayed else "CopyObject"
                second.set_faults("seed 21", f"fault lost operation={operation} key=/folder- probability=0.05")
                url = second.url("repository")
                backup = self.pbcopy("backup", first.url("source"), url)
                lost = second.statistics()["faults"]["lost"]
                self.assertGreater(lost, 3)
                second.set_faults()
                self.assertEqual(backup.exit_code, 0, backup)
                identity, = self.committed(url)
                stored = second.bucket("repository").list(f"data/{identity}/")
                gone = {key for key in first.bucket("source").list() if f"data/{identity}/{key}" not in stored}
                self.assertEqual(len(gone), lost)
                for arguments in ((), ("--read",)):
                    run = self.pbcopy("verify", url, "--json", *arguments)
                    self.assert_failed(run, DAMAGED)
                    found = {(each["finding"], each["key"]) for each in run.json()["findings"]}
                    self.assertEqual(found, {("missing", key) for key in gone})
                self.fail_with(DAMAGED, "restore", url, second.url("restored"))

    def test_lost_parts_of_uploads(self):
        """An upload that lacks a part is not completed, and a snapshot without the object not made."""
        first, second = self.origin(buckets=("source",)), self.origin(buckets=("repository", "restored"))
        self.fill(first.bucket("source"), 20)
        second.set_faults("fault lost operation=UploadPart key=larger times=1")
        run = self.pbcopy("backup", first.url("source"), second.url("repository"))
        second.set_faults()
        if run.exit_code == 0:
            self.check(first.bucket("source"), second.url("repository"), second.bucket("restored"))
        else:
            self.assertEqual(len(run.errors), 1, run)
            self.assertIn("larger", run.stdout + run.stderr)
            self.assertEqual(self.committed(second.url("repository")), [])
            self.succeed("backup", first.url("source"), second.url("repository"))
            self.check(first.bucket("source"), second.url("repository"), second.bucket("restored"))

    def test_lost_documents(self):
        """Manifest parts and the commit: never exit 0 and no usable snapshot."""
        for document in ("manifest", "snapshot.json"):
            with self.subTest(document):
                origin = self.origin(buckets=("source", "repository"))
                origin.bucket("source").put_many({f"k{i}": b"x" for i in range(5)})
                origin.set_faults(f"fault lost operation=PutObject key={document} times=1")
                backup = self.pbcopy("backup", origin.url("source"), origin.url("repository"))
                origin.set_faults()
                verify = self.pbcopy("verify", origin.url("repository"))
                self.assertFalse(backup.exit_code == 0 and verify.exit_code == 0, backup)
                # On from there: another snapshot, or a refusal that says what to do.
                again = self.pbcopy("backup", origin.url("source"), origin.url("repository"))
                if again.exit_code == 0:
                    self.succeed("verify", origin.url("repository"), "--read")
                else:
                    self.assertEqual((again.exit_code, len(again.hints)), (DAMAGED, 1), again)

    def test_stalled(self):
        """A server that falls silent is left after a while and asked again."""
        first, second = self.origin(buckets=("source",)), self.origin(buckets=("repository", "restored"))
        self.fill(first.bucket("source"), 100)
        first.set_faults("fault stall operation=GetObject key=folder-1/ times=2",
                         "fault stall operation=GetObject key=larger times=1")
        second.set_faults("fault stall operation=PutObject key=folder-2/ times=2",
                          "fault stall operation=UploadPart times=1")
        run = self.succeed("backup", first.url("source"), second.url("repository"), "--stall-timeout", "3")
        self.assertEqual(first.statistics()["faults"]["stall"], 3)
        self.assertEqual(second.statistics()["faults"]["stall"], 3)
        self.assertGreater(run.seconds, 2)
        self.assertLess(run.seconds, 30)
        self.check(first.bucket("source"), second.url("repository"), second.bucket("restored"))

    def test_an_outage_of_more_than_a_minute(self):
        """Longer than a lease lives, and than a dozen attempts take: the run waits, says so, and is whole."""
        origins = [self.origin(buckets=("source", "repository", "restored")) for _ in range(2)]
        running = []
        for origin, fault in zip(origins, ("fault reset", "fault error503")):
            self.fill(origin.bucket("source"), 300)
            running.append(self.begin("backup", origin.url("source"), origin.url("repository"), "--limit-requests", "60"))
            scenario.wait_until(lambda held=origin.bucket("repository"): len(held.list("data/")) > 40, what="copies")
            origin.set_faults(fault)
        time.sleep(75)
        for origin in origins:
            origin.set_faults()
        for origin, run in zip(origins, [each.wait() for each in running]):
            self.assertEqual(run.exit_code, scenario.OK, run)
            self.assertRegex(run.stderr, f"no request to {origin.endpoint} has succeeded for [12][0-9] s")
            self.assertRegex(run.stderr, f"{origin.endpoint} answers again, after (7|8|9)[0-9] s")
            self.check(origin.bucket("source"), origin.url("repository"), origin.bucket("restored"))

    def test_an_outage_beyond_the_patience(self):
        origin = self.origin(buckets=("source", "repository"))
        self.fill(origin.bucket("source"), 100)
        running = self.begin("backup", origin.url("source"), origin.url("repository"), "--limit-requests", "60",
                             "--patience", "5s")
        scenario.wait_until(lambda: len(origin.bucket("repository").list("data/")) > 20, what="copies")
        origin.set_faults("fault reset")
        run = running.wait(60)
        self.assert_failed(run, scenario.UNREACHABLE)
        origin.set_faults()
        told = self.succeed("backup", origin.url("source"), origin.url("repository"), "--json").json()
        self.assertTrue(told["resumed"])

    def test_rate_limit(self):
        """503 SlowDown above a rate of requests: slower, but whole."""
        for more in ((), ("--retry-after", "1")):
            with self.subTest(more):
                origin = self.origin("--rate", "60", *more, buckets=("source", "repository", "restored"))
                source = origin.bucket("source")
                for i in range(160):
                    source.put(f"folder-{i % 8}/{i:04}", some_bytes(100, i))
                run = self.succeed("backup", origin.url("source"), origin.url("repository"), "--parallel", "128")
                print(f"{run.seconds:.1f} s, {origin.statistics()['throttled']} answers of 503", flush=True)
                self.assertGreater(origin.statistics()["throttled"], 0, run)
                self.assertEqual(len(self.records(origin.url("repository"))), 160)
                self.succeed("verify", origin.url("repository"))
                self.succeed("verify", origin.url("repository"), "--read")


if __name__ == "__main__":
    scenario.main()
