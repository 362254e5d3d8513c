"""20,000 objects of all sizes on a real S3 server, Ceph RGW: backed up, verified, restored, changed, damaged,
interrupted. What went up and what came back is read by boto3; what was asked of the store, by the gateway's
own account."""

import contextlib
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import ceph_cluster # first: it decides what a missing boto3 means
import ceph_objects
import scenario
from ceph_objects import Planned

OBJECTS = int(os.environ.get("CEPH_OBJECTS", "20000"))
SUBSET = min(2000, OBJECTS // 2)

figures = [] # (step, objects, seconds)


@contextlib.contextmanager
def measured(step, objects):
    started = time.monotonic()
    yield
    figures.append((step, objects, time.monotonic() - started))
    print(f"    {step}: {objects} objects, {figures[-1][2]:.1f} s", flush=True)


def setUpModule():
    global cluster, workers
    cluster = ceph_cluster.Cluster()
    unittest.addModuleCleanup(cluster.stop)
    figures.append(("Ceph starts", 0, cluster.seconds_to_start))
    workers = ceph_objects.Workers(cluster)
    unittest.addModuleCleanup(workers.stop)


def tearDownModule():
    print("\nstep                                       objects        s  objects/s")
    for step, objects, seconds in figures:
        print(f"{step:40} {objects or '':>9} {seconds:8.1f}  {round(objects / seconds) if objects else '':>9}")


class CephScenario(scenario.Scenario):
    def begin(self, *arguments, **more):
        return super().begin(*arguments, **{**cluster.credentials, **more})

    def bucket(self, name):
        """A new bucket and its URL."""
        return cluster.make_bucket(name), cluster.url(name)

    def filled(self, name, planned):
        """A new bucket with these objects: its URL, and the SHA-256 of each by key."""
        bucket, url = self.bucket(name)
        return url, workers.put(bucket, planned)

    def assert_bucket_holds(self, bucket, expected, **more):
        """Every object of `expected` ({key: SHA-256}), and no other; what was read of them is returned."""
        found = workers.read(bucket, **more)
        self.assert_same({key: each.sha256 for key, each in found.items()}, expected, bucket)
        return found

    def assert_same(self, found, expected, what):
        """Like assertEqual of two dictionaries, but 20,000 of their keys make no good message."""
        missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
        other = {key for key in expected.keys() & found.keys() if expected[key] != found[key]}
        self.assertFalse(missing or extra or other,
                         f"{what}: {len(missing)} missing {sorted(missing)[:5]}, {len(extra)} too many "
                         f"{sorted(extra)[:5]}, {len(other)} differ "
                         f"{[(key, found[key], expected[key]) for key in sorted(other)[:5]]}")

    def told(self, *arguments):
        return self.succeed(*arguments, "--json").json()

    def backup(self, source, repository, *arguments):
        told = self.told("backup", source, repository, *arguments)
        self.assertIsNone(told["error"])
        self.assertEqual(told["findings"], [])
        self.assertIn((told["snapshot"]["id"], "complete"), self.snapshots(repository))
        return told

    def assert_intact(self, repository, objects, *arguments):
        told = self.told("verify", repository, *arguments)
        self.assertEqual(told["objects"], objects)
        self.assertEqual((told["findings_total"], told["findings"]), (0, []))
        return told

    def findings(self, exit_code, *arguments):
        """Of a run that must end with this code and one line of error: {key: finding}."""
        run = self.fail_with(exit_code, *arguments, "--json")
        return {each["key"]: each["finding"] for each in run.json()["findings"]}


class Acceptance(CephScenario):
    """One scenario; each step goes on where the one before ended."""

    def test_round_trip(self):
        planned = ceph_objects.plan(OBJECTS, SUBSET)
        with measured("upload by boto3", OBJECTS):
            source, self.sha256 = self.filled("source", planned)
        self.planned = {each.key: each for each in planned}
        _, repository = self.bucket("repository")
        first = self.step_first_backup(source, repository)
        self.step_verify(repository)
        self.step_restore(repository)
        self.step_unchanged_backup(source, repository)
        self.step_changes(source, repository, first)
        self.step_damage(repository, first)

    def step_first_backup(self, source, repository):
        with measured("backup", OBJECTS):
            told = self.backup(source, repository, "--parallel", "256")
        snapshot = told["snapshot"]
        self.assertTrue(told["server_side"])
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"]), (OBJECTS, OBJECTS))
        self.assertEqual(snapshot["bytes"], sum(each.size for each in self.planned.values()))
        self.assertEqual(snapshot["assurance"]["etag"], OBJECTS)
        # nobody else's word for it: as many copies as objects, or parts where they are large
        counted = cluster.operations("repository")
        print(f"    requests of the first backup: {counted}", flush=True)
        self.assertGreaterEqual(counted["copy_obj"] + counted.get("init_multipart", 0), OBJECTS)
        self.assertLessEqual(counted["copy_obj"], OBJECTS)
        # the first snapshot is a plain mirror, but for keys that get too long or that a path could change
        prefix = f"data/{snapshot['id']}/"
        mirror = cluster.list("repository", prefix)
        long = {key for key in self.planned if scenario.lies_in_long(snapshot["id"], key)}
        self.assertGreater(len(long), 4)
        self.assert_same({key[len(prefix):]: size for key, (size, _) in mirror.items()},
                         {key: each.size for key, each in self.planned.items() if key not in long}, "mirror")
        self.assertEqual(len(cluster.list("repository", f"long/{snapshot['id']}/")), len(long))
        return snapshot["id"]

    def step_verify(self, repository):
        with measured("verify", OBJECTS):
            self.assert_intact(repository, OBJECTS)
        with measured("verify --read", OBJECTS):
            told = self.assert_intact(repository, OBJECTS, "--read", "--parallel", "128")
        self.assertEqual(told["bytes_read"], sum(each.size for each in self.planned.values()))
        self.assertEqual((told["unproven"], told["proven_etag"]), (0, OBJECTS))

    def step_restore(self, repository):
        _, restored_url = self.bucket("restored")
        with measured("restore", OBJECTS):
            told = self.told("restore", repository, restored_url, "--parallel", "256")
        self.assertEqual((told["written_objects"], told["failed_objects"]), (OBJECTS, 0))
        with measured("boto3 reads the restored bucket", OBJECTS):
            restored = self.assert_bucket_holds("restored", self.sha256)
        with measured("boto3 reads the source", OBJECTS):
            source = self.assert_bucket_holds("source", self.sha256)
        # sizes, and ETags, which this store keeps; multipart ones too, as their parts are kept
        self.assert_same(restored, source, "restored")
        for key, each in self.planned.items():
            if each.attributes:
                self.assert_attributes("restored", each)
        again = self.told("restore", repository, restored_url)
        self.assertEqual((again["written_objects"], again["present_objects"]), (0, OBJECTS))

    def assert_attributes(self, bucket, planned):
        head = cluster.client.head_object(Bucket=bucket, Key=planned.key)
        for name, value in planned.attributes:
            self.assertEqual(head.get(name), value, f"{name} of {planned.key}")

    def step_unchanged_backup(self, source, repository):
        before = cluster.operations("repository")
        with measured("backup, nothing changed", OBJECTS):
            told = self.backup(source, repository, "--parallel", "256")
        after = cluster.operations("repository")
        self.assertEqual(told["snapshot"]["objects"], OBJECTS)
        self.assertEqual(told["snapshot"]["copied_objects"], 0)
        self.assertEqual(cluster.list("repository", f"data/{told['snapshot']['id']}/"), {})
        self.assertEqual(after["copy_obj"], before["copy_obj"])
        self.assertEqual(after.get("init_multipart"), before.get("init_multipart"))
        # parts of the manifest, intent and commit
        self.assertLess(after["put_obj"] - before["put_obj"], 100)

    def step_changes(self, source, repository, first):
        """New, changed and gone objects: the next snapshot copies the new and the changed ones only, and an
        older one still gives back what was."""
        ordinary = [each for each in self.planned.values() if each.key.startswith("tree/") and each.size]
        changed = [each._replace(generation=1) for each in ordinary[:100:2]]
        changed += [self.planned["large/0"]._replace(generation=1),
                    self.planned["a"]._replace(generation=1, size=77),
                    self.planned["y" * 998]._replace(generation=1, size=78),
                    self.planned["subset/a"]._replace(generation=1, size=5000)
                    if "subset/a" in self.planned else Planned("subset/a new one", 5000)]
        changed += [Planned(f"new/{number}", 100 + number) for number in range(30)] + [Planned("a/b/new", 1)]
        gone = [each.key for each in ordinary[1:60:3]] + ["a/b", "subset/odd/.."]
        old = dict(self.sha256)
        self.sha256.update(workers.put("source", changed))
        for each in changed:
            self.planned[each.key] = each
        for key in gone:
            if key not in {each.key for each in changed}:
                cluster.client.delete_object(Bucket="source", Key=key)
                del self.sha256[key], self.planned[key]
        before = cluster.operations("repository")
        with measured("backup, some changed", len(self.sha256)):
            told = self.backup(source, repository, "--parallel", "256")
        after = cluster.operations("repository")
        snapshot = told["snapshot"]
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"]), (len(self.sha256), len(changed)))
        self.assertEqual(told["gone_objects"], len(old.keys() - self.sha256.keys()))
        self.assertLessEqual(after["copy_obj"] - before["copy_obj"], len(changed))
        prefix = f"data/{snapshot['id']}/"
        self.assertEqual({key[len(prefix):] for key in cluster.list("repository", prefix)},
                         {each.key for each in changed if not scenario.lies_in_long(snapshot["id"], each.key)})
        self.assert_intact(repository, len(self.sha256))

        # the newest snapshot over the older one's objects: only what differs is written
        written = self.told("restore", repository, cluster.url("restored"), "--overwrite")
        self.assertEqual(written["written_objects"], len(changed))
        for key in old.keys() - self.sha256.keys():
            cluster.client.delete_object(Bucket="restored", Key=key)
        self.assert_same(cluster.list("restored"), cluster.list("source"), "restored again")
        keys = [each.key for each in changed]
        found = workers.read("restored", keys=keys)
        self.assert_same({key: each.sha256 for key, each in found.items()},
                         {key: self.sha256[key] for key in keys}, "what was changed")

        _, older_url = self.bucket("older")
        self.told("restore", repository, older_url, "--snapshot", first, "--prefix", "subset/")
        self.assert_bucket_holds("older", {k: v for k, v in old.items() if k.startswith("subset/")})

    def step_damage(self, repository, first):
        """Damage done to the repository: each damaged object is named, and no other."""
        victims = sorted((each for each in self.planned.values() if each.key.startswith("tree/1") and each.size
                          and not each.generation), key=lambda each: each.key)
        flipped, missing, truncated = (victims[len(victims) * part // 4] for part in (1, 2, 3))
        large = self.planned["large/1"]
        where = {each.key: f"data/{first}/{each.key}" for each in (flipped, missing, truncated, large)}
        client = cluster.client
        body = bytearray(flipped.bytes())
        body[len(body) // 2] ^= 1
        client.put_object(Bucket="repository", Key=where[flipped.key], Body=bytes(body))
        client.delete_object(Bucket="repository", Key=where[missing.key])
        client.put_object(Bucket="repository", Key=where[truncated.key], Body=truncated.bytes()[:-1])
        # of a multipart object, at its size and with as many parts
        workers.put("repository", [large._replace(key=where["large/1"], generation=2)])

        expected = {flipped.key: "mismatch", missing.key: "missing", truncated.key: "truncated",
                    large.key: "mismatch"}
        for step, arguments in (("verify of damage", ()), ("verify --read of damage", ("--read",))):
            with measured(step, len(self.sha256)):
                found = self.findings(scenario.DAMAGED, "verify", repository, *arguments)
            self.assertEqual(found, expected)
        # the older snapshot has them from the same place
        found = self.findings(scenario.DAMAGED, "verify", repository, "--snapshot", first)
        self.assertEqual(found, expected)
        # and none of it goes into a restored bucket as if it were good
        bucket, url = self.bucket("from-damaged")
        for prefix in ("tree/1", "large/"):
            found = self.findings(scenario.DAMAGED, "restore", repository, url, "--prefix", prefix)
            self.assertEqual(set(found), {key for key in expected if key.startswith(prefix)})
        restored = workers.read(bucket)
        self.assert_same({key: each.sha256 for key, each in restored.items()},
                         {key: digest for key, digest in self.sha256.items()
                          if key.startswith(("tree/1", "large/")) and key not in expected}, bucket)


class Relay(CephScenario):
    """By way of a directory: every byte passes through pbcopy, and is hashed."""

    def test_through_a_directory(self):
        planned = [each for each in ceph_objects.plan(OBJECTS, SUBSET) if each.key.startswith("subset/")]
        planned += [Planned("outside", 10), Planned("subset", 11), Planned("subset0", 12)]
        source, sha256 = self.filled("relay-source", planned)
        sha256 = {key: digest for key, digest in sha256.items() if key.startswith("subset/")}
        repository = "file://" + os.path.join(self.folder, "repository")
        with measured("backup into a directory", len(sha256)):
            told = self.backup(source, repository, "--prefix", "subset/")
        self.assertFalse(told["server_side"])
        self.assertEqual(told["snapshot"]["copied_objects"], len(sha256))
        self.assertEqual(told["snapshot"]["assurance"]["sha256"], len(sha256))
        self.assert_intact(repository, len(sha256))
        with measured("verify --read of a directory", len(sha256)):
            told = self.assert_intact(repository, len(sha256), "--read")
        self.assertEqual(told["proven_sha256"], len(sha256))
        again = self.backup(source, repository, "--prefix", "subset/")
        self.assertEqual(again["snapshot"]["copied_objects"], 0)

        _, url = self.bucket("relay-restored")
        with measured("restore from a directory", len(sha256)):
            self.told("restore", repository, url)
        restored = self.assert_bucket_holds("relay-restored", sha256)
        original = workers.read("relay-source", "subset/")
        for key, each in original.items():
            if "-" not in each.etag:
                self.assertEqual(restored[key].etag, each.etag, repr(key))
        told = self.told("restore", repository, url)
        self.assertEqual((told["written_objects"], told["present_objects"]), (0, len(sha256)))


    def test_crc32c(self):
        """This store takes no notice of checksums: they are computed and kept all the same."""
        sizes = {"empty": 0, "small": 1000, "large": 25 << 20, "larger": 70 << 20}
        for key, size in sizes.items():
            path = os.path.join(self.folder, "files", key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(scenario.some_bytes(size, key))
        source = "file://" + os.path.join(self.folder, "files")
        _, repository = self.bucket("crc32c")
        told = self.backup(source, repository, "--checksum", "crc32c")
        self.assertEqual(told["snapshot"]["assurance"]["checksum"], len(sizes))
        told = self.assert_intact(repository, len(sizes), "--read")
        self.assertEqual(told["proven_checksum"], len(sizes))
        self.told("restore", repository, "file://" + os.path.join(self.folder, "restored"))
        for key, size in sizes.items():
            with open(os.path.join(self.folder, "restored", key), "rb") as file:
                self.assertEqual(file.read(), scenario.some_bytes(size, key), key)


class Killed(CephScenario):
    """kill -9 in the middle; the source changes; the next run goes on."""

    def test_resumed(self):
        planned = [Planned(f"deep/{number % 10}/{number:05}", 100 + number) for number in range(1500)]
        planned += [Planned(f"large/{number}", 20 * 1000 * 1000, parts=True) for number in range(3)]
        source, sha256 = self.filled("killed-source", planned)
        repository_bucket, repository = self.bucket("killed-repository")
        running = self.begin("backup", source, repository, "--parallel", "8", "-q")
        stored = {}
        while len(stored) < 300:
            self.assertFalse(running.is_over(), "the backup was over before it could be killed")
            time.sleep(0.1)
            stored = cluster.list(repository_bucket, "data/")
        running.kill()
        running.wait()
        stored = cluster.list(repository_bucket, "data/")
        self.assertLess(len(stored), len(planned))
        self.assertEqual(self.committed(repository), [])

        # meanwhile: of what had been copied, one is changed, one is gone; and one is new
        identity = next(iter(stored)).split("/")[1]
        copied = [key.split("/", 2)[2] for key in stored if "/deep/" in key]
        changed, gone = copied[10], copied[-10]
        before_changes = dict(sha256)
        changes = [Planned(changed, 321, generation=1), Planned("deep/5/new", 5)]
        sha256.update(workers.put("killed-source", changes))
        cluster.client.delete_object(Bucket="killed-source", Key=gone)
        del sha256[gone]

        before = cluster.operations(repository_bucket)["copy_obj"]
        with measured("backup taken up after kill -9", len(sha256)):
            told = self.backup(source, repository, "--parallel", "64")
        after = cluster.operations(repository_bucket)["copy_obj"]
        self.assertTrue(told["resumed"])
        self.assertEqual(told["snapshot"]["id"], identity)
        self.assertEqual(self.committed(repository), [identity])
        self.assertLessEqual(after - before, len(planned) - len(stored) + 2)
        # the snapshot holds what it says it holds, and no more lies there
        records = {record["key"]: record for record in self.records(repository)}
        prefix = f"data/{identity}/"
        self.assertEqual({key[len(prefix):] for key in cluster.list(repository_bucket, prefix)}, set(records))
        self.assert_intact(repository, len(records))
        self.assert_intact(repository, len(records), "--read")
        # what changed in a range that the dead run had ended is the next snapshot's
        self.assertLessEqual(records.keys() ^ sha256.keys(), {gone, "deep/5/new"})
        _, url = self.bucket("killed-restored")
        self.told("restore", repository, url)
        restored = workers.read("killed-restored")
        for key, each in restored.items():
            self.assertIn(each.sha256, (sha256.get(key), before_changes.get(key)), key)
        told = self.backup(source, repository)
        self.assertLessEqual(told["snapshot"]["copied_objects"], 2)
        _, url = self.bucket("killed-restored-again")
        self.told("restore", repository, url)
        self.assert_bucket_holds("killed-restored-again", sha256)


class Copy(CephScenario):
    """Bucket to bucket."""

    def test_copy(self):
        planned = [each for each in ceph_objects.plan(OBJECTS, SUBSET)
                   if not each.key.startswith(("tree/", "subset/0"))]
        source, sha256 = self.filled("copy-source", planned)
        bucket, destination = self.bucket("copied")
        with measured("copy", len(sha256)):
            told = self.told("copy", source, destination, "--parallel", "256")
        self.assertEqual((told["copied_objects"], told["failed_objects"]), (len(sha256), 0))
        self.assertTrue(told["server_side"])
        self.assert_bucket_holds(bucket, sha256)
        self.assert_same(cluster.list(bucket), cluster.list("copy-source"), "ETags")
        before = cluster.operations(bucket)
        told = self.told("copy", source, destination, "--parallel", "256")
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (0, len(sha256)))
        self.assertEqual(cluster.operations(bucket)["copy_obj"], before["copy_obj"])
        cluster.client.put_object(Bucket=bucket, Key="a", Body=b"other bytes")
        cluster.client.delete_object(Bucket=bucket, Key="a/b")
        cluster.client.put_object(Bucket=bucket, Key="not in the source", Body=b"stays")
        told = self.told("copy", source, destination)
        self.assertEqual((told["copied_objects"], told["extra_objects"]), (2, 1))


class OddStores(CephScenario):
    """What this store does in its own way."""

    def test_control_characters_at_the_edges_of_pages(self):
        """Ceph 16 writes the last key of a page, and the one it begins after, into its answers as they are:
        such an answer is no XML where that key holds a control character."""
        characters = ["\x01", "\x1b", "\ufffe", "\uffff", "\r", "\t"]
        planned = [Planned(f"k{number:05}{characters[(number * number + number // 7) % 6]}", number % 50)
                   for number in range(999)]
        planned += [Planned(f"k{number:05}\x01", number % 50) for number in range(999, 1100)]
        source, sha256 = self.filled("edges", planned)
        _, repository = self.bucket("edges-repository")
        told = self.backup(source, repository)
        self.assertEqual(told["snapshot"]["copied_objects"], len(planned))
        self.assertEqual(self.backup(source, repository)["snapshot"]["copied_objects"], 0)
        self.assert_intact(repository, len(planned))
        bucket, url = self.bucket("edges-restored")
        self.told("restore", repository, url)
        found = workers.read(bucket, keys=list(sha256)) # boto3 cannot list this
        self.assertEqual({key: each.sha256 for key, each in found.items()}, sha256)

    def test_objects_that_change_during_a_backup(self):
        """Ceph 16 copies whatever is there, though another ETag was asked for. What a record says must be
        true of the bytes all the same."""
        planned = [Planned(f"changing/{number:04}", 64) for number in range(700)]
        source, _ = self.filled("changing", planned)
        bucket, repository = self.bucket("changing-repository")
        over = threading.Event()

        def change():
            generation = 0
            while not over.is_set():
                generation += 1
                workers.put("changing", [each._replace(generation=generation) for each in planned[::7]])

        changes = threading.Thread(target=change)
        changes.start()
        try:
            time.sleep(0.2)
            run = self.pbcopy("backup", source, repository, "--parallel", "4", "--json")
        finally:
            over.set()
            changes.join()
        self.assertIn(run.exit_code, (scenario.OK, scenario.FAILED), run)
        told = self.backup(source, repository) # nothing changes any more
        self.assertEqual(told["snapshot"]["objects"], 700)
        stored = cluster.list(bucket, "data/")
        for identity in self.committed(repository):
            for record in self.records(repository, "--snapshot", identity):
                size, etag = stored[f"data/{record['at']}/{record['key']}"]
                self.assertEqual((size, etag), (record["size"], record["etag"]), record)
                self.assertIn("etag", record["proof"], record)


class Refused(CephScenario):
    def test_wrong_secret(self):
        self.bucket("guarded")
        for command in (("backup", cluster.url("guarded"), cluster.url("guarded-repository")),
                        ("snapshots", cluster.url("guarded"))):
            self.fail_with(scenario.REFUSED, *command, says="SignatureDoesNotMatch",
                           AWS_SECRET_ACCESS_KEY="wrong")
        self.fail_with(scenario.REFUSED, *command, says="InvalidAccessKeyId", AWS_ACCESS_KEY_ID="NOBODY")

    def test_missing_bucket(self):
        _, there = self.bucket("there")
        absent = cluster.url("absent")
        for command in (("backup", absent, there), ("backup", there, absent), ("verify", absent),
                        ("snapshots", absent), ("copy", absent, there), ("copy", there, absent)):
            with self.subTest(command[0]):
                self.fail_with(scenario.NOT_FOUND, *command, says="absent")
        self.fail_with(scenario.NOT_FOUND, "verify", there)


if __name__ == "__main__":
    scenario.main()
