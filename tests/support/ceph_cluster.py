"""A Ceph cluster with an S3 gateway for the length of a test: started by ceph/up, gone with the test in
whatever way that ends. Where Ceph is not installed the test is skipped, aloud; with CI=true that is a failure.
"""

import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import scenario
from s3_store import S3Store

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ceph")
PROGRAM_MISSING = 77
OPERATIONS = {"copy_obj": "CopyObject", "put_obj": "PutObject", "init_multipart": "CreateMultipartUpload"}


class CephCluster(S3Store):
    name = "Ceph"
    creates_only_with_versions = False  # each write there is a new instance, which never exists before

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pbcopy-ceph-", dir="/tmp")
        started = time.monotonic()
        run = subprocess.run([os.path.join(SCRIPTS, "up"), self.folder, str(os.getpid())],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=600, check=False)
        if run.returncode:
            print(run.stderr, end="")
            shutil.rmtree(self.folder, ignore_errors=True)
            if run.returncode == PROGRAM_MISSING:
                scenario.unavailable("Ceph is not installed")
            print("FAILED: Ceph did not start")
            sys.exit(1)
        told = dict(word.split("=", 1) for word in run.stdout.split())
        self.endpoint = told.pop("S3_ENDPOINT")
        self.credentials = {name: told[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        self.connect()
        self.seconds_to_start = time.monotonic() - started

    def stop(self):
        subprocess.run([os.path.join(SCRIPTS, "down"), self.folder], check=False, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """The gateway alone: what it has stored lies in the memory of an OSD."""
        with open(os.path.join(self.folder, "run", "client.rgw.pid"), encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGKILL)
        scenario.wait_until(lambda: not os.path.exists(f"/proc/{pid}/exe"), 30, "the gateway to be gone")

    def start(self):
        subprocess.run(["radosgw", "-c", os.path.join(self.folder, "ceph.conf"), "-n", "client.rgw"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                       check=True)
        scenario.wait_until(self._is_ready, 120, "the gateway to answer", poll_s=0.1)

    def _is_ready(self):
        try:
            with urllib.request.urlopen(self.endpoint, timeout=10):
                return True
        except OSError:
            return False

    def operations(self, bucket):
        time.sleep(2) # the gateway writes its account every second
        run = subprocess.run(["radosgw-admin", "-c", os.path.join(self.folder, "ceph.conf"), "-n", "client.rgw",
                              "usage", "show", "--uid=test", "--show-log-sum=false"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=60, check=True)
        counted = collections.Counter()
        for entry in json.loads(run.stdout)["entries"]:
            for each in entry["buckets"]:
                if each["bucket"] == bucket:
                    for category in each["categories"]:
                        name = category["category"]
                        counted[OPERATIONS.get(name, name)] += category["ops"]
        return counted
