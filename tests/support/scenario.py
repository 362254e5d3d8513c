"""What the scenario tests in tests/integration share: an origin server on a free port, runs of pbcopy,
and buckets filled and read by boto3, which knows nothing of pbcopy.

The environment names the programs: PBCOPY and ORIGIN. A test file ends with scenario.main().
"""

import concurrent.futures
import contextlib
import ctypes
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import no_clouds


def unavailable(reason):
    """Ends a test that cannot run: skipped aloud, but failed where nothing may be missing (CI=true)."""
    in_ci = os.environ.get("CI") == "true"
    print(f"{'FAILED' if in_ci else 'SKIP'}: {reason}")
    sys.exit(1 if in_ci else 77)


try:
    import boto3
    import botocore.config
    import botocore.handlers
except ImportError:
    unavailable("boto3 is not installed (python3-boto3)")

PBCOPY = os.environ.get("PBCOPY", "")
ORIGIN = os.environ.get("ORIGIN", "")

ACCESS_KEY = "scenario-access-key"
SECRET_KEY = "scenario/secret+key/0123456789abcdef"
REGION = "us-east-1"

# CopyObject requests that making a repository takes: does its store make copies?
PROBE_COPIES = 1

OK, FAILED, USAGE, DAMAGED, REFUSED, UNREACHABLE, BUSY, NOT_FOUND, CANCELLED = 0, 1, 2, 3, 4, 5, 6, 7, 130

# Sanitizers slow everything down and have memory of their own.
def is_sanitized():
    if os.environ.get("PB_SANITIZED") == "1":
        return True
    with open(PBCOPY, "rb") as program:
        text = program.read()
    return b"__asan_init" in text or b"__tsan_init" in text


