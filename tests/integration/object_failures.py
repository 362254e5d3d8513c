"""One object's failure never stops the others: what is forbidden is named and counted, what changes while it is copied
is copied as it is then, what is deleted meanwhile is left out, and what a store does not copy by itself passes through
here. A run ends early only where the next object would fail like the last."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import quirky_front
import scenario
from quirky_front import QuirkyFront
from scenario import FAILED, REFUSED, some_bytes


class ObjectFailures(scenario.Scenario):
    def front(self, *quirks):
        origin = self.origin(buckets=("source", "repository", "restored"))
        front = QuirkyFront(origin, *quirks)
        self.addCleanup(front.stop)
        return origin, front

    # ---- forbidden objects ----

    def test_a_forbidden_object_stops_no_other(self):
        origin, front = self.front(quirky_front.Archived("k5", "AccessDenied"))
        origin.bucket("source").put_many({f"k{n}": some_bytes(100 + n) for n in range(40)})
        run = self.fail_with(REFUSED, "copy", front.url("source"), f"file://{self.folder}/copied", "--json",
                             says="1 of 40 objects could not be copied (1 forbidden)")
        told = run.json()
        self.assertEqual((told["copied_objects"], told["failed_objects"]), (39, 1))
        self.assertEqual([each["key"] for each in told["findings"]], ["k5"])
        self.assertIn("rights", told["error"]["hint"])
        self.assertEqual(len(os.listdir(f"{self.folder}/copied")), 39)

        other = self.origin(buckets=("repository", "restored"))
        self.fail_with(REFUSED, "backup", front.url("source"), other.url("repository"), says="nothing was committed")
        front.quirks = []
        run = self.succeed("backup", front.url("source"), other.url("repository"), "--json").json()
        self.assertEqual(run["resumed_objects"], 39)

        self.succeed("backup", origin.url("source"), front.url("repository"))
        front.quirks = [quirky_front.Archived("/k7", "AccessDenied")]
        run = self.fail_with(REFUSED, "verify", front.url("repository"), "--read", "--json", says="1 forbidden").json()
        self.assertEqual((run["unread_objects"], run["objects"]), (1, 40))
        run = self.fail_with(REFUSED, "restore", front.url("repository"), f"file://{self.folder}/restored", "--json",
                             says="1 of 40").json()
        self.assertEqual((run["written_objects"], run["failed_objects"]), (39, 1))

    def test_kinds_are_counted(self):
        origin, front = self.front(quirky_front.Archived("k5", "AccessDenied"), quirky_front.Archived("k6"))
        origin.bucket("source").put_many({f"k{n}": some_bytes(100 + n) for n in range(9)})
        self.fail_with(FAILED, "copy", front.url("source"), f"file://{self.folder}/copied",
                       says="2 of 9 objects could not be copied (1 failed, 1 forbidden)")

    def test_a_second_copy_gets_behind_what_is_forbidden(self):
        origin, front = self.front(quirky_front.Archived("/same", "AccessDenied"))
        origin.bucket("source").put_many({f"k{n:04}/same": b"x" for n in range(150)} | {"a": b"1"})
        copied = f"file://{self.folder}/copied"
        self.fail_with(REFUSED, "copy", front.url("source"), copied, says="150 of 151")
        origin.bucket("source").put("z", b"new")
        self.fail_with(REFUSED, "copy", front.url("source"), copied, says="150 of 152")
        self.assertTrue(os.path.exists(f"{self.folder}/copied/z"))

    def test_where_all_is_forbidden_the_run_ends_early(self):
        origin, front = self.front(quirky_front.Archived("/same", "AccessDenied"))
        origin.bucket("source").put_many({f"k{n:04}/same": b"x" * (1 + n % 7) for n in range(600)})
        self.fail_with(REFUSED, "copy", front.url("source"), f"file://{self.folder}/copied", "--parallel", "16",
                       says="objects were refused")
        self.assertLess(sum(1 for asked in front.asked if asked.key), 500)

    # ---- a bucket in use ----

    def test_what_changes_is_taken_as_it_is_then(self):
        for server_side in (False, True):
            with self.subTest(server_side=server_side):
                origin = self.origin(buckets=("source", "repository", "restored"))
                source = origin.bucket("source")
                source.put_many({f"k{n}": some_bytes(100 + n) for n in range(20)})
                change = quirky_front.InUse(lambda key: key == "k3" and source.put(key, some_bytes(777)), times=2)
                front = QuirkyFront(origin, change)
                self.addCleanup(front.stop)
                other = front if server_side else self.origin(buckets=("repository", "restored"))
                kept = origin if server_side else other
                told = self.succeed("backup", front.url("source"), other.url("repository"), "--json").json()
                self.assertEqual((told["changed_objects"], told["vanished_objects"], told["snapshot"]["objects"]), (1, 0, 20))
                self.succeed("verify", kept.url("repository"), "--read")
                self.succeed("restore", kept.url("repository"), kept.url("restored"))
                self.assert_same_objects(source, kept.bucket("restored"))
                shown = self.succeed("show", kept.url("repository")).stdout
                self.assertIn("in use", shown)
                self.assertRegex(shown, r"changed +1\b")

    def test_what_never_stands_still_fails(self):
        origin = self.origin(buckets=("source",))
        source = origin.bucket("source")
        source.put_many({"a": b"1", "b": b"2"})
        count = iter(range(10000))
        change = quirky_front.InUse(lambda key: key == "a" and source.put(key, b"x" * (next(count) + 2)), times=10000)
        front = QuirkyFront(origin, change)
        self.addCleanup(front.stop)
        self.fail_with(FAILED, "copy", front.url("source"), f"file://{self.folder}/copied", says="1 of 2 objects")
        self.assertTrue(os.path.exists(f"{self.folder}/copied/b"))

    def test_what_is_deleted_is_left_out(self):
        origin = self.origin(buckets=("source",))
        source = origin.bucket("source")
        source.put_many({f"k{n}": some_bytes(100 + n) for n in range(20)})
        front = QuirkyFront(origin, quirky_front.InUse(lambda key: key in ("k3", "k4") and source.delete(key)))
        self.addCleanup(front.stop)
        other = self.origin(buckets=("repository", "restored"))
        told = self.succeed("backup", front.url("source"), other.url("repository"), "--json").json()
        self.assertEqual((told["changed_objects"], told["vanished_objects"], told["snapshot"]["objects"]), (0, 2, 18))
        self.succeed("restore", other.url("repository"), other.url("restored"))
        self.assert_same_objects(source, other.bucket("restored"))

    def test_what_is_listed_and_not_there_is_a_failure(self):
        for server_side in (False, True):
            with self.subTest(server_side=server_side):
                origin, front = self.front(quirky_front.ListedButGone("k3"))
                origin.bucket("source").put_many({f"k{n}": some_bytes(100 + n) for n in range(9)})
                other = front if server_side else self.origin(buckets=("repository", "restored"))
                self.fail_with(FAILED, "backup", front.url("source"), other.url("repository"), says="nothing was committed")
                run = self.fail_with(FAILED, "copy", front.url("source"), other.url("restored"), "--json", says="1 of 9")
                told = run.json()
                self.assertEqual([each["key"] for each in told["findings"]], ["k3"])
                self.assertEqual((told["copied_objects"], told["vanished_objects"]), (8, 0))

    def test_copy_of_a_bucket_in_use(self):
        origin = self.origin(buckets=("source", "copied"))
        source = origin.bucket("source")
        source.put_many({f"k{n}": some_bytes(100 + n) for n in range(20)})

        def change(key):
            if key == "k3":
                source.put(key, some_bytes(777))
            elif key == "k4":
                source.delete(key)
        front = QuirkyFront(origin, quirky_front.InUse(change))
        self.addCleanup(front.stop)
        told = self.succeed("copy", front.url("source"), f"file://{self.folder}/copied", "--json").json()
        self.assertEqual((told["changed_objects"], told["vanished_objects"], told["copied_objects"]), (1, 1, 19))
        with open(f"{self.folder}/copied/k3", "rb") as file:
            self.assertEqual(file.read(), some_bytes(777))

    def test_strict_fails_instead(self):
        for change in ("put", "delete"):
            origin = self.origin(buckets=("source", "repository"))
            source = origin.bucket("source")
            source.put_many({"a": b"1", "b": b"2"})
            act = (lambda key: source.put("a", b"333")) if change == "put" else (lambda key: source.delete("a"))
            front = QuirkyFront(origin, quirky_front.InUse(lambda key, act=act: key == "a" and act(key)))
            self.addCleanup(front.stop)
            other = self.origin(buckets=("repository",))
            self.fail_with(FAILED, "backup", front.url("source"), other.url("repository"), "--strict",
                           says="1 of the objects could not be copied")

    # ---- names that a store cannot have ----

    def test_a_name_that_slows_the_store_down(self):
        origin, front = self.front(quirky_front.SlowsDownLongNames())
        origin.bucket("source").put_many({"a": b"1", "s" * 256: b"2"})
        run = self.fail_with(FAILED, "copy", origin.url("source"), front.url("restored"), says="1 of 2 objects")
        self.assertIn("SlowDown", run.stderr)
        self.assertLess(run.seconds, 100)
        self.assertEqual(set(origin.bucket("restored").list()), {"a"})

    # ---- copies that take their time ----

    def test_a_slow_copy_is_waited_for(self):
        origin, front = self.front(quirky_front.SlowToCopy(5))
        origin.bucket("source").put_many({f"k{n}": some_bytes(100 + n) for n in range(30)})
        origin.bucket("source").put_parts("large", some_bytes(26 << 20), 8 << 20)
        self.succeed("copy", front.url("source"), front.url("restored"), "--stall-timeout", "1")
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))
        # What the first copies have shown holds for the others: they are not asked for as often.
        copies = [asked for asked in front.asked if asked.is_copy()]
        self.assertLess(len(copies), 31 * 7)

    # ---- copies that a store does not make of one object ----

    def test_a_refused_copy_is_relayed(self):
        for status, code in ((400, "InvalidRequest"), (403, "AccessDenied"), (404, "NoSuchKey")):
            with self.subTest(code):
                quirk = quirky_front.CopiesAllBut("/", status, code)
                origin, front = self.front(quirk)
                origin.bucket("source").put_many({"folder/": b"", "folder/a": b"1", "other/": b"", "top": some_bytes(99)})
                self.succeed("backup", front.url("source"), front.url("repository"))
                self.assertEqual(quirk.refused, 2)
                self.succeed("verify", front.url("repository"), "--read")
                told = self.succeed("restore", front.url("repository"), front.url("restored"), "--json").json()
                self.assertTrue(told["server_side"])
                self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))

    def test_a_refused_copy_of_parts_is_relayed(self):
        quirk = quirky_front.CopiesAllBut("large")
        origin, front = self.front(quirk)
        origin.bucket("source").put_parts("large", some_bytes(26 << 20), 8 << 20)
        self.succeed("backup", front.url("source"), front.url("repository"))
        self.succeed("verify", front.url("repository"), "--read")
        self.assertTrue(quirk.refused)


if __name__ == "__main__":
    scenario.main()
