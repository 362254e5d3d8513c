"""What becomes a snapshot, and which one is meant: stores that keep nothing, runs that came to nothing,
several sources in one repository, sources that are suddenly empty, metadata that changes alone."""

import datetime
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, FAILED, NOT_FOUND, USAGE, some_bytes


class Choice(scenario.Scenario):
    def stores(self, *buckets, **more):
        return self.origin(buckets=("source", "repository", "restored", *buckets), **more)

    def backup(self, origin, *arguments, source="source"):
        told = self.succeed("backup", origin.url(source), origin.url("repository"), "--json", *arguments).json()
        return told["snapshot"]["id"]


class ReadBack(Choice):
    def test_what_is_written_last(self):
        """A store that answers 200 and keeps nothing, or other bytes: an error, and the next run is well."""
        for document in ("pbcopy.json", "snapshot.json"):
            for fault in ("lost", "flipped"):
                with self.subTest(document=document, fault=fault):
                    origin = self.stores()
                    origin.bucket("source").put_many({f"k{i}": b"x" for i in range(5)})
                    origin.set_faults(f"fault {fault} operation=PutObject key={document} times=1")
                    self.fail_with(DAMAGED, "backup", origin.url("source"), origin.url("repository"),
                                   says=(document, "repository"), hint="does not keep")
                    self.assertEqual(origin.statistics()["faults"][fault], 1)
                    origin.set_faults()
                    self.succeed("backup", origin.url("source"), origin.url("repository"))
                    self.succeed("verify", origin.url("repository"), "--read")

    def test_commits_that_are_read_back(self):
        origin = self.stores(log=True)
        origin.bucket("source").put("k", b"x")
        identity = self.backup(origin)
        for key in ("pbcopy.json", f"snapshots/{identity}/snapshot.json"):
            requests = [method for method, asked, _, status in origin.requests() if asked == key and status == 200]
            self.assertEqual(requests[-2:], ["PUT", "GET"], key)


class NewerAttempts(Choice):
    def commands(self, origin, *arguments):
        repository = origin.url("repository")
        yield "verify", repository, *arguments
        yield "restore", repository, origin.url("restored"), "--overwrite", *arguments
        yield "show", repository, *arguments
        if not arguments:
            yield "snapshots", repository

    def assert_mentioned(self, origin, wanted, *arguments):
        for command in self.commands(origin, *arguments):
            run = self.succeed(*command)
            mentioned = [line for line in run.stderr.split("\n") if "not completed" in line]
            if not wanted:
                self.assertEqual(mentioned, [], run)
            else:
                self.assertEqual(len(mentioned), 1, run)
                self.assertIn(f"{len(wanted)} newer attempt{'s were' if len(wanted) > 1 else ' was'} not completed: "
                              + ", ".join(wanted), mentioned[0])
            self.assertEqual(self.succeed(*command, "--json").json()["newer_attempts"], wanted, command)

    def uncommit(self, origin, identity):
        origin.bucket("repository").delete(f"snapshots/{identity}/snapshot.json")

    def test_a_commit_that_is_gone(self):
        origin = self.stores("other")
        source, stored = origin.bucket("source"), origin.bucket("repository")
        ids = []
        for number in range(4):
            source.put("state", str(number).encode())
            ids.append(self.backup(origin))
        self.assert_mentioned(origin, [])
        self.uncommit(origin, ids[3])
        self.assert_mentioned(origin, [ids[3]])
        self.assertEqual(origin.bucket("restored").get("state"), b"2")
        # An older one that came to nothing was made good by the next.
        self.uncommit(origin, ids[1])
        self.assert_mentioned(origin, [ids[3]])
        self.assert_mentioned(origin, [ids[1], ids[3]], "--snapshot", ids[0])
        # Of whom it was cannot be read: it may be of this source.
        stored.put(f"snapshots/{ids[3]}/intent.json", b"{")
        self.assert_mentioned(origin, [ids[3]])
        stored.delete(f"snapshots/{ids[3]}/intent.json")
        self.assert_mentioned(origin, [ids[3]])
        stored.put(f"snapshots/{ids[3]}/intent.json", stored.get(f"snapshots/{ids[2]}/intent.json"))
        # The committed one needs no intent.
        stored.delete(f"snapshots/{ids[2]}/intent.json")
        self.assert_mentioned(origin, [ids[3]])

    def test_of_another_source(self):
        origin = self.stores("other")
        for bucket in "source", "other":
            origin.bucket(bucket).put("k", b"x")
        self.backup(origin)
        self.backup(origin, source="other")
        later = self.backup(origin, source="other")
        self.uncommit(origin, later)
        self.assert_mentioned(origin, [], *("--source", origin.url("source")))
        self.assert_mentioned(origin, [later], *("--source", origin.url("other")))
        self.assertEqual(self.succeed("snapshots", origin.url("repository"), "--json").json()["newer_attempts"],
                         [later])

    def test_a_run_that_failed(self):
        origin = self.stores()
        origin.bucket("source").put_many({f"k{i}": b"x" for i in range(10)})
        self.backup(origin)
        origin.bucket("source").put("new", b"y")
        origin.set_faults("fault error500 operation=PutObject key=snapshot.json")
        run = self.pbcopy("backup", origin.url("source"), origin.url("repository"), "--patience", "3s")
        self.assertEqual(run.exit_code, scenario.UNREACHABLE, run)
        origin.set_faults()
        newest, _ = self.snapshots(origin.url("repository"))[-1]
        self.assert_mentioned(origin, [newest])
        self.backup(origin)
        self.assert_mentioned(origin, [])


