"""A store is asked for as much as it serves, and for no more than the user allows; and one request that is
not answered holds nothing up."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario

KIB = 1 << 10


class Pacing(scenario.Scenario):
    def filled(self, count, *arguments, size=4 * KIB):
        """An origin whose bucket "source" has so many objects, under one prefix."""
        return self.origin("--fill", f"source:{count}:{size}:flat", *arguments, buckets=("destination",))

    def copy(self, first, second, count, *arguments):
        """Copies, and all of it is there."""
        run = self.succeed("copy", first.url("source"), second.url("destination"), "-v", *arguments)
        self.assertEqual(len(second.bucket("destination").list()), count, run)
        return run

    def figure(self, run, name):
        """A figure of the line about the engine that -v prints."""
        return int(re.search(rf"(\d+) {name}", run.stderr).group(1))

    # ---- what the store serves ----

    def check_throttled(self, count, *arguments):
        for more in (), ("--retry-after", "1"):
            with self.subTest(more):
                origin = self.filled(count, *arguments, *more)
                run = self.copy(origin, origin, count, "--parallel", "64")
                told = origin.statistics()
                print(f"{run.seconds:.1f} s, {told['throttled']} of {told['requests']} answers were 503", flush=True)
                self.assertGreater(told["throttled"], 0)
                self.assertLess(told["throttled"], 0.2 * told["requests"], run)
                self.assertGreater(self.figure(run, "throttled"), 0)

    def test_a_store_that_answers_at_once(self):
        """Its refusals come back at once too: a window alone would drown in them."""
        self.check_throttled(600, "--rate", "100")

    def test_a_store_that_takes_its_time(self):
        self.check_throttled(1200, "--rate", "300", "--latency-ms", "30")

    def test_one_throttled_end_of_two(self):
        """A source that is throttled: what was read is written all the same."""
        first, second = self.filled(400, "--rate", "100"), self.origin(buckets=("destination",))
        self.copy(first, second, 400, "--parallel", "64")
        self.assertLess(first.statistics()["throttled"], 0.2 * first.statistics()["requests"])
        self.assertEqual(second.statistics()["throttled"], 0)

    # ---- what the user allows; a limit can only be seen to hold, not how closely ----

    def test_limit_requests(self):
        origin = self.filled(300)
        run = self.copy(origin, origin, 300, "--limit-requests", "100")
        requests = self.figure(run, "requests")
        print(f"{run.seconds:.1f} s for {requests} requests", flush=True)
        self.assertGreaterEqual(requests, 300)
        # Two loops at most begin with a tenth of a second's each.
        self.assertGreater(run.seconds, (requests - 10 - 16) / 100, run)

    def test_limit_bytes(self):
        """Of a relay: what is read and what is written."""
        first, second = self.filled(120, size=64 * KIB), self.origin(buckets=("destination",))
        run = self.copy(first, second, 120, "--limit-bytes", "4M")
        moved = 2 * 120 * 64 * KIB
        print(f"{run.seconds:.1f} s for {moved} bytes", flush=True)
        self.assertGreater(run.seconds, (moved - 0.4 * (1 << 20) - 16 * 64 * KIB) / (4 << 20), run)

    def test_limit_bytes_of_larger_objects(self):
        """One of them is more than a second brings: it goes, and its debt is waited off."""
        first, second = self.filled(4, size=3 << 20), self.origin(buckets=("destination",))
        run = self.copy(first, second, 4, "--limit-bytes", "8M", "--loops", "1")
        self.assertGreater(run.seconds, (24 - 0.8 - 3) / 8, run)

    # ---- silence ----

    def test_a_silent_copy_is_repeated_soon(self):
        origin = self.filled(2000)
        origin.set_faults("fault stall operation=CopyObject times=5 after=500")
        run = self.copy(origin, origin, 2000)
        print(f"{run.seconds:.1f} s", flush=True)
        self.assertEqual(origin.statistics()["faults"]["stall"], 5)
        self.assertGreaterEqual(self.figure(run, "hedged"), 5, run)
        self.assertLess(run.seconds, 25, run)

    def test_a_silent_listing_is_repeated_soon(self):
        first, second = self.filled(9000, size=0), self.origin(buckets=("destination",))
        first.set_faults("fault stall operation=ListObjectsV2 times=2 after=12")
        run = self.copy(first, second, 9000)
        self.assertEqual(first.statistics()["faults"]["stall"], 2)
        self.assertLess(run.seconds, 25, run)

    def test_what_a_repetition_must_not_break(self):
        """Every kind of request falls silent now and then, and the bytes are the same at the end."""
        first = self.origin("--fill", "source:300:4096:tree", buckets=())
        second = self.origin(buckets=("repository", "restored"))
        first.set_faults("seed 7", "fault stall operation=GetObject probability=0.01 times=3",
                         "fault stall operation=ListObjectsV2 probability=0.02 times=1")
        second.set_faults("seed 7", "fault stall operation=PutObject probability=0.01 times=3",
                          "fault stall operation=HeadObject probability=0.2 times=2")
        self.succeed("backup", first.url("source"), second.url("repository"), "--stall-timeout", "5")
        first.set_faults()
        second.set_faults()
        self.succeed("verify", second.url("repository"), "--read")
        self.succeed("restore", second.url("repository"), second.url("restored"))
        self.assert_same_objects(first.bucket("source"), second.bucket("restored"))


if __name__ == "__main__":
    scenario.main()
