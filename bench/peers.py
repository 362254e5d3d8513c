"""The command line of each client for each kind of work, and how many objects it says it has seen.

Every peer runs at the settings found fastest for it on loopback: notes stand where there was a choice."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from measure import Failed


@dataclass(frozen=True)
class Job:
    """One measured run. The buckets are there; the destination is empty unless the work is `unchanged`."""

    work: str
    source: object  # Store
    source_bucket: str
    destination: object
    destination_bucket: str
    parallel: int
    size: int  # bytes of each object
    folder: str  # for a client's configuration


def base_environment(job):
    """What every client finds: credentials, trust, and nothing of the user's own configuration."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("AWS_", "RCLONE_", "S3_", "MC_", "PBCOPY_", "SSL_CERT_"))}
    env.update(AWS_ACCESS_KEY_ID=job.source.access_key, AWS_SECRET_ACCESS_KEY=job.source.secret_key,
               AWS_REGION=job.source.region, AWS_DEFAULT_REGION=job.source.region,
               AWS_EC2_METADATA_DISABLED="true", HOME=job.folder)
    if job.source.certificate:
        env["SSL_CERT_FILE"] = job.source.certificate  # Go's
    return env


def _number(pattern, text):
    found = re.findall(pattern, text)
    if not found:
        raise Failed(f"tells no count: {text[-300:]!r}")
    return int(found[-1])