class SeveralSources(Choice):
    def fill(self):
        origin = self.stores("one", "two")
        origin.bucket("one").put_many({f"in/{i}": b"one" for i in range(3)} | {"out": b"one"})
        origin.bucket("two").put_many({f"in/{i}": b"two" for i in range(5)})
        return origin, origin.url("repository")

    def assert_unclear(self, newest, *command):
        """Exit code 2, and each source with its newest snapshot, as {(bucket, prefix): id}."""
        run = self.fail_with(USAGE, *command, says="nothing says which", hint="--source")
        for identity in newest.values():
            self.assertIn(identity, run.stderr)
        told = self.fail_with(USAGE, *command, "--json", hint="--source").json()
        self.assertEqual({(each["source"].split("/")[-2], each["prefix"]): each["newest"]
                          for each in told["sources"]}, newest, command)

    def test_which_one(self):
        origin, repository = self.fill()
        commands = (("verify", repository), ("show", repository), ("restore", repository, origin.url("restored")))
        self.backup(origin, source="one")
        for command in commands:
            self.succeed(*command)
        self.succeed("restore", repository, origin.url("restored", "x"), "--source", origin.url("one"))
        older = self.backup(origin, source="two")
        newest = {"one": self.backup(origin, source="one"), "two": self.backup(origin, source="two")}
        for command in commands:
            self.assert_unclear({(bucket, ""): identity for bucket, identity in newest.items()}, *command)
        self.assertEqual(origin.bucket("restored").list("in/0"), {"in/0": 3}) # of before
        for bucket in "one", "two":
            identity = f"s3://{origin.endpoint.split('//')[1]}/{bucket}/"
            for named in origin.url(bucket), identity:
                for command in commands[:2]:
                    told = self.succeed(*command, "--source", named, "--json").json()
                    self.assertEqual(told["snapshot"]["id"], newest[bucket])
            self.succeed("restore", repository, origin.url("restored", bucket), "--source", identity)
            self.assertEqual(origin.bucket("restored").get(f"{bucket}/in/1"), bucket.encode())
        self.assertEqual(self.succeed("show", repository, "--snapshot", older, "--json").json()["snapshot"]["id"], older)
        self.fail_with(NOT_FOUND, "verify", repository, "--source", origin.url("nowhere"), says="nowhere", hint="snapshots")
        self.fail_with(USAGE, "verify", repository, "--source", "two")
        self.fail_with(USAGE, "verify", repository, "--source", "s3://key:marked-secret@two", hint="URL")
        # From a file; another repository has other sources.
        path = os.path.join(self.folder, "pbcopy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps({"source": origin.url("one"), "repository": repository}))
        told = self.succeed("verify", "--config", path, "--json").json()
        self.assertEqual(told["snapshot"]["id"], newest["one"])
        self.fail_with(USAGE, "verify", "--config", path, repository, hint="--source")
        run = self.succeed("backup", "--config", path, "--json").json()
        self.assertEqual(run["snapshot"]["base"], newest["one"])

    def test_prefixes(self):
        origin, repository = self.fill()
        whole = self.backup(origin, source="one")
        folder = self.backup(origin, "--prefix", "in/", source="one")
        self.assert_unclear({("one", ""): whole, ("one", "in/"): folder}, "verify", repository)
        self.assert_unclear({("one", ""): whole, ("one", "in/"): folder}, "show", repository,
                            "--source", origin.url("one"))
        for prefix, identity, count in ("", whole, 4), ("in/", folder, 3):
            told = self.succeed("verify", repository, "--prefix", prefix, "--json").json()
            self.assertEqual((told["snapshot"]["id"], told["objects"]), (identity, count))
        self.assertEqual([each["key"] for each in self.records(repository, "--snapshot", whole, "--prefix", "in/1")],
                         ["in/1"])
        # A folder of the whole is there in a newer snapshot: that is said.
        run = self.succeed("verify", repository, "--prefix", "in/")
        self.assertNotIn("is newer and holds", run.stderr)
        whole = self.backup(origin, source="one")
        run = self.succeed("verify", repository, "--prefix", "in/")
        self.assertIn(f"snapshot {whole} is newer and holds prefix in/ too", run.stderr)

    def test_only_runs_that_came_to_something_count(self):
        origin, repository = self.fill()
        one, two = self.backup(origin, source="one"), self.backup(origin, source="two")
        origin.bucket("repository").delete(f"snapshots/{two}/snapshot.json")
        self.assertEqual(self.succeed("verify", repository, "--json").json()["snapshot"]["id"], one)

    def test_snapshots_by_source(self):
        origin, repository = self.fill()
        ids = [self.backup(origin, source=bucket) for bucket in ("one", "two", "one")]
        lines = self.succeed("snapshots", repository).stdout.split("\n")
        heads = [i for i, line in enumerate(lines) if line.startswith("source ")]
        self.assertEqual([lines[i].split("/")[-2] for i in heads], ["one", "two"])
        rows = [[line.split(" ")[0] for line in lines[begin:end] if line.startswith("2")]
                for begin, end in zip(heads, heads[1:] + [len(lines)])]
        self.assertEqual(rows, [[ids[0], ids[2]], [ids[1]]])
        told = self.succeed("snapshots", repository, "--json").json()["snapshots"]
        self.assertEqual([(each["id"], each["source"].split("/")[-2], each["prefix"], each["namespace"])
                          for each in told],
                         [(ids[0], "one", "", None), (ids[1], "two", "", None), (ids[2], "one", "", None)])

    def many_snapshots(self, *names):
        """An origin whose repository has two sources, and 200 snapshots of the first one in former years."""
        origin = self.origin("--latency-ms", "50", buckets=("one", "two", "repository"), log=True)
        for bucket in "one", "two":
            origin.bucket(bucket).put("k", bucket.encode())
            self.backup(origin, source=bucket)
        stored = origin.bucket("repository")
        (first, _), (second, _) = self.snapshots(origin.url("repository"))
        for name in names:
            text = stored.get(f"snapshots/{first}/{name}").decode()
            for number in range(200):
                old = f"20200101T{number // 60:02}{number % 60:02}00Z-0000"
                stored.put(f"snapshots/{old}/{name}", text.replace(first, old).encode())
        return origin, first, second

    def asked(self, origin, run):
        """What a run asks for: how many listings, intents and commits."""
        before = len(origin.requests())
        run()
        asked = origin.requests()[before:]
        return (len([query for _, _, query, _ in asked if "list-type" in query]),
                *(len([key for _, key, _, _ in asked if key.endswith(name)]) for name in ("intent.json", "snapshot.json")))

    def test_many_snapshots(self):
        """Only the newest are looked at: the repository names its sources."""
        origin, first, second = self.many_snapshots("intent.json", "snapshot.json")
        repository = origin.url("repository")
        listings, intents, commits = self.asked(
            origin, lambda: self.fail_with(USAGE, "show", repository, hint="--source", says="2 sources"))
        self.assertLessEqual((listings, intents, commits), (3, 6, 8))
        listings, intents, commits = self.asked(origin, lambda: self.backup(origin, source="one"))
        self.assertLess(max(intents, commits), 12)
        # Attempts that came to nothing are looked at, several at once.
        stored = origin.bucket("repository")
        for number in range(300):
            stored.put(f"snapshots/20990101T{number // 60:02}{number % 60:02}00Z-0000/snapshot.json",
                       b'{"pbcopy":"abandoned"}')
        started = time.monotonic()
        self.succeed("verify", repository, "--source", origin.url("two"))
        if not scenario.is_sanitized():
            self.assertLess(time.monotonic() - started, 8, "one after another they would take 15 s")

    def test_many_snapshots_without_names(self):
        """A repository that does not name its sources, or whose names cannot be read: all intents are read, several at
        once."""
        origin, first, second = self.many_snapshots("intent.json", "snapshot.json")
        stored, repository = origin.bucket("repository"), origin.url("repository")
        names = [key for key in stored.list("sources/") if "/source" in key]
        self.assertEqual(len(names), 2)
        kept = {key: stored.get(key) for key in (*names, "pbcopy.json")}
        without = json.loads(kept["pbcopy.json"])
        del without["features"]["listed_sources"]

        def look():
            started = time.monotonic()
            _, intents, _ = self.asked(
                origin, lambda: self.fail_with(USAGE, "show", repository, hint="--source", says="2 sources"))
            self.assertEqual(intents, 202)
            if not scenario.is_sanitized():
                self.assertLess(time.monotonic() - started, 6, "one after another they would take 20 s")

        for key, body in (("pbcopy.json", json.dumps(without).encode()), (names[0], b"{"), (names[0], b"[" * 100000)):
            with self.subTest(key, body=body[:10]):
                stored.put(key, body)
                look()
                stored.put(key, kept[key])
        for name in names:
            stored.delete(name)
        look()
        # A backup names its source again.
        self.backup(origin, source="one")
        self.assertEqual(len([key for key in stored.list("sources/") if "/source" in key]), 1)

    def test_a_description_that_cannot_be_read(self):
        """It may be the newest: no older one takes its place in silence."""
        origin, repository = self.fill()
        self.backup(origin, source="one")
        newest = self.backup(origin, source="one")
        stored = origin.bucket("repository")
        stored.put(f"snapshots/{newest}/snapshot.json", b"{")
        self.fail_with(DAMAGED, "verify", repository, says=newest)
        stored.delete(f"snapshots/{newest}/intent.json")
        self.fail_with(DAMAGED, "verify", repository, says=newest)


class Losses(Choice):
    def test_a_first_snapshot_of_nothing(self):
        origin = self.stores()
        source, repository = origin.url("source"), origin.url("repository")
        self.fail_twice(FAILED, "backup", source, repository, says="no object", hint="--allow-empty")
        self.fail_with(FAILED, "backup", source, repository, "--dry-run", says="no object", hint="--allow-empty")
        self.assertEqual(self.committed(repository), [])
        self.fail_with(FAILED, "backup", source, repository, "--allow-gone", hint="--allow-empty")
        self.succeed("backup", source, repository, "--allow-empty")
        self.succeed("backup", source, repository) # as the one before
        self.assertEqual(len(self.committed(repository)), 2)
        origin.bucket("source").put("in/k", b"x")
        self.fail_with(FAILED, "backup", source, repository, "--prefix", "inn/", says="inn/", hint="--prefix")
        self.succeed("backup", source, repository)

    def test_more_than_half_is_gone(self):
        for objects, deleted, lost in (10, 5, False), (10, 6, True), (1, 1, True), (3, 1, False), (3, 2, True):
            with self.subTest(objects=objects, deleted=deleted):
                origin = self.stores()
                bucket = origin.bucket("source")
                source, repository = origin.url("source"), origin.url("repository")
                bucket.put_many({f"k{i}": some_bytes(10, i) for i in range(objects)})
                self.backup(origin)
                for i in range(deleted):
                    bucket.delete(f"k{i}")
                    bucket.put(f"renamed {i}", some_bytes(10, i)) # not made good by others
                if lost:
                    for more in (), ("--dry-run",), ("--allow-empty",):
                        self.fail_with(FAILED, "backup", source, repository, *more,
                                       says=f"{deleted} of the {objects} objects", hint="--allow-gone")
                    self.assertEqual(len(self.committed(repository)), 1)
                self.succeed("backup", source, repository, *(["--allow-gone"] if lost else []))
                self.succeed("backup", source, repository)

    def test_suddenly_empty(self):
        """Also when it is copied in full, and when the run is resumed."""
        for full in (), ("--full",):
            with self.subTest(full=full):
                origin = self.stores()
                bucket = origin.bucket("source")
                source, repository = origin.url("source"), origin.url("repository")
                bucket.put_many({f"k{i}": b"x" for i in range(20)})
                self.backup(origin)
                for i in range(20):
                    bucket.delete(f"k{i}")
                for _ in range(2):
                    self.fail_with(FAILED, "backup", source, repository, *full, says="20 of the 20 objects",
                                   hint="--allow-gone")
                self.succeed("restore", repository, origin.url("restored"))
                self.assertEqual(len(origin.bucket("restored").list()), 20)
                self.succeed("backup", source, repository, *full, "--allow-gone")
                self.succeed("backup", source, repository)

    def test_a_directory_that_is_not_mounted(self):
        origin = self.stores()
        folder = os.path.join(self.folder, "mount")
        os.mkdir(folder)
        for i in range(3):
            with open(os.path.join(folder, str(i)), "w", encoding="ascii") as file:
                file.write("x")
        self.succeed("backup", f"file://{folder}", origin.url("repository"))
        for i in range(3):
            os.remove(os.path.join(folder, str(i)))
        self.fail_with(FAILED, "backup", f"file://{folder}", origin.url("repository"), hint="--allow-gone")


class Metadata(Choice):
    CHANGES = {"ContentType": "application/json", "Metadata": {"v": "2"}}

    def change(self, bucket, key, body):
        """The same bytes with other metadata: the ETag stays, the time does not."""
        before = bucket.head(key)
        time.sleep(1.1) # times of HEAD have seconds
        bucket.put(key, body, **self.CHANGES)
        after = bucket.head(key)
        self.assertEqual(after["ETag"], before["ETag"])
        self.assertGreater(after["LastModified"], before["LastModified"])

    def assert_changed(self, bucket, key):
        head = bucket.head(key)
        self.assertEqual({name: head[name] for name in self.CHANGES}, self.CHANGES)

    def test_backup(self):
        for relayed in (False, True):
            with self.subTest(relayed=relayed):
                second = self.stores()
                first = self.origin(buckets=("source",)) if relayed else second
                source, url = first.bucket("source"), second.url("repository")
                source.put_many({f"k{i}": some_bytes(100, i) for i in range(10)})
                self.succeed("backup", first.url("source"), url)
                self.change(source, "k3", some_bytes(100, 3))
                told = self.succeed("backup", first.url("source"), url, "--json").json()["snapshot"]
                self.assertEqual((told["copied_objects"], told["objects"]), (1, 10))
                told = self.succeed("backup", first.url("source"), url, "--json").json()["snapshot"]
                self.assertEqual(told["copied_objects"], 0)
                self.succeed("restore", url, second.url("restored"))
                self.assert_same_objects(source, second.bucket("restored"))
                self.assert_changed(second.bucket("restored"), "k3")

    def test_copy(self):
        for relayed in (False, True):
            with self.subTest(relayed=relayed):
                second = self.stores()
                first = self.origin(buckets=("source",)) if relayed else second
                source, url = first.bucket("source"), second.url("restored")
                source.put_many({f"k{i}": some_bytes(100, i) for i in range(10)})
                for copied in (10, 0):
                    told = self.succeed("copy", first.url("source"), url, "--json").json()
                    self.assertEqual(told["copied_objects"], copied)
                self.change(source, "k3", some_bytes(100, 3))
                for copied in (1, 0):
                    told = self.succeed("copy", first.url("source"), url, "--json").json()
                    self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (copied, 10 - copied))
                self.assert_same_objects(source, second.bucket("restored"))

    def test_restore(self):
        origin = self.stores()
        source, restored = origin.bucket("source"), origin.url("restored")
        source.put_many({f"k{i}": some_bytes(100, i) for i in range(10)})
        self.backup(origin)
        self.succeed("restore", origin.url("repository"), restored)
        self.change(source, "k3", some_bytes(100, 3))
        self.backup(origin)
        told = self.fail_with(FAILED, "restore", origin.url("repository"), restored, "--json", hint="--overwrite").json()
        self.assertEqual([(each["finding"], each["key"]) for each in told["findings"]], [("differs", "k3")])
        self.assertIn("older", told["findings"][0]["text"])
        self.assertEqual(told["present_objects"], 9)
        for written in (1, 0):
            told = self.succeed("restore", origin.url("repository"), restored, "--overwrite", "--json").json()
            self.assertEqual((told["written_objects"], told["present_objects"]), (written, 10 - written))
        self.assert_same_objects(source, origin.bucket("restored"))

    def test_files_that_keep_their_size_and_time(self):
        """mv, tar, cp -p and rsync bring an older time along; a program may set it back."""
        origin, folder = self.stores(), os.path.join(self.folder, "files")
        os.mkdir(folder)

        def write(name, text, time_s=None):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
            if time_s:
                os.utime(os.path.join(folder, name), (time_s, time_s))

        for name in ("replaced", "rewritten", "left"):
            write(name, "first", 1600000000)
        time.sleep(1.1)  # a store's clock may count seconds
        for _ in range(2):
            self.succeed("backup", f"file://{folder}", origin.url("repository"))
            self.succeed("copy", f"file://{folder}", origin.url("restored"))
        write("new", "other", 1500000000)
        os.rename(os.path.join(folder, "new"), os.path.join(folder, "replaced"))
        write("rewritten", "other", 1600000000)
        told = self.succeed("backup", f"file://{folder}", origin.url("repository"), "--json").json()
        self.assertEqual(told["snapshot"]["copied_objects"], 2)
        told = self.succeed("copy", f"file://{folder}", origin.url("restored"), "--json").json()
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (2, 1))
        # A destination is as old as its bytes, whoever changes its rights.
        self.succeed("copy", f"file://{folder}", f"file://{self.folder}/copied")
        write("left", "later")
        time.sleep(0.1)
        os.chmod(f"{self.folder}/copied/left", 0o600)
        self.succeed("copy", f"file://{folder}", f"file://{self.folder}/copied")
        with open(f"{self.folder}/copied/left", encoding="utf-8") as file:
            self.assertEqual(file.read(), "later")
        self.succeed("restore", origin.url("repository"), f"file://{self.folder}/again")
        for name, text in (("replaced", "other"), ("rewritten", "other"), ("left", "first")):
            self.assertEqual(origin.bucket("restored").get(name), text.encode())
            with open(f"{self.folder}/again/{name}", encoding="utf-8") as file:
                self.assertEqual(file.read(), text)

    def test_parts_of_other_bytes_are_copied_again(self):
        """Of one size and as many parts, and newer at the destination."""
        origin = self.origin(buckets=("source", "copied"))
        origin.bucket("source").put_parts("large", some_bytes(12 << 20, 1), 6 << 20)
        origin.bucket("copied").put_parts("large", some_bytes(12 << 20, 2), 6 << 20)
        told = self.succeed("copy", origin.url("source"), origin.url("copied"), "--json").json()
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (1, 0))
        self.assert_same_objects(origin.bucket("source"), origin.bucket("copied"))
        told = self.succeed("copy", origin.url("source"), origin.url("copied"), "--json").json()
        self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (0, 1))

    def test_what_a_dead_run_copied(self):
        """Reused only where it is not older than the source's last change."""
        origin = self.stores()
        source = origin.bucket("source")
        source.put_many({f"k{i}": some_bytes(100, i) for i in range(10)})
        origin.set_faults("fault error500 operation=PutObject key=/manifest/")
        self.pbcopy("backup", origin.url("source"), origin.url("repository"), "--patience", "3s")
        origin.set_faults()
        self.assertEqual(len(origin.bucket("repository").list("data/")), 10)
        self.change(source, "k3", some_bytes(100, 3))
        self.backup(origin)
        self.succeed("restore", origin.url("repository"), origin.url("restored"))
        self.assert_same_objects(source, origin.bucket("restored"))


