"""backup, verify --read, restore and copy in turn, while a store does all that stores and networks do in a bad week:
resets, refusals, stalls, broken and late answers, outages. A run that says that all went well is right, none calls whole
objects damaged, and when the faults end, the same commands succeed.

Half a minute of it by default; PB_SOAK_SECONDS=3600 is the hour of docs/reliability.md, with outages of 2 and 6 minutes."""

import collections
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, OK, some_bytes

MIB = 1 << 20
SECONDS = float(os.environ.get("PB_SOAK_SECONDS", "30"))
SEED = int(os.environ.get("PB_SOAK_SEED", "14"))
OUTAGES_S = (120, 360) if SECONDS >= 3600 else (4, 8)
FAULTS = {
    "resets": ["fault reset probability=0.03", "fault reset-after probability=0.02"],
    "storm": ["fault error503 probability=0.4"],
    "errors": ["fault error500 probability=0.05", "fault error200 probability=0.05"],
    "truncations": ["fault truncated operation=GetObject probability=0.2"],
    "stalls": ["fault stall probability=0.004"],
    "slow copies": ["fault slow operation=CopyObject probability=0.2 delay=4000",
                    "fault slow operation=UploadPartCopy delay=4000"],
    "all": ["fault reset probability=0.02", "fault error503 probability=0.2", "fault truncated probability=0.05",
            "fault reset-after probability=0.02", "fault slow probability=0.02 delay=1500"],
}
OPTIONS = ("--stall-timeout", "3", "--parallel", "32")


class Soak(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.far = self.origin(buckets=("source", "restored"))
        self.near = self.origin(buckets=("source", "repository", "restored", "copied"))
        self.counts = collections.Counter()
        for origin in (self.far, self.near):
            source = origin.bucket("source")
            source.put_many({f"folder/{n:03}": some_bytes(100 + 37 * n, n) for n in range(300)})
            source.put_parts("large", some_bytes(26 * MIB, 1), 8 * MIB)
            source.put("middle", some_bytes(3 * MIB, 2))

    def change_source(self, origin):
        keys = [f"folder/{self.random.randrange(400):03}" for _ in range(20)]
        origin.bucket("source").put_many({key: some_bytes(self.random.randrange(5000), self.random.randrange(1000))
                                          for key in keys})

    def run_once(self, *arguments):
        """May fail; what it says must be true."""
        run = self.pbcopy(*arguments, *OPTIONS)
        self.counts["runs"] += 1
        self.counts["runs that succeeded" if run.exit_code == OK else "runs that failed"] += 1
        self.assertNotEqual(run.exit_code, DAMAGED, f"whole objects were called damaged: {run}")
        return run.exit_code == OK

    def outage(self, seconds):
        """The near store stands still, in the middle of the next run."""
        def stand_still():
            time.sleep(0.3)
            os.kill(self.near.process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(self.near.process.pid, signal.SIGCONT)
        self.counts["outages"] += 1
        thread = threading.Thread(target=stand_still)
        thread.start()
        return thread

    def round(self, source, copied, restored):
        """Each of the four; what says that it went well is looked at."""
        repository = self.near.url("repository")
        if self.run_once("backup", source.url("source"), repository, "--no-wait"):
            self.run_once("verify", repository, "--read", "--source", source.url("source"))
            if self.run_once("restore", repository, restored.url("restored"), "--overwrite", "--source",
                             source.url("source")):
                self.assert_holds(source, restored.bucket("restored"))
        if self.run_once("copy", source.url("source"), copied):
            self.assert_holds(source, self.near.bucket("copied"))

    def assert_holds(self, source, bucket):
        self.near.set_faults()
        there = bucket.list()
        for key in source.bucket("source").list():
            self.assertIn(key, there)
            self.assertEqual(bucket.get(key), source.bucket("source").get(key), key)
        self.counts["results looked at"] += 1

    def count_requests(self):
        for origin in (self.near, self.far):
            told = origin.statistics()
            self.counts["faults"] += sum(told["faults"].values())
            self.counts["requests"] += sum(value for name, value in told.items()
                                           if name[0].isupper() and isinstance(value, int))
            origin.reset_statistics()

    def test_nothing_wrong_is_said(self):
        began = time.monotonic()
        outages = list(OUTAGES_S)
        number = 0
        while time.monotonic() - began < SECONDS or outages:
            number += 1
            source = self.near if number % 2 else self.far
            self.change_source(source)
            name = self.random.choice(sorted(FAULTS))
            self.near.set_faults(f"seed {self.random.randrange(10 ** 6)}", *FAULTS[name])
            thread = None
            if outages and time.monotonic() - began > SECONDS * (1 - len(outages) / 3):
                thread = self.outage(outages.pop())
            self.round(source, self.near.url("copied"), self.near)
            if thread:
                thread.join()
            self.near.set_faults()
            self.count_requests()
            self.counts["rounds"] += 1
        for source in (self.near, self.far):
            self.succeed("backup", source.url("source"), self.near.url("repository"))
            self.succeed("verify", self.near.url("repository"), "--read", "--source", source.url("source"))
            self.succeed("copy", source.url("source"), self.near.url("copied"))
            self.assert_holds(source, self.near.bucket("copied"))
        print(f"{SECONDS:.0f} s, seed {SEED}: " + ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items())))
        self.assertGreater(self.counts["faults"], 20)
        self.assertGreater(self.counts["results looked at"], 0)


if __name__ == "__main__":
    scenario.main()
