"""A Ceph cluster with an S3 gateway for the length of a test: started by ceph/up, gone with the test in
whatever way that ends.

Where Ceph is not installed the test is skipped, aloud; with CI=true in the environment that is a failure.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ceph")
PROGRAM_MISSING = 77


def leave_without(reason):
    """Ends the test program: nothing can be tested for this reason."""
    if os.environ.get("CI") == "true":
        print(f"FAILED: {reason}, and with CI=true nothing may be skipped")
        sys.exit(1)
    print(f"SKIP: {reason}")
    sys.exit(PROGRAM_MISSING)


try:
    import boto3
    import botocore.config
except ImportError:
    leave_without("boto3 is not installed (python3-boto3)")

REGION = "us-east-1"


def client_of(endpoint, credentials):
    """A boto3 client; one a process and its threads."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4",
                                      max_pool_connections=32, retries={"max_attempts": 2},
                                      read_timeout=120, parameter_validation=False))


class Cluster:
    """Running from construction to stop()."""

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
                leave_without("Ceph is not installed")
            print("FAILED: Ceph did not start")
            sys.exit(1)
        told = dict(word.split("=", 1) for word in run.stdout.split())
        self.endpoint = told.pop("S3_ENDPOINT")
        self.credentials = {name: told[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        self.client = client_of(self.endpoint, self.credentials)
        self.seconds_to_start = time.monotonic() - started

    def stop(self):
        subprocess.run([os.path.join(SCRIPTS, "down"), self.folder], check=False, timeout=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, bucket):
        """Of a bucket, for pbcopy."""
        query = urllib.parse.urlencode({"endpoint": self.endpoint, "region": REGION}, safe=":/")
        return f"s3://{bucket}?{query}"

    def make_bucket(self, name):
        self.client.create_bucket(Bucket=name)
        return name

    def list(self, bucket, prefix=""):
        """{key: (size, ETag)}, of all pages."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = entry["Size"], entry["ETag"].strip('"')
        return found

    def operations(self, bucket):
        """{operation: how many requests so far} by the gateway's own account: copy_obj, put_obj,
        get_obj, list_bucket, init_multipart, ... of requests to this bucket."""
        time.sleep(2) # the gateway writes its account every second
        run = subprocess.run(["radosgw-admin", "-c", os.path.join(self.folder, "ceph.conf"), "-n", "client.rgw",
                              "usage", "show", "--uid=test", "--show-log-sum=false"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=60, check=True)
        counted = {}
        for entry in json.loads(run.stdout)["entries"]:
            for each in entry["buckets"]:
                if each["bucket"] == bucket:
                    for category in each["categories"]:
                        name = category["category"]
                        counted[name] = counted.get(name, 0) + category["ops"]
        return counted
