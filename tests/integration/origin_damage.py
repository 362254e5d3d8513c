"""Damage to a repository is found and named, by verify and by restore, and never passed over."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, some_bytes

MIB = 1 << 20


class Damage(scenario.Scenario):
    relayed = False

    def setUp(self):
        super().setUp()
        self.stored_in = self.origin(buckets=("source", "repository", "restored"))
        self.taken_from = self.origin(buckets=("source",)) if self.relayed else self.stored_in
        source = self.taken_from.bucket("source")
        source.put_many({f"folder/{i:03}": some_bytes(2000 + i, i) for i in range(60)})
        source.put_parts("large", some_bytes(20 * MIB), 8 * MIB)
        source.put("L" * 1020, some_bytes(3000))
        self.url = self.stored_in.url("repository")
        self.succeed("backup", self.taken_from.url("source"), self.url)
        self.bucket = self.stored_in.bucket("repository")
        self.id = self.committed(self.url)[0]

    def stored(self, key):
        return f"data/{self.id}/{key}"

    def found(self, *arguments, exit_code=DAMAGED):
        """What verify finds: {(finding, key)}; in plain text and with --json the same."""
        plain = self.pbcopy("verify", self.url, *arguments)
        self.assert_failed(plain, exit_code)
        told = self.pbcopy("verify", self.url, "--json", *arguments)
        self.assert_failed(told, exit_code)
        findings = {(each["finding"], each["key"]) for each in told.json()["findings"]}
        for finding, key in findings:
            self.assertIn(f"{finding}: {key}: ", plain.stdout, plain)
        self.assertEqual(told.json()["findings_total"], len(findings))
        self.assertEqual(told.json()["error"]["kind"], "damaged")
        return findings

    def assert_restore_fails(self, *names):
        run = self.pbcopy("restore", self.url, self.stored_in.url("restored"))
        self.assert_failed(run, DAMAGED)
        for name in names:
            self.assertIn(name, run.stdout + run.stderr)
        run = self.pbcopy("restore", self.url, self.stored_in.url("restored"), "--json")
        self.assert_failed(run, DAMAGED)
        restored = self.stored_in.bucket("restored").list()
        for name in names:
            self.assertNotIn(name, restored, "damaged bytes were restored")
        return run

    def flip(self, key, at):
        body = bytearray(self.bucket.get(key))
        body[at] ^= 1
        return bytes(body)

    def test_undamaged(self):
        self.succeed("verify", self.url)
        self.succeed("verify", self.url, "--read")

    def test_flipped(self):
        self.bucket.put(self.stored("folder/007"), self.flip(self.stored("folder/007"), 1000))
        self.assertEqual(self.found(), {("mismatch", "folder/007")})
        self.assertEqual(self.found("--read"), {("mismatch", "folder/007")})
        self.assert_restore_fails("folder/007")

    def test_flipped_in_silence(self):
        """The store says the old ETag still: only reading tells."""
        for key in ("folder/009", "folder/010"):
            self.stored_in.set_faults("fault flipped operation=PutObject times=1")
            self.bucket.put(self.stored(key), self.bucket.get(self.stored(key)))
        self.succeed("verify", self.url)
        self.assertEqual(self.found("--read"), {("mismatch", "folder/009"), ("mismatch", "folder/010")})
        self.assertEqual(self.found("--read", "--prefix", "folder/010"), {("mismatch", "folder/010")})
        self.succeed("verify", self.url, "--read", "--prefix", "folder/02")
        # A restore that goes through this machine sees it as well.
        os.mkdir(f"{self.folder}/restored")
        run = self.pbcopy("restore", self.url, f"file://{self.folder}/restored")
        self.assert_failed(run, DAMAGED)
        self.assertIn("folder/009", run.stdout + run.stderr)
        self.assertFalse(os.path.exists(f"{self.folder}/restored/folder/009"))

    def test_large_flipped_in_silence(self):
        body = self.bucket.get(self.stored("large"))
        # One part of three is stored with another bit than was sent.
        self.stored_in.set_faults("fault flipped operation=UploadPart times=1 after=1")
        self.bucket.put_parts(self.stored("large"), body, 8 * MIB)
        self.stored_in.set_faults()
        self.assertNotEqual(self.bucket.get(self.stored("large")), body)
        self.assertEqual(self.found("--read"), {("mismatch", "large")})

    def test_missing(self):
        self.bucket.delete(self.stored("folder/000"))
        self.bucket.delete(self.stored("folder/059"))
        expected = {("missing", "folder/000"), ("missing", "folder/059")}
        self.assertEqual(self.found(), expected)
        self.assertEqual(self.found("--read"), expected)
        self.assert_restore_fails("folder/000", "folder/059")

    def test_missing_long(self):
        path, = self.bucket.list(f"long/{self.id}/")
        self.bucket.delete(path)
        self.assertEqual(self.found(), {("missing", "L" * 1020)})
        self.assertEqual(self.found("--read"), {("missing", "L" * 1020)})
        self.assert_restore_fails("L" * 1020)

    def test_truncated(self):
        for key in ("folder/020", "large"):
            self.bucket.put(self.stored(key), self.bucket.get(self.stored(key))[:-1])
        expected = {("truncated", "folder/020"), ("truncated", "large")}
        self.assertEqual(self.found(), expected)
        self.assertEqual(self.found("--read"), expected)
        self.assert_restore_fails("folder/020", "large")

    def test_emptied_and_longer(self):
        self.bucket.put(self.stored("folder/021"), b"")
        self.bucket.put(self.stored("folder/022"), self.bucket.get(self.stored("folder/022")) + b"!")
        expected = {("truncated", "folder/021"), ("mismatch", "folder/022")}
        self.assertEqual(self.found(), expected)
        self.assertEqual(self.found("--read"), expected)
        self.assert_restore_fails("folder/021", "folder/022")

    def test_orphan(self):
        """A request that came late, or a copy that was taken again, leaves an object of nobody: it is counted, and
        harms nothing."""
        self.bucket.put(self.stored("folder/007-and-a-half"), b"of nobody")
        self.bucket.put(self.stored("~ behind all"), b"of nobody")
        for arguments in ((), ("--read",)):
            run = self.succeed("verify", self.url, "--json", *arguments)
            self.assertEqual(run.json()["orphans"], 2, run)
            self.assertEqual(run.json()["findings_total"], 0, run)

    def part(self):
        return sorted(self.bucket.list(f"snapshots/{self.id}/manifest/"))[0]

    def assert_manifest_damaged(self):
        for arguments in ((), ("--read",)):
            self.assertEqual({finding for finding, _ in self.found(*arguments)}, {"manifest-damaged"})
        run = self.pbcopy("restore", self.url, self.stored_in.url("restored"))
        self.assert_failed(run, DAMAGED, says=os.path.basename(self.part_name))
        self.assert_failed(self.pbcopy("show", self.url, "--records"), DAMAGED)

    def test_part_flipped(self):
        self.part_name = self.part()
        size = len(self.bucket.get(self.part_name))
        for at in (0, size // 2, size - 1):
            whole = self.bucket.get(self.part_name)
            self.bucket.put(self.part_name, self.flip(self.part_name, at))
            self.assert_manifest_damaged()
            self.bucket.put(self.part_name, whole)
        self.succeed("verify", self.url)

    def test_part_cut(self):
        self.part_name = self.part()
        whole = self.bucket.get(self.part_name)
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            self.bucket.put(self.part_name, whole[:length])
            self.assert_manifest_damaged()

    def test_part_missing(self):
        self.part_name = self.part()
        self.bucket.delete(self.part_name)
        self.assert_manifest_damaged()

    def test_part_of_another(self):
        """A part that is sound, but of another snapshot."""
        self.succeed("backup", self.taken_from.url("source"), self.url)
        other, = set(self.committed(self.url)) - {self.id}
        self.part_name = self.part()
        self.bucket.put(self.part_name, self.bucket.get(self.part_name.replace(self.id, other)))
        self.fail_twice(DAMAGED, "verify", self.url, "--snapshot", self.id,
                        says=os.path.basename(self.part_name))
        self.fail_twice(DAMAGED, "restore", self.url, self.stored_in.url("restored"), "--snapshot", self.id)
        self.succeed("verify", self.url, "--snapshot", other)

    def test_description_cut(self):
        key = f"snapshots/{self.id}/snapshot.json"
        whole = self.bucket.get(key)
        for length in (0, 1, len(whole) // 2, len(whole) - 3):
            self.bucket.put(key, whole[:length])
            self.assert_description_damaged()

    def test_description_altered(self):
        # Of a repository with several parts.
        self.taken_from = self.stored_in = self.origin("--fill", "source:4000:10:tree", "--page-size", "200",
                                                       buckets=("repository", "restored"))
        self.url, self.bucket = self.stored_in.url("repository"), self.stored_in.bucket("repository")
        self.succeed("backup", self.taken_from.url("source"), self.url)
        self.id = self.committed(self.url)[0]
        key = f"snapshots/{self.id}/snapshot.json"
        whole = json.loads(self.bucket.get(key))
        self.assertGreater(len(whole["parts"]), 2)
        for name, change in (
                ("objects", lambda file: file.update(objects=file["objects"] + 1)),
                ("bytes", lambda file: file.update(bytes=file["bytes"] - 1)),
                ("gap", lambda file: file["parts"].pop(0)),
                ("order", lambda file: file["parts"].reverse()),
                ("id", lambda file: file.update(id="20200101T000000Z-0000")),
                ("kind", lambda file: file.update(pbcopy="intent")),
                ("parts", lambda file: file.pop("parts")),
                ("negative", lambda file: file.update(bytes=-1))):
            with self.subTest(name):
                file = json.loads(json.dumps(whole))
                change(file)
                self.bucket.put(key, json.dumps(file).encode())
                self.assert_description_damaged()

    def assert_description_damaged(self):
        for command in (("verify", self.url), ("verify", self.url, "--read"), ("show", self.url),
                        ("verify", self.url, "--snapshot", self.id),
                        ("restore", self.url, self.stored_in.url("restored")),
                        ("backup", self.taken_from.url("source"), self.url)):
            with self.subTest(command=command[0]):
                self.fail_twice(DAMAGED, *command, says=self.id)
        self.fail_with(DAMAGED, "show", self.url, "--records", says=self.id)
        run = self.fail_with(DAMAGED, "snapshots", self.url)
        self.assertIn(self.id, run.stdout)
        run = self.fail_with(DAMAGED, "snapshots", self.url, "--json")
        self.assertEqual([each["id"] for each in run.json()["snapshots"] if each["flaw"]], [self.id])
        self.assertEqual(self.stored_in.bucket("restored").list(), {})

    def test_mark_damaged(self):
        whole = self.bucket.get("pbcopy.json")
        for text in (b"", whole[:20], b"{}", b"[]", b"null", whole.replace(b'"version":1', b'"version":"1"'),
                     whole.replace(b'"repository"', b'"something else"'), b"\xff\xfe", b"{" * 5000):
            self.bucket.put("pbcopy.json", text)
            for command in (("verify", self.url), ("backup", self.taken_from.url("source"), self.url)):
                self.fail_with(DAMAGED, *command, says="pbcopy.json")
        self.assertEqual(self.bucket.get("pbcopy.json"), text)

    def test_older_snapshot_damaged(self):
        """What a later snapshot takes over from an older one is missed in both."""
        self.taken_from.bucket("source").put("new", b"new")
        self.succeed("backup", self.taken_from.url("source"), self.url)
        self.bucket.delete(self.stored("folder/030"))
        self.bucket.put(self.stored("folder/031"), b"other bytes")
        expected = {("missing", "folder/030"), ("truncated", "folder/031")}
        self.assertEqual(self.found(), expected)
        self.assertEqual(self.found("--snapshot", self.id), expected)
        self.assertEqual(self.found("--read"), expected)
        self.assert_restore_fails("folder/030", "folder/031")
        # The undamaged objects were restored all the same.
        self.assertEqual(len(self.stored_in.bucket("restored").list()), 61)

    def test_made_good(self):
        """--full copies again what the source has, and the next runs are incremental to it."""
        self.bucket.delete(self.stored("folder/030"))
        self.bucket.put(self.stored("large"), b"other bytes")
        run = self.pbcopy("verify", self.url)
        self.assert_failed(run, DAMAGED, hint="copies again what is damaged")
        self.succeed("backup", self.taken_from.url("source"), self.url, "--full")
        newest = self.committed(self.url)[-1]
        self.assertNotEqual(newest, self.id)
        self.assertEqual({each["at"] for each in self.records(self.url)}, {newest})
        self.succeed("verify", self.url)
        self.succeed("verify", self.url, "--read")
        self.stored_in.reset_statistics()
        self.succeed("backup", self.taken_from.url("source"), self.url)
        self.assertEqual(self.stored_in.statistics()["CopyObject"], 0)
        self.succeed("verify", self.url, "--read")

    def test_made_good_after_damage_of_the_manifest(self):
        """A base that cannot be read stops the next run, which says what to do; --full does without."""
        for key in f"snapshots/{self.id}/snapshot.json", self.part():
            with self.subTest(os.path.basename(key)):
                whole = self.bucket.get(key)
                self.bucket.put(key, whole[:-7])
                newest = self.committed_ids_in_listing()[-1]
                if newest == self.id:
                    run = self.pbcopy("backup", self.taken_from.url("source"), self.url)
                    self.assert_failed(run, DAMAGED)
                    self.assertEqual(len(run.hints), 1, run)
                self.succeed("backup", self.taken_from.url("source"), self.url, "--full")
                self.succeed("verify", self.url, "--read")
                self.bucket.put(key, whole)

    def committed_ids_in_listing(self):
        return sorted(key.split("/")[1] for key in self.bucket.list("snapshots/") if key.endswith("/snapshot.json"))


class DamageOfRelayed(Damage):
    relayed = True


class NextBackup(scenario.Scenario):
    """What verify found, the next backup copies again, and nothing else."""

    def setUp(self):
        super().setUp()
        self.origin_ = self.origin(buckets=("source", "repository", "restored"))
        self.source, self.stored = self.origin_.bucket("source"), self.origin_.bucket("repository")
        self.source.put_many({f"k{n}": some_bytes(100 + n) for n in range(30)})
        self.url = self.origin_.url("repository")
        self.back_up()
        self.stored.delete(self.stored_key("k3"))
        self.stored.put(self.stored_key("k4"), some_bytes(104, 9))

    def back_up(self):
        return self.succeed("backup", self.origin_.url("source"), self.url, "--json").json()["snapshot"]

    def stored_key(self, name):
        key, = (key for key in self.stored.list("data/") if key.endswith("/" + name))
        return key

    def assert_whole(self):
        self.succeed("verify", self.url, "--read")
        self.succeed("restore", self.url, self.origin_.url("restored"))
        self.assert_same_objects(self.source, self.origin_.bucket("restored"))

    def test_it_copies_what_is_damaged(self):
        run = self.fail_with(DAMAGED, "verify", self.url, says="damaged")
        self.assertIn("copies again what is damaged", "".join(run.hints))
        run = self.succeed("backup", self.origin_.url("source"), self.url, "--json")
        self.assertIn("objects to be copied again: 2", run.stderr)
        self.assertEqual(run.json()["snapshot"]["copied_objects"], 2)
        self.assert_whole()
        self.assertEqual(self.back_up()["copied_objects"], 0)

    def test_runs_of_verify_add_up(self):
        self.fail_with(DAMAGED, "verify", self.url, "--read", "--prefix", "k4")
        self.fail_with(DAMAGED, "verify", self.url, "--prefix", "k3")
        self.assertEqual(self.back_up()["copied_objects"], 2)
        self.assert_whole()

    def test_findings_that_cannot_be_read_are_of_all_objects(self):
        self.fail_with(DAMAGED, "verify", self.url)
        key, = (key for key in self.stored.list("snapshots/") if key.endswith("/findings.ndjson"))
        self.stored.put(key, b'{"pbcopy":"findings","version":1,"cut":false}\n{"key":7}\n')
        self.assertEqual(self.back_up()["copied_objects"], 30)
        self.assert_whole()

    def test_a_login_that_only_reads(self):
        self.origin_.set_faults("fault error403 operation=PutObject key=findings")
        run = self.fail_with(DAMAGED, "verify", self.url, says="damaged")
        self.assertIn("could not note", run.stderr)
        self.assertIn("--full", "".join(run.hints))


if __name__ == "__main__":
    scenario.main()
