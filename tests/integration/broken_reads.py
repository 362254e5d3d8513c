"""A read that breaks goes on where it broke, however often it does, and only with the bytes that it began with."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import quirky_front
import scenario
from quirky_front import QuirkyFront
from scenario import CANCELLED, some_bytes

MIB = 1 << 20
SIZE = 40 * MIB


class BrokenReads(scenario.Scenario):
    def front(self, *quirks, signed=True):
        origin = self.origin(buckets=("source", "repository", "restored"), signed=signed)
        front = QuirkyFront(origin, *quirks)
        self.addCleanup(front.stop)
        origin.bucket("source").put("large", some_bytes(SIZE))
        return origin, front

    def test_a_read_goes_on(self):
        """More breaks than a request may have failures, were it none that each brings something."""
        breaks = quirky_front.BreaksReads(MIB)
        origin, front = self.front(breaks)
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        self.succeed("verify", front.url("repository"), "--read")
        self.assertGreater(breaks.broken, 32)
        self.assertLess(breaks.sent, SIZE + SIZE // 8)

    def test_each_read_goes_on(self):
        breaks = quirky_front.BreaksReads(3 * MIB)
        origin, front = self.front(breaks)
        other = self.origin(buckets=("repository", "restored"))
        for source in (front.url("source"), f"gs://source?endpoint={front.endpoint}&anonymous=true"):
            if source.startswith("gs:"):
                origin, front = self.front(breaks, signed=False)
                source = f"gs://source?endpoint={front.endpoint}&anonymous=true"
            with self.subTest(source):
                breaks.broken = breaks.sent = 0
                self.succeed("copy", source, other.url("restored"))
                self.assertTrue(breaks.broken)
                self.assertLess(breaks.sent, SIZE + SIZE // 4)
                self.assertEqual(other.bucket("restored").get("large"), some_bytes(SIZE))
                other.bucket("restored").delete("large")

    def test_a_store_without_ranges_that_always_breaks_is_not_pressed(self):
        """What came is of no use: each break is a failure, and the next attempt waits for longer."""
        breaks = quirky_front.BreaksReads(10 * MIB, knows_ranges=False)
        origin, front = self.front(breaks, signed=False)
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        run = self.begin("verify", front.url("repository"), "--read")
        time.sleep(15)
        run.kill(signal.SIGINT)
        self.assertEqual(run.wait().exit_code, CANCELLED)
        self.assertGreater(breaks.broken, 1)
        self.assertLess(breaks.broken, 16)

    def test_a_store_without_ranges_is_read_anew(self):
        breaks = quirky_front.BreaksReads(10 * MIB, times=2, knows_ranges=False)
        origin, front = self.front(breaks, signed=False)
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        self.succeed("verify", front.url("repository"), "--read")
        self.assertEqual(breaks.broken, 2)

    def test_the_rest_of_another_object_is_not_taken(self):
        breaks = quirky_front.BreaksReads(10 * MIB, times=1)
        origin, front = self.front(breaks)
        source = origin.bucket("source")
        front.quirks = [quirky_front.InUse(lambda key: breaks.broken and source.put("large", some_bytes(SIZE + 1)), times=2),
                        breaks]
        told = self.succeed("copy", front.url("source"), f"file://{self.folder}/copied", "--json").json()
        self.assertEqual(told["changed_objects"], 1)
        with open(f"{self.folder}/copied/large", "rb") as file:
            self.assertEqual(file.read(), some_bytes(SIZE + 1))


if __name__ == "__main__":
    scenario.main()
