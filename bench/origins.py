"""The stores that are measured against: origins started for the purpose, or an endpoint of the user's."""

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
import uuid

import boto3
import botocore.config

REGION = "us-east-1"
_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def make_certificate(folder):
    """(certificate, key) of a server on 127.0.0.1, made with openssl and trusted by nobody else."""
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    if not os.path.exists(certificate):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    return certificate, key


class Store:
    """An S3 endpoint with credentials."""

    def __init__(self, endpoint, access_key, secret_key, region=REGION, certificate=None):
        self.endpoint, self.access_key, self.secret_key = endpoint, access_key, secret_key
        self.region, self.certificate = region, certificate
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access_key,
            aws_secret_access_key=secret_key, verify=certificate,
            config=botocore.config.Config(s3={"addressing_style": "path"}, read_timeout=120))

    @property
    def scheme(self):
        return self.endpoint.partition("://")[0]

    @property
    def host(self):
        return self.endpoint.partition("://")[2].rstrip("/")

    def url(self, bucket):
        """As pbcopy takes it."""
        return f"s3://{bucket}?endpoint={self.endpoint}&region={self.region}"


class Origin(Store):
    """An in-memory S3 server of its own, until stop(). `fills` are --fill's."""

    _numbers = itertools.count()

    def __init__(self, program, folder, fills=(), latency_ms=0, tls=False):
        self.latency_ms = latency_ms
        port_file = os.path.join(folder, f"port-{next(self._numbers)}")
        access_key, secret_key = "BENCHKEY", "BENCHSECRET"
        command = [program, "--port", "0", "--port-file", port_file, "--region", REGION,
                   "--access-key", access_key, "--secret-key", secret_key, "--latency-ms", str(latency_ms)]
        certificate = None
        if tls:
            certificate, key = make_certificate(folder)
            command += ["--tls-cert", certificate, "--tls-key", key]
        for fill in fills:
            command += ["--fill", fill]
        # Whatever kills the bench, even SIGKILL, ends its servers too.
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL,
            preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
        try:
            while not os.path.exists(port_file):
                if self.process.poll() is not None:
                    raise RuntimeError(f"origin ended with {self.process.returncode}: {command}")
                time.sleep(0.01)
        except BaseException:
            self.stop()
            raise
        with open(port_file, encoding="ascii") as file:
            port = int(file.read())
        super().__init__(f"{'https' if tls else 'http'}://127.0.0.1:{port}", access_key, secret_key,
                         certificate=certificate)
        self._context = ssl.create_default_context(cafile=certificate) if tls else None

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def statistics(self):
        with urllib.request.urlopen(self.endpoint + "/?origin-statistics", timeout=120,
                                    context=self._context) as answer:
            return json.load(answer)

    def reset_statistics(self):
        request = urllib.request.Request(self.endpoint + "/?origin-statistics", data=b"", method="PUT")
        with urllib.request.urlopen(request, timeout=120, context=self._context):
            pass

    def new_bucket(self):
        name = f"bench-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def drop_bucket(self, name):
        """Its memory goes with the origin."""

    def held(self, bucket):
        """(objects, bytes) in the bucket."""
        told = self.statistics()
        return told["objects"][bucket], told["object_bytes"][bucket]


class Endpoint(Store):
    """A store of the user's: buckets are made for each run and deleted again, nothing else is touched."""

    latency_ms = 0

    def __init__(self, url):
        with contextlib.suppress(KeyError):
            super().__init__(url, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"],
                             os.environ.get("AWS_REGION", REGION))
            return
        raise RuntimeError("--endpoint wants AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")

    def stop(self):
        pass

    def new_bucket(self):
        name = f"pbcopy-bench-{uuid.uuid4().hex[:16]}"
        self.client.create_bucket(Bucket=name)
        return name

    def _pages(self, bucket):
        return self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)

    def drop_bucket(self, name):
        for page in self._pages(name):
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
            if keys:
                self.client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
        self.client.delete_bucket(Bucket=name)

    def held(self, bucket):
        sizes = [entry["Size"] for page in self._pages(bucket) for entry in page.get("Contents", [])]
        return len(sizes), sum(sizes)


@contextlib.contextmanager
def temporary_folder():
    folder = tempfile.mkdtemp(prefix="pbcopy-bench-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
