"""A round trip on a real S3 server, whichever it is: thousands of objects of all sizes are backed up, verified, restored,
changed, damaged, interrupted, versioned, locked. What went up and what came back is read by boto3; what was asked of the
store, by the server's own account.

A test program imports the cases that it wants, adds its own, and calls main().
"""

import collections
import contextlib
import hashlib
import itertools
import os
import time

import scenario
import store_objects
from run_scenarios import DeadRunScenarios, MeetingScenarios
from store_objects import Planned

figures = [] # (step, objects, seconds)


@contextlib.contextmanager
def measured(step, objects):
    started = time.monotonic()
    yield
    figures.append((step, objects, time.monotonic() - started))
    print(f"    {step}: {objects} objects, {figures[-1][2]:.1f} s", flush=True)


def main(make_store, objects):
    """Runs the test cases of the program on the store that make_store() starts, with about so many objects."""
    StoreScenario.objects = int(os.environ.get("STORE_OBJECTS", objects))
    StoreScenario.store = make_store()
    try:
        StoreScenario.workers = store_objects.Workers(StoreScenario.store)
        try:
            figures.append((f"{StoreScenario.store.name} starts", 0, StoreScenario.store.seconds_to_start))
            scenario.main()
        finally:
            StoreScenario.workers.stop()
    finally:
        StoreScenario.store.stop()
        print("\nstep                                       objects        s  objects/s")
        for step, objects, seconds in figures:
            print(f"{step:40} {objects or '':>9} {seconds:8.1f}  {round(objects / seconds) if objects else '':>9}")


def is_plain_path(key):
    """Whether it means the same file to whoever takes it for a path, and can be one's name."""
    return all(segment not in ("", ".", "..") and len(segment.encode()) <= 255 for segment in key.split("/")) \
        and "\\" not in key and all(character >= " " and not "\x7f" <= character <= "\x9f" for character in key)