class Ids(Choice):
    def test_an_id_is_its_start(self):
        origin = self.stores()
        origin.bucket("source").put("k", b"x")
        ids = [self.backup(origin) for _ in range(4)]
        self.assertEqual(sorted(ids), ids)
        told = self.succeed("snapshots", origin.url("repository"), "--json").json()["snapshots"]
        for each in told:
            started = each["started"][:19].replace("-", "").replace(":", "")
            self.assertEqual(each["id"][:15], started, each)
            self.assertLess(each["started"], each["committed"])

    def test_a_clock_that_was_set_back(self):
        """The newest snapshot seems to be of the future: the next one follows it, which is said."""
        origin = self.stores()
        origin.bucket("source").put("k", b"x")
        first = self.backup(origin)
        soon = (datetime.datetime.utcnow() + datetime.timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ-0000")
        stored = origin.bucket("repository")
        for name in "intent.json", "snapshot.json":
            text = stored.get(f"snapshots/{first}/{name}").decode()
            manifest = [key for key in stored.list(f"snapshots/{first}/manifest/")]
            stored.put(f"snapshots/{soon}/{name}", text.replace(f'"id":"{first}"', f'"id":"{soon}"').encode())
        self.assertEqual(len(manifest), 1)
        run = self.succeed("backup", origin.url("source"), origin.url("repository"), "--full")
        self.assertIn("the clock is", run.stderr)
        newest = self.committed(origin.url("repository"))[-1]
        self.assertGreater(newest, soon)
        self.succeed("verify", origin.url("repository"), "--read")


if __name__ == "__main__":
    scenario.main()
