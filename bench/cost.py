#!/usr/bin/python3
"""The cost of a unit of work in instructions, counted by valgrind's callgrind: a figure that a noisy or slow
machine does not move. Each work is done twice, with few and with many objects; the difference over the
difference of objects is the cost of one, and start-up cancels out.

Prints the figures; fails where one is 25 % over those saved in bench/cost.json, or where the work was not
done. What the kernel does is not in these figures. Valgrind's processor has AVX2 but neither the SHA
instructions nor AVX-512, so that hashes cost more here than outside; figures of machines agree for it."""

import argparse
import json
import os
import re
import shutil
import statistics
import sys

import measure
import origins
import peers

HERE = os.path.dirname(os.path.abspath(__file__))
SAVED = os.path.join(HERE, "cost.json")
ALLOWED = 1.25
SKIPPED = 77
# work: (what one costs, few, many, bytes of each). Even the few are more than a page of a listing: a bucket of
# one page is not cut into ranges, and the difference would hold what the cuts cost.
WORKS = {
    "copy": ("a small server-side copy", 2000, 6000, 4096),
    "list": ("a listed key", 20000, 60000, 64),
    "relay": ("a relay of 4 KiB", 2000, 6000, 4096),
    "unchanged": ("an unchanged object of an incremental backup", 20000, 60000, 64),
    "gcs-copy": ("a small object that Google Cloud Storage rewrites", 1500, 3500, 4096),
    "gcs-list": ("a key that it lists", 4000, 12000, 64),
    "gcs-relay": ("a relay of 4 KiB between two of it", 1500, 3500, 4096),
}


class Gcs(origins.Origin):
    """The same objects, by Google's JSON API."""

    def url(self, bucket):
        return f"gs://{bucket}?endpoint={self.endpoint}"


class Counter:
    def __init__(self, build, folder):
        self.pbcopy = peers.Pbcopy(os.path.join(build, "bin", "pbcopy"))
        self.origin = os.path.join(build, "bin", "origin")
        self.folder = folder

    def _run(self, work, one, two, source, destination, counted):
        """Instructions of one run (None where not counted)."""
        work = work.removeprefix("gcs-")
        job = peers.Job(work, one, source, two, destination, 16, 0, self.folder)
        # One loop: threads would take turns as the scheduler likes. One request at a time where keys are listed:
        # ranges are split by who answers first.
        command = self.pbcopy.command(job) + ["--loops", "1"]
        if work in ("list", "unchanged"):
            command += ["--parallel", "1"]
        env = peers.base_environment(job)
        if not counted:
            measure.run(command, env, self.folder)
            return None
        profile = os.path.join(self.folder, "profile")
        measure.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", *command], env, self.folder)
        with open(profile, encoding="utf-8", errors="replace") as file:
            return int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE)[1])

    def instructions(self, work, objects, size):
        store = Gcs if work.startswith("gcs-") else origins.Origin
        one = store(self.origin, self.folder, [f"source:{objects}:{size}:flat"])
        two = store(self.origin, self.folder) if work.endswith("relay") else one
        try:
            destination = two.new_bucket()
            if work == "unchanged":
                self._run("backup", one, two, "source", destination, counted=False)
            one.reset_statistics()
            count = self._run(work, one, two, "source", destination, counted=True)
            told = one.statistics()
            done = {"copy": told["CopyObject"], "unchanged": objects if not told["CopyObject"] else 0,
                    "list": 1000 * told["ListObjectsV2"], "relay": two.held(destination)[0],
                    "gcs-copy": told["objects.rewrite"], "gcs-list": 1000 * told["objects.list"],
                    "gcs-relay": two.held(destination)[0]}[work]
            if done < objects:
                raise measure.Failed(f"{work}: {done} objects instead of {objects}")
            return count
        finally:
            for store in {one, two}:
                store.stop()

    def cost(self, work, repeats):
        """(median instructions of one, largest over smallest)"""
        _, few, many, size = WORKS[work]
        found = sorted((self.instructions(work, many, size) - self.instructions(work, few, size)) / (many - few)
                       for _ in range(repeats))
        return statistics.median(found), found[-1] / found[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"only these, of {' '.join(WORKS)}")
    parser.add_argument("--build", default="build/release", metavar="DIR", help="an optimised build")
    parser.add_argument("--repeats", type=int, default=1, help="medians of so many; the spread is told")
    parser.add_argument("--save", action="store_true", help="these figures become the saved ones")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("SKIP: no valgrind on PATH")
        return SKIPPED
    if os.path.exists(SAVED):
        with open(SAVED, encoding="utf-8") as file:
            saved = json.load(file)
    else:
        saved = {}
    found, failed = dict(saved), False
    with origins.temporary_folder() as folder:
        counter = Counter(arguments.build, folder)
        for work in arguments.works or WORKS:
            says = WORKS[work][0]
            try:
                cost, spread = counter.cost(work, arguments.repeats)
            except measure.Failed as failure:
                sys.exit(f"cost: {failure}")
            found[work] = round(cost)
            ratio = cost / saved[work] if work in saved else 1
            beyond = ratio > ALLOWED and not arguments.save
            failed |= beyond
            print(f"cost: {cost:,.0f} instructions {says} ({ratio:.2f} of the saved figure"
                  + (f", spread {spread:.3f}" if arguments.repeats > 1 else "") + ")"
                  + (f" REGRESSION: beyond {ALLOWED}" if beyond else ""), flush=True)
    if arguments.save:
        with open(SAVED, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
            file.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