class StoreScenario(scenario.Scenario):
    """A test case with a real store, which is the program's, not the case's: its buckets have names of their own."""

    store = workers = objects = None  # by main()

    def begin(self, *arguments, **more):
        return super().begin(*arguments, **{**self.store.credentials, **more})

    def bucket(self, name, **more):
        """A new bucket and its URL."""
        return self.store.make_bucket(name, **more), self.store.url(name)

    def plan(self):
        """Objects of all kinds that this store can hold; about one in ten of their keys begins with "subset/"."""
        planned = store_objects.plan(self.objects, self.objects // 10)
        held = self.store.holds([each.key for each in planned])
        return [each for each in planned if each.key in held]

    def filled(self, name, planned):
        """A new bucket with these objects: its URL, and the SHA-256 of each by key."""
        bucket, url = self.bucket(name)
        return url, self.workers.put(bucket, planned)

    def assert_bucket_holds(self, bucket, expected, **more):
        """Every object of `expected` ({key: SHA-256}), and no other; what was read of them is returned."""
        found = self.workers.read(bucket, **more)
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

    def promised(self, source, repository):
        """What a backup into a bucket with versions takes: a promise, where the store has no create-only writes there.
        Without it, such a store is refused by name."""
        if self.store.creates_only_with_versions:
            return ()
        self.fail_with(scenario.USAGE, "backup", source, repository, says="create-only", hint="--exclusive")
        return ("--exclusive",)

    def assert_intact(self, repository, objects, *arguments):
        told = self.told("verify", repository, *arguments)
        self.assertEqual(told["objects"], objects)
        self.assertEqual((told["findings_total"], told["findings"]), (0, []))
        return told

    def findings(self, exit_code, *arguments):
        """Of a run that must end with this code and one line of error: {key: finding}."""
        run = self.fail_with(exit_code, *arguments, "--json")
        return {each["key"]: each["finding"] for each in run.json()["findings"]}


class Acceptance(StoreScenario):
    """One scenario; each step goes on where the one before ended."""

    def test_round_trip(self):
        planned = self.plan()
        with measured("upload by boto3", len(planned)):
            source, self.sha256 = self.filled("source", planned)
        self.planned, self.count = {each.key: each for each in planned}, len(planned)
        _, repository = self.bucket("repository")
        first = self.step_first_backup(source, repository)
        self.step_verify(repository)
        self.step_restore(repository)
        self.step_unchanged_backup(source, repository)
        self.step_changes(source, repository, first)
        self.step_damage(repository, first)

    def keys_elsewhere(self, repository):
        """Of objects of the newest snapshot that lie under another name than their key, as their records say."""
        return {record["key"] for record in self.records(repository) if "path" in record}

    def step_first_backup(self, source, repository):
        with measured("backup", self.count):
            told = self.backup(source, repository, "--parallel", "256")
        snapshot = told["snapshot"]
        self.assertTrue(told["server_side"])
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"]), (self.count, self.count))
        self.assertEqual(snapshot["bytes"], sum(each.size for each in self.planned.values()))
        self.assertEqual(snapshot["assurance"]["etag"], self.count)
        # nobody else's word for it: as many copies as objects, or parts where they are large
        counted = self.store.operations("repository")
        print(f"    requests of the first backup: {counted}", flush=True)
        self.assertGreaterEqual(counted["CopyObject"] + counted["CreateMultipartUpload"], self.count)
        self.assertLessEqual(counted["CopyObject"], self.count * 5 // 4) # what is not answered in time is asked again
        # the first snapshot is a plain mirror, but for keys that a repository holds under their digests
        prefix = f"data/{snapshot['id']}/"
        elsewhere = self.keys_elsewhere(repository)
        too_long = {key for key in self.planned if len((prefix + key).encode()) > 1024}
        self.assertLessEqual(too_long, elsewhere)
        self.assertLessEqual(elsewhere - too_long, {key for key in self.planned if not is_plain_path(key)})
        mirror = self.store.list("repository", prefix)
        self.assert_same({key[len(prefix):]: size for key, (size, _) in mirror.items()},
                         {key: each.size for key, each in self.planned.items() if key not in elsewhere}, "mirror")
        self.assertEqual(len(self.store.list("repository", f"long/{snapshot['id']}/")), len(elsewhere))
        return snapshot["id"]

    def step_verify(self, repository):
        with measured("verify", self.count):
            self.assert_intact(repository, self.count)
        with measured("verify --read", self.count):
            told = self.assert_intact(repository, self.count, "--read", "--parallel", "128")
        self.assertEqual(told["bytes_read"], sum(each.size for each in self.planned.values()))
        self.assertEqual((told["unproven"], told["proven_etag"]), (0, self.count))

    def step_restore(self, repository):
        _, restored_url = self.bucket("restored")
        with measured("restore", self.count):
            told = self.told("restore", repository, restored_url, "--parallel", "256")
        self.assertEqual((told["written_objects"], told["failed_objects"]), (self.count, 0))
        with measured("boto3 reads the restored bucket", self.count):
            self.assert_bucket_holds("restored", self.sha256)
        # sizes, and ETags, which this store keeps; multipart ones too, as their parts are kept
        self.assert_same(self.store.list("restored"), self.store.list("source"), "restored")
        for key, each in self.planned.items():
            if each.attributes:
                self.assert_attributes("restored", each)
        again = self.told("restore", repository, restored_url)
        self.assertEqual((again["written_objects"], again["present_objects"]), (0, self.count))

    def assert_attributes(self, bucket, planned):
        head = self.store.client.head_object(Bucket=bucket, Key=planned.key)
        for name, value in planned.attributes:
            self.assertEqual(head.get(name), value, f"{name} of {planned.key}")

    def step_unchanged_backup(self, source, repository):
        before = self.store.operations("repository")
        with measured("backup, nothing changed", self.count):
            told = self.backup(source, repository, "--parallel", "256")
        after = self.store.operations("repository")
        self.assertEqual(told["snapshot"]["objects"], self.count)
        self.assertEqual(told["snapshot"]["copied_objects"], 0)
        self.assertEqual(self.store.list("repository", f"data/{told['snapshot']['id']}/"), {})
        self.assertEqual(after["CopyObject"], before["CopyObject"])
        self.assertEqual(after["CreateMultipartUpload"], before["CreateMultipartUpload"])
        # parts of the manifest, intent and commit
        self.assertLess(after["PutObject"] - before["PutObject"], 100)

    def step_changes(self, source, repository, first):
        """New, changed and gone objects: the next snapshot copies the new and the changed ones only, and an
        older one still gives back what was."""
        ordinary = [each for each in self.planned.values() if each.key.startswith("tree/") and each.size]
        changed = [each._replace(generation=1) for each in ordinary[:100:2]]
        changed += [self.planned["large/0"]._replace(generation=1)]
        changed += [self.planned[key]._replace(generation=1, size=77 + len(key))
                    for key in ("a", "y" * 998, "subset/odd/a") if key in self.planned]
        changed += [Planned(f"new/{number}", 100 + number) for number in range(30)] + [Planned("a/b/new", 1)]
        gone = [each.key for each in ordinary[1:60:3]] + list({"a/b", "subset/odd/.."} & self.planned.keys())
        old = dict(self.sha256)
        self.sha256.update(self.workers.put("source", changed))
        for each in changed:
            self.planned[each.key] = each
        for key in gone:
            if key not in {each.key for each in changed}:
                self.store.client.delete_object(Bucket="source", Key=key)
                del self.sha256[key], self.planned[key]
        before = self.store.operations("repository")
        with measured("backup, some changed", len(self.sha256)):
            told = self.backup(source, repository, "--parallel", "256")
        after = self.store.operations("repository")
        snapshot = told["snapshot"]
        self.assertEqual((snapshot["objects"], snapshot["copied_objects"]), (len(self.sha256), len(changed)))
        self.assertEqual(told["gone_objects"], len(old.keys() - self.sha256.keys()))
        self.assertLessEqual(after["CopyObject"] - before["CopyObject"], len(changed))
        prefix = f"data/{snapshot['id']}/"
        self.assertEqual({key[len(prefix):] for key in self.store.list("repository", prefix)},
                         {each.key for each in changed} - self.keys_elsewhere(repository))
        self.assert_intact(repository, len(self.sha256))

        # the newest snapshot over the older one's objects: only what differs is written
        written = self.told("restore", repository, self.store.url("restored"), "--overwrite")
        self.assertEqual(written["written_objects"], len(changed))
        for key in old.keys() - self.sha256.keys():
            self.store.client.delete_object(Bucket="restored", Key=key)
        self.assert_same(self.store.list("restored"), self.store.list("source"), "restored again")
        keys = [each.key for each in changed]
        found = self.workers.read("restored", keys=keys)
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
        client = self.store.client
        body = bytearray(flipped.bytes())
        body[len(body) // 2] ^= 1
        client.put_object(Bucket="repository", Key=where[flipped.key], Body=bytes(body))
        client.delete_object(Bucket="repository", Key=where[missing.key])
        client.put_object(Bucket="repository", Key=where[truncated.key], Body=truncated.bytes()[:-1])
        # of a multipart object, at its size and with as many parts
        self.workers.put("repository", [large._replace(key=where["large/1"], generation=2)])

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
        restored = self.workers.read(bucket)
        self.assert_same({key: each.sha256 for key, each in restored.items()},
                         {key: digest for key, digest in self.sha256.items()
                          if key.startswith(("tree/1", "large/")) and key not in expected}, bucket)


class Relay(StoreScenario):
    """By way of a directory: every byte passes through pbcopy, and is hashed."""

    def test_through_a_directory(self):
        planned = [each for each in self.plan() if each.key.startswith("subset/")]
        planned += [Planned("outside", 10), Planned("subset-", 11), Planned("subset0", 12)]
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
        original = self.workers.read("relay-source", "subset/")
        for key, each in original.items():
            if "-" not in each.etag:
                self.assertEqual(restored[key].etag, each.etag, repr(key))
        told = self.told("restore", repository, url)
        self.assertEqual((told["written_objects"], told["present_objects"]), (0, len(sha256)))

    def test_crc32c(self):
        """Ceph takes no notice of checksums, MinIO checks them: they are computed and kept all the same."""
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


class Killed(StoreScenario):
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
            stored = self.store.list(repository_bucket, "data/")
        running.kill()
        running.wait()
        stored = self.store.list(repository_bucket, "data/")
        self.assertLess(len(stored), len(planned))
        self.assertEqual(self.committed(repository), [])

        # meanwhile: of what had been copied, one is changed, one is gone; and one is new
        identity = next(iter(stored)).split("/")[1]
        copied = [key.split("/", 2)[2] for key in stored if "/deep/" in key]
        changed, gone = copied[10], copied[-10]
        changes = [Planned(changed, 321, generation=1), Planned("deep/5/new", 5)]
        sha256.update(self.workers.put("killed-source", changes))
        self.store.client.delete_object(Bucket="killed-source", Key=gone)
        del sha256[gone]

        before = self.store.operations(repository_bucket)["CopyObject"]
        with measured("backup resumed after kill -9", len(sha256)):
            told = self.backup(source, repository, "--parallel", "64")
        after = self.store.operations(repository_bucket)["CopyObject"]
        self.assertTrue(told["resumed"])
        # the dead run is a donor: the snapshot is another, and of today
        self.assertNotEqual(told["snapshot"]["id"], identity)
        self.assertEqual(self.committed(repository), [told["snapshot"]["id"]])
        # some more, as what is not answered in time is asked again
        self.assertLessEqual(after - before, (len(planned) - len(stored) + 2) * 11 // 10)
        self.assertEqual({record["key"] for record in self.records(repository)}, set(sha256))
        # what the dead run copied lies there still, and nothing was copied a second time but what changed
        data = {key.split("/", 2)[2] for key in self.store.list(repository_bucket, "data/")}
        self.assertEqual(data, set(sha256) | {gone})
        self.assertTrue(stored.keys() <= self.store.list(repository_bucket, "data/").keys())
        self.assert_intact(repository, len(sha256))
        self.assert_intact(repository, len(sha256), "--read")
        _, url = self.bucket("killed-restored")
        self.told("restore", repository, url)
        self.assert_bucket_holds("killed-restored", sha256)


class Runs(MeetingScenarios, DeadRunScenarios, StoreScenario):
    """Runs that meet, freeze, wake and die, also while they make the repository."""

    numbers = itertools.count(1)
    objects = 240

    def place(self, name):
        bucket, url = self.bucket(f"{name}-{next(self.numbers)}")
        place = scenario.Bucket(self.store, bucket)
        place.url = url
        return place

    def test_a_run_that_dies_while_it_makes_the_repository(self):
        source = self.place("source")
        source.put("key", b"bytes")
        for number in range(12):
            repository = self.place("made")
            running = self.begin("backup", source.url, repository.url)
            time.sleep(number * 0.008)
            running.kill()
            running.wait()
            self.succeed("backup", source.url, repository.url)
            self.assert_restores(repository, source.digests())

    def test_leavings_of_an_older_program(self):
        source, repository = self.place("source"), self.place("left")
        source.put("key", b"bytes")
        repository.put("probe-0123456789abcdef", b"{}")
        self.succeed("backup", source.url, repository.url)
        self.assert_restores(repository, source.digests())


class Copy(StoreScenario):
    """Bucket to bucket."""

    def test_copy(self):
        planned = [each for each in self.plan() if not each.key.startswith(("tree/", "subset/0"))]
        source, sha256 = self.filled("copy-source", planned)
        bucket, destination = self.bucket("copied")
        with measured("copy", len(sha256)):
            told = self.told("copy", source, destination, "--parallel", "256")
        self.assertEqual((told["copied_objects"], told["failed_objects"]), (len(sha256), 0))
        self.assertTrue(told["server_side"])
        self.assert_bucket_holds(bucket, sha256)
        self.assert_same(self.store.list(bucket), self.store.list("copy-source"), "ETags")
        before = self.store.operations(bucket)
        told = self.told("copy", source, destination, "--parallel", "256")
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (0, len(sha256)))
        self.assertEqual(self.store.operations(bucket)["CopyObject"], before["CopyObject"])
        self.store.client.put_object(Bucket=bucket, Key="a/b/c", Body=b"other bytes")
        self.store.client.delete_object(Bucket=bucket, Key="medium/000")
        self.store.client.put_object(Bucket=bucket, Key="not in the source", Body=b"stays")
        told = self.told("copy", source, destination)
        self.assertEqual((told["copied_objects"], told["extra_objects"]), (2, 1))


class Outage(StoreScenario):
    """The server is killed in the middle of a backup and comes back: the run waits for it, and nothing is missing."""

    def test_killed_and_back(self):
        planned = [Planned(f"deep/{number % 10}/{number:05}", 100 + number) for number in range(1500)]
        planned += [Planned(f"large/{number}", 20 * 1000 * 1000, parts=True) for number in range(3)]
        source, sha256 = self.filled("outage-source", planned)
        repository_bucket, repository = self.bucket("outage-repository")
        with measured("backup, the server away for 5 s", len(planned)):
            running = self.begin("backup", source, repository, "--parallel", "8", "-v")
            scenario.wait_until(lambda: running.is_over() or len(self.store.list(repository_bucket, "data/")) > 200, 60,
                                "objects to be copied")
            self.store.kill()
            self.assertFalse(running.is_over(), "the backup was over before the server was killed")
            try:
                time.sleep(5)
                self.assertFalse(running.is_over(), "the backup did not wait for the server")
            finally:
                self.store.start()
            run = running.wait()
        self.assertEqual((run.exit_code, run.errors), (scenario.OK, []), run)
        self.assert_intact(repository, len(planned), "--read")
        bucket, url = self.bucket("outage-restored")
        self.told("restore", repository, url)
        self.assert_bucket_holds(bucket, sha256)
        self.assertEqual(self.backup(source, repository)["snapshot"]["copied_objects"], 0)


class Versioned(StoreScenario):
    """Buckets that keep what is overwritten and deleted."""

    def versioned(self, name):
        bucket, url = self.bucket(name)
        self.store.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return bucket, url

    def backup(self, source, repository, *arguments):
        return super().backup(source, repository, *arguments, *self.promised(source, repository))

    def test_versioned_buckets(self):
        planned = [Planned(f"kept/{number}", 100 + number) for number in range(100)]
        planned += [Planned(f"changed/{number}", 100 + number) for number in range(20)]
        planned += [Planned("large", 20 * 1000 * 1000, parts=True), Planned("gone/1", 1), Planned("gone/2", 2)]
        source_bucket, source = self.versioned("versioned-source")
        repository_bucket, repository = self.versioned("versioned-repository")
        sha256 = self.workers.put(source_bucket, planned)
        first, old = self.backup(source, repository)["snapshot"]["id"], dict(sha256)
        sha256.update(self.workers.put(source_bucket, [each._replace(generation=1) for each in planned
                                                       if each.key.startswith("changed/")]))
        for key in ("gone/1", "gone/2"):
            self.store.client.delete_object(Bucket=source_bucket, Key=key)
            del sha256[key]
        self.assertEqual(len(self.store.versions(source_bucket)), len(planned) + 20)
        told = self.backup(source, repository)
        self.assertEqual((told["snapshot"]["objects"], told["snapshot"]["copied_objects"]), (len(sha256), 20))
        self.assert_intact(repository, len(sha256), "--read")
        # each name in a repository has one content for good
        for prefix in ("data/", *(f"snapshots/{identity}/snapshot.json" for identity in self.committed(repository))):
            versions = self.store.versions(repository_bucket, prefix)
            contents = collections.defaultdict(set)
            for key, version in versions:
                body = self.store.client.get_object(Bucket=repository_bucket, Key=key, VersionId=version)["Body"].read()
                contents[key].add(hashlib.sha256(body).digest())
            self.assertEqual([key for key, digests in contents.items() if len(digests) > 1], [])
        for identity, expected in ((first, old), (told["snapshot"]["id"], sha256)):
            bucket, url = self.versioned(f"versioned-restored-{len(expected)}")
            self.told("restore", repository, url, "--snapshot", identity)
            self.assert_bucket_holds(bucket, expected)


class Locked(StoreScenario):
    """A repository in a bucket with Object Lock: what is written there cannot be deleted for a day, by nobody."""

    def backup(self, source, repository, *arguments):
        return super().backup(source, repository, *arguments, *self.promised(source, repository))

    def locked(self, name):
        bucket, url = self.bucket(name, ObjectLockEnabledForBucket=True)
        self.store.client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}})
        return bucket, url

    def round_trip(self, source, name, expected):
        repository_bucket, repository = self.locked(name)
        told = self.backup(source, repository)
        self.assertEqual(told["snapshot"]["objects"], len(expected))
        self.assertEqual(self.backup(source, repository)["snapshot"]["copied_objects"], 0)
        self.assert_intact(repository, len(expected), "--read")
        # the lock holds: neither bytes nor commit can be taken away
        for prefix in (f"data/{told['snapshot']['id']}/", f"snapshots/{told['snapshot']['id']}/snapshot.json"):
            key, version = self.store.versions(repository_bucket, prefix)[0]
            with self.assertRaises(self.store.client.exceptions.ClientError):
                self.store.client.delete_object(Bucket=repository_bucket, Key=key, VersionId=version)
            self.assertIn(version, [each for _, each in self.store.versions(repository_bucket, key)])
        bucket, url = self.bucket(f"{name}-restored")
        self.told("restore", repository, url)
        self.assert_bucket_holds(bucket, expected)

    def test_copied_inside_the_store(self):
        planned = [Planned(f"small/{number}", 100 + number) for number in range(100)]
        planned += [Planned("large", 20 * 1000 * 1000, parts=True)]
        source, sha256 = self.filled("locked-source", planned)
        self.round_trip(source, "locked-copied", sha256)

    def test_through_this_machine(self):
        folder = os.path.join(self.folder, "files")
        os.mkdir(folder)
        expected = {}
        for name, size in {"empty": 0, "small": 1000, "large": 20 << 20}.items():
            body = scenario.some_bytes(size, name)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(body)
            expected[name] = hashlib.sha256(body).hexdigest()
        self.round_trip("file://" + folder, "locked-relayed", expected)


class Refused(StoreScenario):
    def test_wrong_secret(self):
        self.bucket("guarded")
        for command in (("backup", self.store.url("guarded"), self.store.url("guarded-repository")),
                        ("snapshots", self.store.url("guarded"))):
            self.fail_with(scenario.REFUSED, *command, says="SignatureDoesNotMatch",
                           AWS_SECRET_ACCESS_KEY="wrong")
        self.fail_with(scenario.REFUSED, *command, says="InvalidAccessKeyId", AWS_ACCESS_KEY_ID="NOBODY")

    def test_missing_bucket(self):
        _, there = self.bucket("there")
        absent = self.store.url("absent")
        for command in (("backup", absent, there), ("backup", there, absent), ("verify", absent),
                        ("snapshots", absent), ("copy", absent, there), ("copy", there, absent)):
            with self.subTest(command[0]):
                self.fail_with(scenario.NOT_FOUND, *command, says="absent")
        self.fail_with(scenario.NOT_FOUND, "verify", there)