RUN_TIMEOUT_S = 280

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """Below those that connections are made from: one of these could be taken while a server is halted."""
    for _ in range(200):
        port = random.randrange(12000, 20000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Origin:
    """An origin server, from construction to stop(). Signatures are checked, unless told otherwise."""

    def __init__(self, *arguments, buckets=(), signed=True, access_key=ACCESS_KEY, secret_key=SECRET_KEY,
                 scheme="http", log=False):
        self.folder = tempfile.mkdtemp(prefix="pbcopy-origin-")
        port_file = os.path.join(self.folder, "port")
        self.access_key, self.secret_key, self.scheme = access_key, secret_key, scheme
        self.log_file = os.path.join(self.folder, "log") if log else None
        command = [ORIGIN, "--port", "0", "--port-file", port_file, *arguments]
        for bucket in buckets:
            command += ["--bucket", bucket]
        if signed:
            command += ["--access-key", access_key, "--secret-key", secret_key]
        if log:
            command += ["--log", self.log_file]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent)
        deadline = time.monotonic() + 120
        while not os.path.exists(port_file):
            if self.process.poll() is not None:
                raise RuntimeError(f"origin ended with {self.process.returncode}: {command}")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("origin does not begin")
            time.sleep(0.01)
        with open(port_file, encoding="ascii") as file:
            self.port = int(file.read())
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}"
        self._client = None
        self._lock = threading.Lock()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, bucket, prefix="", **query):
        """The URL of a bucket for pbcopy; a query member that is None is left out."""
        members = {"endpoint": self.endpoint, "region": REGION, **query}
        text = urllib.parse.urlencode({k: v for k, v in members.items() if v is not None}, safe=":/")
        return f"s3://{bucket}" + (f"/{prefix}" if prefix else "") + f"?{text}"

    @property
    def client(self):
        with self._lock:
            if self._client is None:
                self._client = boto3.client(
                    "s3", endpoint_url=self.endpoint, region_name=REGION,
                    aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
                    config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8},
                                                  max_pool_connections=4, read_timeout=120))
                # botocore misreads the connection's next answer where a server rightly answers an empty
                # body without a 100 before.
                self._client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
            return self._client

    def bucket(self, name):
        return Bucket(self, name)

    def statistics(self):
        with urllib.request.urlopen(self.endpoint + "/?origin-statistics", timeout=60) as answer:
            return json.load(answer)

    def _put(self, target, body):
        request = urllib.request.Request(self.endpoint + target, data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def reset_statistics(self):
        self._put("/?origin-statistics", b"")

    def set_faults(self, *lines):
        """Replaces the fault plan; without lines all faults end."""
        self._put("/?origin-faults", "".join(line + "\n" for line in lines).encode())

    def set_keys(self, *lines):
        """Replaces the keys that are accepted beside the origin's own: "ACCESS_KEY SECRET_KEY [TOKEN [UNTIL_MS]]"."""
        self._put("/?origin-keys", "".join(line + "\n" for line in lines).encode())

    def requests(self):
        """(method, key or "" , query, status) of every request so far; the log must be on. Keys are
        percent-decoded and begin behind the bucket."""
        found = []
        with open(self.log_file, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                method, target, status, _ = line.rsplit("\n", 1)[0].split(" ")
                path, _, query = target.partition("?")
                _, _, key = path[1:].partition("/")
                found.append((method, urllib.parse.unquote(key), query, int(status)))
        return found


class Bucket:
    """A bucket as boto3 sees it."""

    def __init__(self, origin, name):
        self.origin, self.name = origin, name

    @property
    def _client(self):
        return self.origin.client

    def put(self, key, body, **attributes):
        return self._client.put_object(Bucket=self.name, Key=key, Body=body, **attributes)

    def put_many(self, objects):
        for key, body in objects.items():
            self.put(key, body)

    def put_parts(self, key, body, part_bytes, **attributes):
        """A multipart upload with parts of `part_bytes`, or of the lengths of a list."""
        upload = self._client.create_multipart_upload(Bucket=self.name, Key=key, **attributes)["UploadId"]
        parts = []
        offset = 0
        while offset < len(body):
            number = len(parts) + 1
            length = part_bytes[number - 1] if isinstance(part_bytes, list) else part_bytes
            answer = self._client.upload_part(Bucket=self.name, Key=key, UploadId=upload, PartNumber=number,
                                              Body=body[offset:offset + length])
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            offset += length
        self._client.complete_multipart_upload(Bucket=self.name, Key=key, UploadId=upload,
                                               MultipartUpload={"Parts": parts})

    def get(self, key):
        return self._client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def head(self, key):
        return self._client.head_object(Bucket=self.name, Key=key)

    def delete(self, key):
        self._client.delete_object(Bucket=self.name, Key=key)

    def list(self, prefix=""):
        """{key: size}, of all pages."""
        found = {}
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", []):
                found[entry["Key"]] = entry["Size"]
        return found

    def digests(self, prefix=""):
        """{key: SHA-256 of the bytes}: every byte is read."""
        keys = list(self.list(prefix))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            digests = pool.map(lambda key: hashlib.sha256(self.get(key)).hexdigest(), keys)
            return dict(zip(keys, digests))


def lines_of(text):
    """Lines as programs see them; Python's splitlines() also cuts at some characters of keys."""
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


def lies_in_long(identity, key):
    """docs/formats.md: whether snapshot `identity` stores the key in long/, not under its own name."""
    raw = key.encode()
    return (len(f"data/{identity}/".encode() + raw) > 1024
            or any(byte < 32 or byte in (92, 127) for byte in raw)
            or any(segment in (b"", b".", b"..") or len(segment) > 255 for segment in raw.split(b"/")))


class Run:
    """What a run of pbcopy left behind."""

    def __init__(self, arguments, exit_code, stdout, stderr, seconds, peak_bytes):
        self.arguments, self.exit_code, self.stdout, self.stderr = arguments, exit_code, stdout, stderr
        self.seconds, self.peak_bytes = seconds, peak_bytes

    @property
    def errors(self):
        return [line for line in lines_of(self.stderr) if line.startswith("pbcopy: error: ")]

    @property
    def hints(self):
        return [line for line in lines_of(self.stderr) if line.startswith("pbcopy: HINT: ")]

    def json(self):
        return json.loads(self.stdout)

    def __str__(self):
        return (f"pbcopy {' '.join(self.arguments)}\nexit code {self.exit_code} after {self.seconds:.1f} s\n"
                f"stdout: {self.stdout[-4000:]}\nstderr: {self.stderr[-4000:]}")


def environment(home, **more):
    """Of a run: nothing of the caller's but the path; clouds switched off; the credentials of every origin."""
    result = {
        **no_clouds.VARIABLES,
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": home,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    for name, value in os.environ.items():
        if name.endswith("SAN_OPTIONS"):
            result[name] = value
    result.update(more)
    return {name: value for name, value in result.items() if value is not None}


class Running:
    """A run of pbcopy under way; `user` is somebody else to run it as, which takes root, `command` another way to
    start it; `grouped`: in a process group of its own."""

    def __init__(self, *arguments, home, user=None, command=None, grouped=False, **more):
        self.arguments = arguments
        self.started = time.monotonic()
        self.process = subprocess.Popen(command or [PBCOPY, *arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(home, **more), user=user,
                                        start_new_session=grouped,
                                        preexec_fn=_die_with_parent)
        self.pid = self.process.pid
        self._read = {}
        self._readers = []
        for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            reader = threading.Thread(target=self._gather, args=(name, stream), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _gather(self, name, stream):
        self._read[name] = stream.read().decode("utf-8", "surrogateescape")
        stream.close()

    def is_over(self):
        """Whether it has ended; it is not reaped by this."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def wait(self, timeout_s=RUN_TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        while not self.is_over():
            if time.monotonic() > deadline:
                self.kill()
                self.process.wait()
                raise AssertionError(f"pbcopy {' '.join(self.arguments)}: not over after {timeout_s} s")
            time.sleep(0.005)
        seconds = time.monotonic() - self.started
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        for reader in self._readers:
            reader.join()
        return Run(self.arguments, self.process.returncode, self._read["stdout"], self._read["stderr"],
                   seconds, usage.ru_maxrss * 1024)


class Scenario(unittest.TestCase):
    """A test case with a folder of its own, origins that end with it, and runs of pbcopy."""

    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pbcopy-scenario-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def origin(self, *arguments, **more):
        origin = Origin(*arguments, **more)
        self.addCleanup(origin.stop)
        return origin

    def begin(self, *arguments, **more):
        running = Running(*arguments, home=self.folder, **more)
        self.addCleanup(self._end, running)
        return running

    @staticmethod
    def _end(running):
        if running.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            running.process.wait()

    def pbcopy(self, *arguments, timeout_s=RUN_TIMEOUT_S, **more):
        """Runs pbcopy to its end; keywords go into its environment."""
        return self.begin(*arguments, **more).wait(timeout_s)

    def succeed(self, *arguments, **more):
        run = self.pbcopy(*arguments, **more)
        self.assertEqual(run.exit_code, OK, run)
        self.assertEqual(run.errors, [], run)
        return run

    def fail_with(self, exit_code, *arguments, says=(), hint=None, **more):
        """Runs pbcopy, which must end with this code and exactly one line of error that holds all of
        `says` (and a hint that holds `hint`); then again with --json, if that is safe to repeat."""
        run = self.pbcopy(*arguments, **more)
        self.assert_failed(run, exit_code, says, hint)
        return run

    def assert_failed(self, run, exit_code, says=(), hint=None):
        self.assertEqual(run.exit_code, exit_code, run)
        self.assertEqual(len(run.errors), 1, run)
        self.assertLessEqual(len(run.hints), 1, run)
        for text in (says,) if isinstance(says, str) else says:
            self.assertIn(text.lower(), run.errors[0].lower(), run)
        if hint is not None:
            self.assertEqual(len(run.hints), 1, run)
            self.assertIn(hint.lower(), run.hints[0].lower(), run)
        if "--json" in run.arguments:
            told = run.json()
            self.assertEqual(told["exit_code"], exit_code, run)
            self.assertEqual("pbcopy: error: " + told["error"]["message"], run.errors[0], run)

    def fail_twice(self, exit_code, *arguments, **more):
        """fail_with, in plain and with --json; the runs must not change what they find."""
        self.fail_with(exit_code, *arguments, **more)
        return self.fail_with(exit_code, *arguments, "--json", **more)

    def certificates(self, names="IP:127.0.0.1,DNS:localhost", days=2):
        """A throw-away CA, and a certificate of 127.0.0.1, or of these names, by it; it has expired where `days` is
        below 0."""
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl program")
        folder = self.folder
        with open(f"{folder}/extensions", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        for command in (
                f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=throw-away -keyout {folder}/ca.key "
                f"-out {folder}/ca.pem",
                f"req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {folder}/server.key -out {folder}/server.csr",
                f"x509 -req -in {folder}/server.csr -CA {folder}/ca.pem -CAkey {folder}/ca.key -CAcreateserial "
                f"-days {days} -extfile {folder}/extensions -out {folder}/server.pem"):
            subprocess.run(["openssl", *command.split()], check=True, capture_output=True)
        return f"{folder}/ca.pem", f"{folder}/server.pem", f"{folder}/server.key"

    # ---- repositories ----

    def snapshots(self, repository):
        """[(id, state)] as `pbcopy snapshots` tells."""
        told = self.succeed("snapshots", repository, "--json").json()
        return [(each["id"], each["state"]) for each in told["snapshots"]]

    def committed(self, repository):
        return [identity for identity, state in self.snapshots(repository) if state == "complete"]

    def records(self, repository, *arguments):
        run = self.succeed("show", repository, "--records", *arguments)
        return [json.loads(line) for line in lines_of(run.stdout)]

    def anonymous_records(self, repository, keep=""):
        """The newest snapshot's records, with the ids of attempts replaced, but for one: equal for two runs of one
        source, whatever attempts before them copied."""
        text = self.succeed("show", repository, "--records").stdout
        return lines_of(re.sub(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}",
                               lambda found: found[0] if found[0] == keep else "ID", text))

    def assert_same_objects(self, first, second, same=("ContentType", "Metadata")):
        """Byte for byte, and with the same attributes."""
        self.assertEqual(first.list(), second.list())
        for key in first.list():
            self.assertEqual(hashlib.sha256(first.get(key)).digest(),
                             hashlib.sha256(second.get(key)).digest(), repr(key))
            one, other = first.head(key), second.head(key)
            for name in same:
                self.assertEqual(one.get(name), other.get(name), f"{name} of {key!r}")


def wait_until(condition, timeout_s=60, what="", poll_s=0.002):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(poll_s)


def some_bytes(size, seed=0):
    """The same pseudo-random bytes for the same size and seed."""
    return hashlib.shake_128(f"{seed}:{size}".encode()).digest(size)


class _Result(unittest.TextTestResult):
    """Says skips aloud and how long a test took."""

    def startTest(self, test):
        super().startTest(test)
        self._begun = time.monotonic()

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"SKIP: {test.id()}: {reason}")

    def stopTest(self, test):
        super().stopTest(test)
        self.stream.writeln(f"    {time.monotonic() - self._begun:.1f} s")
        self.stream.flush()


def main():
    for name, program in (("PBCOPY", PBCOPY), ("ORIGIN", ORIGIN)):
        if not program:
            unavailable(f"${name} does not name the program")
        if not os.access(program, os.X_OK):
            print(f"FAILED: ${name} is {program}, which is no program")
            sys.exit(1)
    unittest.main(module="__main__", testRunner=unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=_Result), failfast=False)
