#!/usr/bin/python3
"""pbcopy beside the peers found on PATH (rclone, awscli, s3cmd), on the same origin, in one run.

Each client does the same work in turn, --runs times; what is told is the median of the CPU time (user +
system) of the client's processes per unit of work, and the wall time. Slow peers get fewer objects: figures
are per unit. Everything runs on loopback; nothing is kept.

    bench/side_by_side.py [--build build/release] [--runs 3] [--json FILE] [--scale 1.0]
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

KEY, SECRET = "BENCHKEY", "BENCHSECRET"


class Origin:
    """One in-memory S3 server."""

    def __init__(self, program, buckets, fills, directory, name):
        port_file = os.path.join(directory, name + ".port")
        command = [program, "--port", "0", "--port-file", port_file,
                   "--access-key", KEY, "--secret-key", SECRET]
        for bucket in buckets:
            command += ["--bucket", bucket]
        for fill in fills:
            command += ["--fill", fill]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # "listening on ..."
        with open(port_file, encoding="ascii") as file:
            self.endpoint = f"http://127.0.0.1:{int(file.read())}"

    def url(self, bucket):
        return f"s3://{bucket}?endpoint={self.endpoint}&region=us-east-1"

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def environment(directory):
    """What every client finds: credentials, and nothing of the user's own configuration."""
    result = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    result.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="us-east-1",
                  AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
                  HOME=directory, RCLONE_CONFIG=os.path.join(directory, "rclone.conf"))
    return result


def measure(command, env):
    """CPU seconds of the command and all its children, wall seconds. A failure ends the bench."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"side_by_side: {' '.join(command)}: exit {done.returncode}\n"
                 f"{done.stderr.decode(errors='replace')[-2000:]}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def write_peer_configuration(directory, origins):
    with open(os.path.join(directory, "rclone.conf"), "w", encoding="ascii") as file:
        for name, origin in origins.items():
            file.write(f"[{name}]\ntype = s3\nprovider = Other\nenv_auth = true\n"
                       f"endpoint = {origin.endpoint}\nregion = us-east-1\n"
                       "force_path_style = true\n")
    host = origins["one"].endpoint.removeprefix("http://")
    with open(os.path.join(directory, "s3cmd.conf"), "w", encoding="ascii") as file:
        file.write(f"[default]\naccess_key = {KEY}\nsecret_key = {SECRET}\nhost_base = {host}\n"
                   f"host_bucket = {host}\nuse_https = False\nsignature_v2 = False\n")


def scenarios(arguments, directory, origins):
    """(work, unit, [(client, units, commands to run before each, command)])."""
    pbcopy = os.path.join(arguments.build, "bin", "pbcopy")
    one, two = origins["one"], origins["two"]
    s3cmd = ["s3cmd", "-c", os.path.join(directory, "s3cmd.conf"), "-q"]
    aws = ["/usr/bin/aws", "--endpoint-url", one.endpoint]

    def sized(count):
        return max(100, int(count * arguments.scale))

    small, few, keys = sized(20000), sized(1000), sized(1000000)
    large = 4

    def fresh(name, origin, client_index):
        # A new destination each time, so that nothing is there to be skipped.
        fresh.count += 1
        bucket = f"{name}{client_index}x{fresh.count}"
        subprocess.run(["/usr/bin/aws", "--endpoint-url", origin.endpoint, "s3api",
                        "create-bucket", "--bucket", bucket], env=environment(directory),
                       check=True, stdout=subprocess.DEVNULL)
        return bucket
    fresh.count = 0

    yield ("server-side copy of 4 KiB objects", "object", [
        ("pbcopy", small, lambda: [pbcopy, "copy", "-q", "--parallel", "256", one.url("small"),
                                   one.url(fresh("copied", one, 0))]),
        ("rclone", small, lambda: ["rclone", "copy", "-q", "--transfers", "256", "--checkers", "64",
                                   "one:small", "one:" + fresh("copied", one, 1)]),
        ("awscli", few, lambda: aws + ["s3", "sync", "--quiet", "s3://few",
                                       "s3://" + fresh("copied", one, 2)]),
        ("s3cmd", few, lambda: s3cmd + ["cp", "--recursive", "s3://few/",
                                        "s3://" + fresh("copied", one, 3) + "/"]),
    ])
    yield ("relay of 4 KiB objects between two stores", "object", [
        ("pbcopy", small, lambda: [pbcopy, "copy", "-q", "--parallel", "256", one.url("small"),
                                   two.url(fresh("relayed", two, 0))]),
        ("rclone", small, lambda: ["rclone", "copy", "-q", "--transfers", "256", "--checkers", "64",
                                   "one:small", "two:" + fresh("relayed", two, 1)]),
    ])
    yield ("relay of 512 MiB objects between two stores", "GiB", [
        ("pbcopy", large / 2, lambda: [pbcopy, "copy", "-q", "--parallel", "8", one.url("large"),
                                       two.url(fresh("moved", two, 0))]),
        ("rclone", large / 2, lambda: ["rclone", "copy", "-q", "--transfers", "4", "one:large",
                                       "two:" + fresh("moved", two, 1)]),
    ])
    yield ("listing", "key", [
        ("pbcopy", keys, lambda: [pbcopy, "copy", "-q", "--dry-run", "--parallel", "32",
                                  one.url("many"), two.url("empty")]),
        ("rclone", keys, lambda: ["rclone", "size", "--fast-list", "one:many"]),
        ("awscli", small, lambda: aws + ["s3", "ls", "--recursive", "s3://small"]),
        ("s3cmd", small, lambda: s3cmd + ["ls", "--recursive", "s3://small"]),
    ])


def run(arguments, directory):
    origin = os.path.join(arguments.build, "bin", "origin")
    scale = arguments.scale
    small, few, keys = (max(100, int(n * scale)) for n in (20000, 1000, 1000000))
    origins = {
        "one": Origin(origin, [], [f"small:{small}:4096:chunk", f"few:{few}:4096:chunk",
                                   f"many:{keys}:1024:chunk", "large:4:536870912:flat"],
                      directory, "one"),
        "two": Origin(origin, ["empty"], [], directory, "two"),
    }
    results = []
    try:
        write_peer_configuration(directory, origins)
        env = environment(directory)
        for work, unit, clients in scenarios(arguments, directory, origins):
            row = {"work": work, "unit": unit, "clients": {}}
            for client, units, command in clients:
                program = {"pbcopy": "true", "awscli": "aws"}.get(client, client)
                if not shutil.which(program):
                    print(f"SKIP {client}: not on PATH", flush=True)
                    continue
                samples = [measure(command(), env) for _ in range(arguments.runs)]
                cpu = statistics.median(sample[0] for sample in samples) / units
                wall = statistics.median(sample[1] for sample in samples) / units
                row["clients"][client] = {"units": units, "cpu_s": cpu, "wall_s": wall}
            results.append(row)
            tell(row)
    finally:
        for server in origins.values():
            server.stop()
    return results


def tell(row):
    ours = row["clients"]["pbcopy"]["cpu_s"]
    print(f"\n{row['work']}")
    for client, figures in row["clients"].items():
        scale, name = (1, "s") if row["unit"] == "GiB" else (1e6, "us")
        print(f"  {client:8} {figures['cpu_s'] * scale:12.2f} CPU-{name}/{row['unit']}"
              f" {figures['wall_s'] * scale:12.2f} {name}/{row['unit']} wall"
              f" {1 / figures['wall_s']:14.1f} {row['unit']}s/s"
              f" {figures['cpu_s'] / ours:8.1f} x CPU", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pbcopy-bench-") as directory:
        results = run(arguments, directory)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
