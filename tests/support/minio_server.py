"""A MinIO server for the length of a test, on a free loopback port: one process, one folder, its own credentials."""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import go_servers
import scenario
from s3_store import S3Store

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "scenario-minio", "AWS_SECRET_ACCESS_KEY": "scenario/minio+0123456789"}

ROOM_BYTES = 6 << 30


class MinioServer(S3Store):
    """Running no longer than the thread that made it lives. Where there is no MinIO, and none can be built, the test is
    skipped, aloud; with CI=true that is a failure."""

    name = "MinIO"

    def __init__(self):
        self.program, reason = go_servers.minio()
        if not self.program:
            scenario.unavailable(f"no MinIO here: {reason}")
        # In memory where there is room: it synchronises every object, which takes a disk three times as long.
        in_memory = os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > ROOM_BYTES
        self.folder = tempfile.mkdtemp(prefix="pbcopy-minio-", dir="/dev/shm" if in_memory else None)
        self.address = f"127.0.0.1:{scenario.free_port()}"
        self.endpoint, self.credentials = f"http://{self.address}", CREDENTIALS
        started = time.monotonic()
        self.start()
        self.connect()
        self.seconds_to_start = time.monotonic() - started

    def start(self):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder,
                       "MINIO_ROOT_USER": CREDENTIALS["AWS_ACCESS_KEY_ID"],
                       "MINIO_ROOT_PASSWORD": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                       "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_PROMETHEUS_AUTH_TYPE": "public",
                       "MINIO_CI_CD": "on"}  # the last: on any disk
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "server", "--quiet", "--address", self.address, os.path.join(self.folder, "data")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder,
                preexec_fn=scenario._die_with_parent)
        scenario.wait_until(self._is_ready, 120, f"MinIO to serve: {self.folder}/log", poll_s=0.05)

    def _is_ready(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                raise RuntimeError(f"MinIO has ended with {self.process.returncode}: {log.read()[-2000:]}")
        try:
            with urllib.request.urlopen(self.endpoint + "/minio/health/ready", timeout=5):
                return True
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def holds(self, keys):
        """A key is a path of directories: "." and ".." and empty segments are refused, as are those of more than 255
        bytes; a slash at the beginning is taken away without a word; and where `a` is an object, `a/b` is taken and read,
        but no listing shows it."""
        parents = {key[:at.start()] for key in keys for at in re.finditer("/", key) if at.end() < len(key)}

        def is_held(key):
            segments = key.removesuffix("/").split("/")
            return key not in parents and all(
                segment not in ("", ".", "..") and len(segment.encode()) <= 255 for segment in segments)

        return {key for key in keys if is_held(key)}

    def operations(self, bucket):
        with urllib.request.urlopen(f"{self.endpoint}/minio/metrics/v3/bucket/api/{bucket}", timeout=30) as answer:
            text = answer.read().decode()
        names = {"NewMultipartUpload": "CreateMultipartUpload"}
        found = re.findall(r'^minio_bucket_api_total{[^}]*name="(\w+)"[^}]*} (\d+)$', text, re.MULTILINE)
        return collections.Counter({names.get(name, name): int(count) for name, count in found})
