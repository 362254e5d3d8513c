#!/usr/bin/env python3
"""bench/bench.py at a tiny scale: that it runs, that a client which does not do its work ends it, and that its
check finds a regression."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario  # noqa: E402

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "bench.py")
# Says what s5cmd says, and does nothing.
IDLER = """#!/bin/sh
case "$*" in version) echo idler ;; *du*) echo "64000 bytes in 1000 objects: s3://x" ;; esac
"""


class Bench(scenario.Scenario):
    def bench(self, *arguments, path=None):
        build = os.path.dirname(os.path.dirname(scenario.PBCOPY))
        path = path or os.environ["PATH"]
        return subprocess.run(["/usr/bin/python3", BENCH, "--build", build, "--scale", "0.002", "--runs", "1", *arguments],
                              env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600)

    def test_small(self):
        report_file, picture = os.path.join(self.folder, "report"), os.path.join(self.folder, "picture")
        names = ["list-hash", "copy-tls", "relay-4k", "unchanged", "verify-read", "restore", "first-copy"]
        chosen = [word for name in names for word in ("--scenario", name)]
        run = self.bench("--client", "pbcopy", "--json", report_file, "--svg", picture, *chosen)
        self.assertEqual(run.returncode, 0, run)
        with open(report_file, encoding="utf-8") as file:
            rows = json.load(file)["rows"]
        self.assertEqual([row["name"] for row in rows], names)
        for row in rows:
            ours = row["clients"]["pbcopy"]
            self.assertGreater(ours["cpu_s"], 0, row)
            self.assertGreater(ours["wall_s"], 0, row)
            self.assertEqual(ours["first_s"] is None, row["name"] != "first-copy", row)
        with open(picture, encoding="utf-8") as file:
            self.assertIn("restore", file.read())

    def test_work_not_done(self):
        programs = os.path.join(self.folder, "bin")
        os.mkdir(programs)
        with open(os.path.join(programs, "s5cmd"), "w", encoding="ascii") as file:
            file.write(IDLER)
        os.chmod(file.name, 0o755)
        for name, says in (("copy", "at the destination"), ("list-flat", "counted 1000 objects"),
                           ("unchanged", "too few")):
            run = self.bench("--client", "s5cmd", "--scenario", name, path=f"{programs}:{os.environ['PATH']}")
            self.assertNotEqual(run.returncode, 0, run)
            self.assertIn(says, run.stderr, run)

    def test_check(self):
        saved = os.path.join(self.folder, "baseline.json")
        arguments = ["--client", "pbcopy", "--scenario", "copy", "--baseline", saved]
        self.assertEqual(self.bench(*arguments, "--save-baseline").returncode, 0)
        with open(saved, encoding="utf-8") as file:
            figures = json.load(file)
        relative = figures["cpu_per_unit_in_millionths_of_calibration"]
        for factor, code in ((5, 0), (0.2, 1)):
            with open(saved, "w", encoding="utf-8") as file:
                json.dump({**figures, "cpu_per_unit_in_millionths_of_calibration":
                           {"copy": relative["copy"] * factor}}, file)
            run = self.bench(*arguments, "--check")
            self.assertEqual(run.returncode, code, run)
            self.assertEqual("REGRESSION" in run.stdout, code == 1, run)


if __name__ == "__main__":
    scenario.main()
