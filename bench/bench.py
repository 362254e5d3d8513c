#!/usr/bin/python3
"""pbcopy and the peers found on PATH (s5cmd, rclone, mc, awscli, s3cmd): the same work in turn, in one run, on
in-memory S3 servers of this bench's own, or on an endpoint of yours. docs/internals/bench.md says more."""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass

import baseline
import figures
import measure
import origins
import peers
import plot
import scenarios
import stage

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")


@dataclass
class Bench:
    build: str
    folder: str
    scale: float
    large: bool
    endpoint: str
    runs: int
    clients: dict


def run_scenario(scenario, bench):
    """The row of a scenario: medians of its runs. The clients take turns, so that a drift of the machine
    hits all alike."""
    samples = {}
    calibration_s = measure.calibrate()
    with stage.Stage(scenario, bench) as place:
        for _ in range(min(bench.runs, scenario.runs_max)):
            for name in place.shares:
                with place.job(name) as job:
                    samples.setdefault(name, []).append(place.measure(name, job))
        units = {name: stage.units_of(scenario, place, name) for name in samples}
    row = {"name": scenario.name, "work": scenario.work, "unit": scenario.unit, "parallel": scenario.parallel,
           "latency_ms": scenario.latency_ms, "tls": scenario.tls, "calibration_s": calibration_s, "clients": {}}
    for name, taken in samples.items():
        cpu = sorted(sample.cpu_s for sample, _ in taken)
        firsts = [first for _, first in taken if first is not None]
        row["clients"][name] = {
            "units": units[name], "runs": len(taken),
            "cpu_s": statistics.median(cpu) / units[name],
            "cpu_spread": cpu[-1] / cpu[0] if cpu[0] else 1,
            "wall_s": statistics.median(sample.wall_s for sample, _ in taken) / units[name],
            "peak_bytes": max(sample.peak_bytes for sample, _ in taken),
            "first_s": statistics.median(firsts) if firsts else None}
    return row


def run_all(bench, chosen):
    for scenario in chosen:
        if bench.endpoint and scenario.needs_origin:
            print(f"\nSKIP {scenario.name}: not with --endpoint (latency, TLS, a second store or statistics)")
            continue
        row = run_scenario(scenario, bench)
        print(figures.table(row), flush=True)
        yield row


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--scenario", action="append", default=[], metavar="NAME", help="only these (globs); repeatable")
    add("--list", action="store_true", help="name the scenarios and end")
    add("--runs", type=int, default=3, help="how often each client does each work; medians are told (3)")
    add("--scale", type=float, default=1.0, help="multiplies the number of objects (1)")
    add("--large", action="store_true", help="also 5 M keys, 8 x 1 GiB, a backup of 5 M objects: hours, 16 GB")
    add("--build", default="build/release", metavar="DIR", help="where bin/pbcopy and bin/origin are")
    add("--client", action="append", default=[], metavar="NAME", help="only pbcopy and these; repeatable")
    add("--json", metavar="FILE")
    add("--svg", metavar="FILE")
    add("--endpoint", metavar="URL", help="a store of yours; keys from AWS_ACCESS_KEY_ID and its kin. Buckets are "
        "made and deleted again")
    add("--baseline", default=BASELINE, metavar="FILE")
    add("--check", action="store_true", help="fail where pbcopy's CPU per unit is 25 %% over the baseline")
    add("--save-baseline", action="store_true", help="this run becomes the baseline")
    return parser.parse_args()


def conclude(report, arguments):
    """Writes what was asked for; the exit code."""
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    if arguments.svg:
        with open(arguments.svg, "w", encoding="utf-8") as file:
            file.write(plot.svg(report))
    if arguments.save_baseline:
        baseline.save(report, arguments.baseline)
    if not arguments.check:
        return 0
    ratios, good = baseline.check(report, arguments.baseline)
    print(f"\nCPU per unit against {os.path.relpath(arguments.baseline)} (1.25 is the most)")
    for name, ratio in ratios:
        verdict = "no baseline" if ratio is None else f"{ratio:6.2f}{'  REGRESSION' if ratio > baseline.ALLOWED else ''}"
        print(f"  {name:16} {verdict}")
    return 0 if good else 1


def main():
    arguments = read_arguments()
    try:
        chosen = scenarios.chosen(arguments.scenario, arguments.large)
    except LookupError as error:
        sys.exit(f"bench: {error}")
    if arguments.list:
        print("\n".join(each.name for each in chosen))
        return 0
    clients, versions = peers.present(arguments.build)
    if "pbcopy" not in clients:
        sys.exit(f"bench: no pbcopy in {arguments.build}: run make")
    wanted = {"pbcopy", "pbcopy-sequential", "pbcopy-crc32c", *arguments.client}
    clients = {name: each for name, each in clients.items() if not arguments.client or name in wanted}
    print("\n".join(f"{name}: {versions[name]}" for name in clients), flush=True)
    began = time.monotonic()
    with origins.temporary_folder() as folder:
        bench = Bench(arguments.build, folder, arguments.scale, arguments.large, arguments.endpoint,
                      arguments.runs, clients)
        try:
            rows = list(run_all(bench, chosen))
        except (measure.Failed, RuntimeError) as failure:
            sys.exit(f"bench: {failure}")
    report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "machine": f"{platform.machine()}, {os.cpu_count()} cores", "scale": arguments.scale,
              "large": arguments.large, "runs": arguments.runs, "versions": {name: versions[name] for name in clients},
              "rows": rows, "figures": figures.derived(rows)}
    print("\nFigures")
    for text in report["figures"].values():
        print(f"  {text}")
    print(f"\n{time.monotonic() - began:.0f} s", flush=True)
    return conclude(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
