#!/usr/bin/python3
"""How long a cluster is down: the window of a backup that has copied beforehand, against the plain order (suspend, copy
all, resume) in the same run.

A fixture cluster on a real Kubernetes API server, PostgreSQL and an origin with latency: --objects chunks, of which
--changed percent come anew between the pass beforehand and the window. Needs what `make test` installs.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
os.environ.setdefault("PBCOPY", os.path.join(ROOT, "build", "release", "bin", "pbcopy"))
os.environ.setdefault("ORIGIN", os.path.join(ROOT, "build", "release", "bin", "origin"))
os.environ.setdefault("SOURCE_DIR", ROOT)

import scenario  # noqa: E402
import cluster_scenario  # noqa: E402
import pachyderm_fixture  # noqa: E402


class Downtime(cluster_scenario.ClusterScenario):
    """Borrows the tests' servers."""

    options = None

    def runTest(self):
        options = self.options
        origin = self.origin("--latency-ms", str(options.latency_ms), "--fill",
                             f"pachyderm:{options.objects}:{options.bytes}:chunk",
                             buckets=("pachyderm", "repository", "plain"))
        here = pachyderm_fixture.Pachyderm(self.cluster, self.postgres(), origin, "pachyderm", "prod", "2.11", 2)
        here.make_databases()
        objects = here.load_what_is_there()
        here.deploy()
        figures = {"objects": objects, "latency_ms": options.latency_ms, "parallel": options.parallel}
        # The plain order: nothing is copied beforehand, everything while it is down.
        plain = self.configuration(here, repository=origin.url("plain"), parallel=options.parallel, passes=0)
        figures["plain_ms"] = self.downtime(plain)
        scenario.wait_until(here.is_up, 120, poll_s=0.5)
        # With a pass beforehand; then so many come anew: the window has them to copy.
        ours = self.configuration(here, parallel=options.parallel, passes=1)
        figures["first_ms"] = self.downtime(ours)
        windows = []
        for run in range(options.runs):
            scenario.wait_until(here.is_up, 120, poll_s=0.5)
            changed = objects * options.changed // 100
            here.load(changed, first=10_000_000 + run * changed, salt="new")
            windows.append(self.downtime(self.configuration(here, parallel=options.parallel, passes=0)))
        figures["changed"] = changed
        figures["delta_ms"] = statistics.median(windows)
        figures["ratio"] = round(figures["delta_ms"] / figures["plain_ms"], 4)
        print(json.dumps(figures, indent=1))
        if options.json:
            with open(options.json, "w", encoding="ascii") as file:
                json.dump(figures, file)

    def downtime(self, configuration):
        started = time.monotonic()
        told = self.succeed("backup", "--config", configuration, "--json", timeout_s=3600, **self.environment()).json()
        print(f"  down {told['snapshot']['cluster']['downtime_ms'] / 1000:.1f} s of {time.monotonic() - started:.1f} s, "
              f"{told['snapshot']['copied_objects']} objects copied", flush=True)
        return told["snapshot"]["cluster"]["downtime_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--changed", type=int, default=1, help="percent between the pass beforehand and the window")
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", help="a file for the figures")
    Downtime.options = parser.parse_args()
    test = Downtime()
    Downtime.setUpClass()
    result = test.run()
    Downtime.tearDownClass()
    for _, text in result.errors + result.failures:
        print(text)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