class Pbcopy:
    name, more = "pbcopy", ()

    def __init__(self, program):
        self.program = program

    def version(self):
        return subprocess.run([self.program, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def command(self, job):
        source, destination = job.source.url(job.source_bucket), job.destination.url(job.destination_bucket)
        words = {"list": ["copy", "--dry-run", source, destination],
                 "copy": ["copy", source, destination],
                 "relay": ["copy", source, destination],
                 "first-copy": ["backup", source, destination],
                 "backup": ["backup", source, destination],
                 "unchanged": ["backup", source, destination],
                 "verify": ["verify", "--read", source],
                 "restore": ["restore", source, destination]}[job.work]
        trust = ["--ca-bundle", job.source.certificate] if job.source.certificate else []
        return [self.program, *words, "--quiet", "--json", "--parallel", str(job.parallel), *trust, *self.more]

    def environment(self, _job):
        return {}

    def counted(self, job, stdout):
        told = json.loads(stdout)
        if job.work == "unchanged":
            return told["snapshot"]["objects"] - told["snapshot"]["copied_objects"]
        return told["snapshot"]["objects"] if job.work == "backup" else told.get("objects")


class PbcopySequential(Pbcopy):
    """One request at a time: what splitting a listing brings is told against it."""

    name, more = "pbcopy-sequential", ("--parallel", "1", "--loops", "1")


class PbcopyCrc32c(Pbcopy):
    """Relayed bytes are hashed with CRC32C instead of SHA-256."""

    name, more = "pbcopy-crc32c", ("--checksum", "crc32c")


class S5cmd:
    """Within one endpoint only."""

    name, works = "s5cmd", {"list", "copy", "unchanged", "first-copy"}

    def version(self):
        return subprocess.run(["s5cmd", "version"], check=True, capture_output=True, text=True).stdout.strip()

    def command(self, job):
        base = ["s5cmd", "--log", "info" if job.work == "list" else "error", "--endpoint-url", job.source.endpoint,
                "--numworkers", str(job.parallel)]
        source, destination = f"s3://{job.source_bucket}/*", f"s3://{job.destination_bucket}/"
        if job.work == "list":
            return base + ["du", source]  # as quick as ls, and it counts
        if job.work == "unchanged":
            return base + ["sync", source, destination]
        return base + ["cp", source, destination]

    def environment(self, _job):
        return {}

    def counted(self, job, stdout):
        return _number(r"bytes in (\d+) objects", stdout) if job.work == "list" else None


class Rclone:
    name, works = "rclone", {"list", "copy", "relay", "unchanged", "first-copy"}

    def version(self):
        return subprocess.run(["rclone", "version"], check=True, capture_output=True,
                              text=True).stdout.splitlines()[0]

    def command(self, job):
        source = f"one:{job.source_bucket}"
        # Copies inside a store want one remote, not two alike.
        destination = f"{'one' if job.destination is job.source else 'two'}:{job.destination_bucket}"
        if job.work == "list":
            return ["rclone", "size", "--json", "--fast-list", source]
        base = ["rclone", "copy", "--quiet", "--retries", "1", "--s3-no-check-bucket",
                "--transfers", str(job.parallel), "--checkers", str(job.parallel)]
        if job.work == "unchanged":
            # By ETag: modification times would take a HEAD for each object.
            return base + ["--checksum", "--fast-list", source, destination]
        base += ["--no-traverse", "--no-check-dest"]  # no look at a destination that is empty
        if job.work == "relay":
            base += ["--s3-no-head", "--s3-no-head-object"]  # not before and after each: a quarter less CPU
        if job.size > 64 << 20:
            base += ["--s3-chunk-size", "16M", "--s3-upload-concurrency", "8", "--s3-disable-checksum"]
        return base + [source, destination]

    def environment(self, job):
        env = {"RCLONE_CONFIG": os.path.join(job.folder, "rclone.conf")}
        for name, store in (("ONE", job.source), ("TWO", job.destination)):
            env.update({f"RCLONE_CONFIG_{name}_{key}": value for key, value in {
                "TYPE": "s3", "PROVIDER": "Other", "ENV_AUTH": "true", "ENDPOINT": store.endpoint,
                "REGION": store.region, "FORCE_PATH_STYLE": "true"}.items()})
        return env

    def counted(self, job, stdout):
        return json.loads(stdout)["count"] if job.work == "list" else None


class Mc:
    """MinIO's, not the file manager of the same name."""

    name, works = "mc", {"list", "copy", "relay"}

    def version(self):
        told = subprocess.run(["mc", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        return None if "Midnight" in told else told

    def command(self, job):
        base = ["mc", "--config-dir", os.path.join(job.folder, "mc"), "--quiet", "--no-color"]
        if job.work == "list":
            return base + ["ls", "--recursive", f"one/{job.source_bucket}/"]
        destination = f"{'one' if job.destination is job.source else 'two'}/{job.destination_bucket}/"
        return base + ["mirror", f"one/{job.source_bucket}/", destination]  # quicker than cp

    def environment(self, job):
        return {f"MC_HOST_{name}": f"{store.scheme}://{store.access_key}:{store.secret_key}@{store.host}"
                for name, store in (("one", job.source), ("two", job.destination))}

    def counted(self, job, stdout):
        return stdout.count("\n") if job.work == "list" else None


class Awscli:
    name, works = "awscli", {"list", "copy"}

    def __init__(self):
        # Debian's where there are several: a wrapper of a version manager has costs of its own.
        self.program = shutil.which("aws", path="/usr/bin") or "aws"

    def version(self):
        return subprocess.run([self.program, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def command(self, job):
        base = [self.program, "--endpoint-url", job.source.endpoint, "s3"]
        if job.work == "list":
            return base + ["ls", "--recursive", "--summarize", f"s3://{job.source_bucket}"]
        return base + ["sync", "--quiet", f"s3://{job.source_bucket}", f"s3://{job.destination_bucket}"]

    def environment(self, job):
        return {"AWS_CA_BUNDLE": job.source.certificate} if job.source.certificate else {}

    def counted(self, job, stdout):
        return _number(r"Total Objects: (\d+)", stdout) if job.work == "list" else None


class S3cmd:
    name, works = "s3cmd", {"list", "copy"}

    def version(self):
        return subprocess.run(["s3cmd", "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def command(self, job):
        configuration = os.path.join(job.folder, "s3cmd.conf")
        with open(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as file:
            file.write(f"[default]\naccess_key = {job.source.access_key}\nsecret_key = {job.source.secret_key}\n"
                       f"host_base = {job.source.host}\nhost_bucket = {job.source.host}\n"
                       f"use_https = {job.source.scheme == 'https'}\nsignature_v2 = False\n"
                       f"bucket_location = {job.source.region}\n")
        base = ["s3cmd", "--config", configuration]
        if job.work == "list":
            return base + ["du", f"s3://{job.source_bucket}"]
        return base + ["cp", "--quiet", "--recursive", f"s3://{job.source_bucket}/", f"s3://{job.destination_bucket}/"]

    def environment(self, _job):
        return {}

    def counted(self, job, stdout):
        return _number(r"(\d+) objects", stdout) if job.work == "list" else None


def present(build):
    """({name: client}, {name: version}); those that are missing are told."""
    pbcopy = os.path.join(build, "bin", "pbcopy")
    clients, versions = {}, {}
    for client in (Pbcopy(pbcopy), PbcopySequential(pbcopy), PbcopyCrc32c(pbcopy), S5cmd(), Rclone(), Mc(), Awscli(), S3cmd()):
        program = getattr(client, "program", client.name)
        version = client.version() if shutil.which(program) else None
        if version:
            clients[client.name], versions[client.name] = client, version
        else:
            print(f"SKIP {client.name}: no {program} on PATH", flush=True)
    return clients, versions
