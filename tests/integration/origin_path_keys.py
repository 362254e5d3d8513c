"""Keys that a path could change, and stores that change keys: nothing is overwritten, nothing is lost without a
word."""

import hashlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, FAILED, lines_of, some_bytes

# What a path changes, and beside it what it would become.
ODD = ("a//b", "../../pbcopy.json", "./x", "x/./y", "/lead", "trail/", "back\\slash", "tab\tnew\nline", "del\x7f",
       "p/../q", "s" * 300, "deep/" + "t" * 256 + "/leaf")
PLAIN = ("a/b", "pbcopy.json", "x", "y/x", "lead", "trail/x", "back/slash", "q", "p/q", "s" * 255, "...", "a..b/c.")


class PathKeys(scenario.Scenario):
    def fill(self, bucket, keys=ODD + PLAIN):
        objects = {key: some_bytes(100 + index, index) for index, key in enumerate(keys)}
        bucket.put_many(objects)
        return objects

    def assert_holds(self, bucket, objects):
        self.assertEqual(set(bucket.list()), set(objects))
        for key, body in objects.items():
            self.assertEqual(bucket.get(key), body, repr(key))

    def findings(self, run):
        return {each["key"]: each for each in run.json()["findings"]}

    def assert_no_probe_left(self, bucket):
        self.assertEqual([key for key in bucket.list() if "pbcopy-probe" in key], [])

    # ---- a repository ----

    def test_repository_on_paths(self):
        """Two backups, verify and restore: all is as if the repository's store kept keys apart."""
        origin = self.origin(buckets=("source", "restored"))
        paths = self.origin("--path-keys", buckets=("repository",))
        source, repository = origin.url("source"), paths.url("repository", "deep/er")
        objects = self.fill(origin.bucket("source"))
        self.succeed("backup", source, repository)
        mark = paths.bucket("repository").get("deep/er/pbcopy.json")
        self.assertEqual(json.loads(mark)["pbcopy"], "repository")
        for record in self.records(repository):
            self.assertEqual(record["key"] in ODD, record.get("path", "").startswith("long/"), record)
        self.succeed("verify", repository, "--read")
        origin.bucket("source").put("a//b", b"changed")
        origin.bucket("source").put("a//c", b"new")
        origin.bucket("source").delete("../../pbcopy.json")
        objects.update({"a//b": b"changed", "a//c": b"new"})
        before = objects.pop("../../pbcopy.json")
        told = self.succeed("backup", source, repository, "--json").json()
        self.assertEqual(told["snapshot"]["copied_objects"], 2)
        self.assertEqual(paths.bucket("repository").get("deep/er/pbcopy.json"), mark)
        for arguments in (), ("--read",), ("--snapshot", self.committed(repository)[0], "--read"):
            self.succeed("verify", repository, *arguments)
        self.succeed("restore", repository, origin.url("restored"))
        self.assert_holds(origin.bucket("restored"), objects)
        self.assert_no_probe_left(origin.bucket("restored"))
        # The first snapshot, over the second: what differs is replaced.
        self.succeed("restore", repository, origin.url("restored"), "--overwrite", "--snapshot",
                     self.committed(repository)[0])
        self.assertEqual(origin.bucket("restored").get("../../pbcopy.json"), before)

    def test_same_place_on_every_store(self):
        origin = self.origin(buckets=("source", "repository"))
        self.fill(origin.bucket("source"))
        directory = f"file://{self.folder}/repository"
        for repository in origin.url("repository"), directory:
            self.succeed("backup", origin.url("source"), repository)
            for record in self.records(repository):
                place = record.get("path") or f"data/{record['at']}/{record['key']}"
                if record["key"] in ODD:
                    digest = hashlib.sha256(record["key"].encode()).hexdigest()
                    self.assertEqual(place, f"long/{record['at']}/{digest}")
            self.succeed("verify", repository, "--read")
        held = origin.bucket("repository").list("data/")
        self.assertEqual({key.split("/", 2)[2] for key in held}, set(PLAIN))

    # ---- destinations ----

    def check_refused(self, command, source, paths, objects):
        """The bucket's own objects stay, plain keys arrive, the others are refused one by one."""
        bucket = paths.bucket("destination")
        own = {"q": objects["q"], "pbcopy.json": objects["pbcopy.json"], "y/own": b"own"}
        bucket.put_many(own)
        run = self.fail_with(FAILED, *command, paths.url("destination"), "--json", says="could not be",
                             hint="destination that keeps such keys")
        # A marker of a folder is kept as one by this store.
        refused = set(ODD) - {"trail/", "back\\slash", "tab\tnew\nline", "del\x7f"}
        found = self.findings(run)
        self.assertEqual(set(found), refused)
        self.assertEqual({each["finding"] for each in found.values()}, {"failed"})
        self.assertIn("\"..\" segment", found["p/../q"]["text"])
        self.assertIn("takes no such key", found["s" * 300]["text"])
        self.assertEqual(run.json()["failed_objects"], len(refused))
        wanted = {key: body for key, body in objects.items() if key not in refused}
        self.assert_holds(bucket, {**wanted, **own})
        # Again: what is there stays, the rest is refused again.
        run = self.fail_with(FAILED, *command, paths.url("destination"), "--json")
        self.assertEqual(set(self.findings(run)), refused)
        self.assert_holds(bucket, {**wanted, **own})

    def test_copy_to_paths(self):
        origin = self.origin(buckets=("source",))
        paths = self.origin("--path-keys", buckets=("destination",))
        objects = self.fill(origin.bucket("source"))
        self.check_refused(("copy", origin.url("source")), origin, paths, objects)

    def test_restore_to_paths(self):
        origin = self.origin(buckets=("source", "repository"))
        paths = self.origin("--path-keys", buckets=("destination",))
        objects = self.fill(origin.bucket("source"))
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        self.check_refused(("restore", origin.url("repository")), origin, paths, objects)

    def test_nothing_outside_of_the_prefix(self):
        """Neither an object nor a probe leaves the destination's prefix, its bucket least of all."""
        origin = self.origin(buckets=("source",))
        paths = self.origin("--path-keys", buckets=("destination", "other"), log=True)
        objects = self.fill(origin.bucket("source"), ("../x", "../../other/x", "../../../other/x", "k"))
        for bucket in "destination", "other":
            paths.bucket(bucket).put_many({"x": b"precious", "k": b"precious"})
        run = self.fail_with(FAILED, "copy", origin.url("source"), paths.url("destination", "in"), "--json")
        self.assertEqual(set(self.findings(run)), {"../x", "../../other/x", "../../../other/x"})
        self.assert_holds(paths.bucket("other"), {"x": b"precious", "k": b"precious"})
        self.assert_holds(paths.bucket("destination"), {"x": b"precious", "k": b"precious", "in/k": objects["k"]})
        written = [key for method, key, _, _ in paths.requests() if method in ("PUT", "DELETE") and ".." in key]
        self.assertTrue(written)
        for key in written:
            self.assertRegex(key, r"^in/pbcopy-probe-[0-9a-f]{16}/parent/x/\.\./b$")

    def test_only_what_occurs_is_probed(self):
        """Keys that need no probe cause none; a probe asks for the forms that occur, and leaves nothing."""
        origin = self.origin(buckets=("source", "one", "two"), log=True)
        self.fill(origin.bucket("source"), PLAIN)
        self.succeed("copy", origin.url("source"), origin.url("one"))
        self.assertEqual([key for _, key, _, _ in origin.requests() if "probe" in key], [])
        origin.bucket("source").put("a//b", b"odd")
        self.succeed("copy", origin.url("source"), origin.url("one"))
        probed = {key.split("/", 1)[1] for method, key, _, _ in origin.requests() if "probe" in key}
        self.assertEqual(probed, {"empty/a/b", "empty/a//b"})
        self.assert_no_probe_left(origin.bucket("one"))
        # There already: no probe again.
        requests = len(origin.requests())
        self.succeed("copy", origin.url("source"), origin.url("one"))
        self.assertEqual([key for _, key, _, _ in origin.requests()[requests:] if "probe" in key], [])
        run = self.succeed("copy", origin.url("source"), origin.url("two"), "--dry-run")
        self.assertIn("1 of the objects have keys that a path could change", run.stderr)
        self.assertEqual(origin.bucket("two").list(), {})

    def test_probe_that_cannot_be_deleted(self):
        origin = self.origin(buckets=("source", "destination"))
        origin.bucket("source").put_many({"a//b": b"1", "a/b": b"2"})
        origin.set_faults("fault error403 operation=DeleteObject key=empty/a//b")
        run = self.succeed("copy", origin.url("source"), origin.url("destination"))
        left = [key for key in origin.bucket("destination").list() if "probe" in key]
        self.assertEqual(len(left), 1)
        self.assertIn(f"could not delete '{left[0]}'", run.stderr)

    def test_keys_apart(self):
        """S3 and directories keep all of them: byte for byte, both ways."""
        origin = self.origin(buckets=("source", "copied", "back"))
        objects = self.fill(origin.bucket("source"))
        self.succeed("copy", origin.url("source"), origin.url("copied"))
        self.assert_holds(origin.bucket("copied"), objects)
        directory = f"file://{self.folder}/directory"
        self.succeed("copy", origin.url("source"), directory)
        self.succeed("copy", directory, origin.url("back"))
        self.assert_holds(origin.bucket("back"), objects)
        repository = f"file://{self.folder}/repository"
        self.succeed("backup", directory, repository)
        restored = f"file://{self.folder}/restored"
        self.succeed("restore", repository, restored)
        told = self.succeed("copy", restored, directory, "--dry-run", "--json").json()
        self.assertEqual((told["objects"], told["extra_objects"]), (len(objects), 0))

    # ---- stores that do not keep what they are given ----

    def test_case(self):
        """A destination that takes two names for one: named, and exit code 1."""
        origin = self.origin(buckets=("source", "repository"))
        folding = self.origin("--fold-case", buckets=("copied", "restored"))
        origin.bucket("source").put_many({"Read/Me": b"one", "read/me": b"two", "other": b"3", "OTHER1": b"4"})
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        for command, bucket in (("copy", origin.url("source")), "copied"), \
                               (("restore", origin.url("repository")), "restored"):
            run = self.fail_with(FAILED, *command, folding.url(bucket), "--json", says="of 4 objects",
                                 hint="case")
            found = self.findings(run)
            self.assertLessEqual(set(found), {"Read/Me", "read/me"})
            self.assertGreaterEqual(len(found), 1)
            self.assertEqual(folding.bucket(bucket).get("other"), b"3")
            # Apart from them there is nothing to complain of.
        self.succeed("copy", origin.url("source", "other"), folding.url("copied", "again"))

    def test_one_listing_shows_that_all_is_there(self):
        """Where nothing is wrong, neither the source nor the manifest is read once more."""
        source, target = (self.origin(buckets=("one", "two"), log=True) for _ in range(2))
        source.bucket("one").put_many({f"key-{number}": b"%d" % number for number in range(100)})
        target.bucket("one").put_many({"key-7": b"7", "own": b"own"})
        target.bucket("two").put_many({"key-7": b"7", "own": b"own"})
        self.succeed("backup", source.url("one"), source.url("two"))

        def listings(server, begin):
            return len([query for _, _, query, _ in server.requests()[begin:] if "list-type" in query])

        def parts_read(begin):
            return len([key for method, key, _, _ in source.requests()[begin:] if method == "GET" and ".zst" in key])

        for command, bucket in (("copy", source.url("one")), "one"), (("restore", source.url("two")), "two"):
            begun, target_begun = len(source.requests()), len(target.requests())
            self.succeed(*command, target.url(bucket))
            with self.subTest(command[0]):
                if command[0] == "copy":
                    self.assertEqual((listings(source, begun), listings(target, target_begun)), (1, 2))
                else:  # which looks at the destination beforehand, too
                    self.assertEqual((parts_read(begun), listings(target, target_begun)), (1, 3))

    def test_kept_nothing(self):
        """200 to the PUT, and no object."""
        origin = self.origin(buckets=("source", "repository"))
        lossy = self.origin(buckets=("copied", "restored", "parts"))
        objects = self.fill(origin.bucket("source"))
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        for command, bucket in (("copy", origin.url("source")), "copied"), \
                               (("restore", origin.url("repository")), "restored"):
            lossy.set_faults("fault lost operation=PutObject key=back/slash", "fault lost operation=PutObject key=./x")
            run = self.fail_with(FAILED, *command, lossy.url(bucket), "--json", says="2 of 24 objects")
            found = self.findings(run)
            self.assertEqual(set(found), {"back/slash", "./x"})
            self.assertIn("does not list it", found["./x"]["text"])
            lossy.set_faults()
            self.succeed(*command, lossy.url(bucket))
            self.assert_holds(lossy.bucket(bucket), objects)
        # Where it kept an older object instead.
        origin.bucket("source").put("x", b"another length")
        lossy.set_faults("fault lost operation=PutObject key=x times=1")
        run = self.fail_with(FAILED, "copy", origin.url("source"), lossy.url("copied"), "--json")
        self.assertEqual(set(self.findings(run)), {"x"})
        # Multipart.
        origin.bucket("source").put_parts("parts", some_bytes(12 << 20), 6 << 20)
        lossy.set_faults("fault lost operation=CompleteMultipartUpload")
        run = self.pbcopy("copy", origin.url("source"), lossy.url("parts"), "--json")
        self.assertEqual(run.exit_code, FAILED, run)
        self.assertEqual(set(self.findings(run)), {"parts"})

    def test_source_in_use(self):
        """What comes or changes while a copy runs is no failure of it."""
        origin = self.origin(buckets=("source",))
        slow = self.origin("--latency-ms", "50", buckets=("destination",))
        origin.bucket("source").put_many({f"k{index:04}": b"x" * index for index in range(300)})
        running = self.begin("copy", origin.url("source"), slow.url("destination"), "--parallel", "4")
        index = 0
        while not running.is_over():
            origin.bucket("source").put(f"a{index:04}", b"new")
            if slow.bucket("destination").list(f"k{index:04}"):
                origin.bucket("source").put(f"k{index:04}", b"changed to this")
                index += 1
        run = running.wait()
        self.assertEqual(run.exit_code, scenario.OK, run)
        self.assertGreater(index, 0)
        # Some of it did not reach the destination: the last comparison saw that, and passed over it.
        self.assertNotEqual(origin.bucket("source").list(), slow.bucket("destination").list())

    # ---- what older versions left ----

    def test_old_repository(self):
        """Records without `path` for such keys are read as they are; one whose path leads elsewhere is damage."""
        origin = self.origin(buckets=("source", "repository", "restored"))
        objects = self.fill(origin.bucket("source"))
        repository = origin.url("repository")
        self.succeed("backup", origin.url("source"), repository)
        self.as_old_version(origin.bucket("repository"), lambda record: record.pop("path"))
        self.succeed("verify", repository, "--read")
        self.succeed("restore", repository, origin.url("restored"))
        self.assert_holds(origin.bucket("restored"), objects)
        # The next snapshot takes the records over, and what is new goes to long/.
        origin.bucket("source").put("new//key", b"new")
        told = self.succeed("backup", origin.url("source"), repository, "--json").json()
        self.assertEqual(told["snapshot"]["copied_objects"], 1)
        self.succeed("verify", repository, "--read")

    def test_hostile_path(self):
        origin = self.origin(buckets=("source", "repository", "restored"))
        self.fill(origin.bucket("source"))
        repository = origin.url("repository")
        self.succeed("backup", origin.url("source"), repository)
        self.as_old_version(origin.bucket("repository"), lambda record: record.update(path="pbcopy.json"), move=False)
        self.fail_twice(DAMAGED, "verify", repository, says="\"path\"")
        self.fail_with(DAMAGED, "restore", repository, origin.url("restored"), says="\"path\"")
        self.assertEqual(origin.bucket("restored").list(), {})

    def as_old_version(self, bucket, change, move=True):
        """Rewrites the one part of the one snapshot, and its snapshot.json, and moves the objects along."""
        names = list(bucket.list("snapshots/"))
        part, = [name for name in names if name.endswith(".zst")]
        commit, = [name for name in names if name.endswith("snapshot.json")]
        identity = commit.split("/")[1]
        lines = lines_of(subprocess.run(["zstd", "-dc"], input=bucket.get(part), stdout=subprocess.PIPE,
                                        check=True).stdout.decode())
        records = []
        for line in lines[1:]:
            record = json.loads(line)
            if "path" in record:
                before = record["path"]
                change(record)
                if move:
                    bucket.put(f"data/{identity}/{record['key']}", bucket.get(before))
                    bucket.delete(before)
            records.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
        text = "".join(records).encode()
        header = json.loads(lines[0])
        header["sha256"] = hashlib.sha256(text).hexdigest()
        whole = subprocess.run(["zstd", "-c"], input=json.dumps(header, separators=(",", ":")).encode() + b"\n" + text,
                               stdout=subprocess.PIPE, check=True).stdout
        bucket.put(part, whole)
        document = json.loads(bucket.get(commit))
        document["parts"][0].update(sha256=header["sha256"], stored_bytes=len(whole),
                                    stored_sha256=hashlib.sha256(whole).hexdigest())
        bucket.put(commit, json.dumps(document).encode())


if __name__ == "__main__":
    scenario.main()
