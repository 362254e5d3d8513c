"""Memory stays flat whatever the size of the bucket: a million objects in less than 200 MB."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario

PEAK_BYTES_MAX = 200 * 1000 * 1000


class Memory(scenario.Scenario):
    def judge(self, run, what):
        print(f"{what}: {run.seconds:.1f} s, at most {run.peak_bytes / 1e6:.0f} MB", flush=True)
        if not self.sanitized:
            self.assertLess(run.peak_bytes, PEAK_BYTES_MAX, what)

    def test_million(self):
        self.sanitized = scenario.is_sanitized()
        objects = 50_000 if self.sanitized else 1_000_000
        if self.sanitized:
            print("memory is not judged in a build with sanitizers", flush=True)
        origin = self.origin("--fill", f"source:{objects}:1024:chunk", buckets=("repository",))
        source, repository = origin.url("source"), origin.url("repository")
        origin.reset_statistics()

        first = self.succeed("backup", source, repository, "--parallel", "256")
        self.judge(first, f"backup of {objects} objects")
        self.assertEqual(origin.statistics()["CopyObject"], objects + scenario.PROBE_COPIES)
        self.assertEqual(len(self.committed(repository)), 1)

        origin.reset_statistics()
        second = self.succeed("backup", source, repository, "--parallel", "256", "--json")
        self.judge(second, "the same again")
        self.assertEqual(origin.statistics()["CopyObject"], 0)
        self.assertEqual(second.json()["snapshot"]["objects"], objects)
        self.assertEqual(second.json()["snapshot"]["copied_objects"], 0)
        self.assertLess(second.seconds, max(5, first.seconds / 2))

        verify = self.succeed("verify", repository, "--parallel", "256", "--json")
        self.judge(verify, "verify")
        self.assertEqual(verify.json()["objects"], objects)
        self.assertEqual(verify.json()["findings_total"], 0)
        last = self.succeed("show", repository, "--records").stdout
        self.assertEqual(last.count("\n"), objects)


if __name__ == "__main__":
    scenario.main()
