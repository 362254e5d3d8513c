"""Whatever is wrong from outside: one line says what and where, the exit code says which kind, and nothing is
committed."""

import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import (BUSY, CANCELLED, FAILED, NOT_FOUND, REFUSED, UNREACHABLE, USAGE, some_bytes, wait_until)


class Input(scenario.Scenario):
    def small(self, *options, **more):
        origin = self.origin(*options, "--fill", "source:20:100:flat", buckets=("source", "repository"), **more)
        return origin, origin.url("source"), origin.url("repository")

    def assert_nothing_in(self, origin, bucket="repository"):
        self.assertEqual(origin.statistics()["objects"].get(bucket, 0), 0)

    # ---- names ----

    def test_missing_bucket(self):
        origin, source, repository = self.small()
        self.fail_twice(NOT_FOUND, "backup", origin.url("nowhere"), repository, says=("nowhere", origin.endpoint))
        self.fail_twice(NOT_FOUND, "backup", source, origin.url("nowhere"), says=("nowhere", origin.endpoint))
        self.fail_twice(NOT_FOUND, "copy", origin.url("nowhere"), repository, says="nowhere")
        self.fail_twice(NOT_FOUND, "copy", source, origin.url("nowhere"), says="nowhere")
        for command in "verify", "snapshots", "show":
            self.fail_twice(NOT_FOUND, command, origin.url("nowhere"), says="nowhere")
        self.assert_nothing_in(origin)
        self.succeed("backup", source, repository)
        self.fail_twice(NOT_FOUND, "restore", repository, origin.url("nowhere"), says="nowhere")
        self.assertNotIn("nowhere", origin.statistics()["objects"])

    def test_empty_repository(self):
        origin, source, repository = self.small()
        for command in ("verify", repository), ("snapshots", repository), ("show", repository), \
                       ("restore", repository, source):
            self.fail_twice(NOT_FOUND, *command, says="repository", hint="backup")
        self.assert_nothing_in(origin)

    def test_no_repository(self):
        """A bucket with other things in it is left alone."""
        origin, source, repository = self.small()
        origin.bucket("repository").put("somebody's", b"precious")
        self.fail_twice(USAGE, "backup", source, repository, says=("repository", "pbcopy.json"))
        for command in "verify", "snapshots", "show":
            self.fail_twice(USAGE, command, repository, says="repository")
        self.assertEqual(origin.bucket("repository").list(), {"somebody's": 8})
        # A folder of it may be one.
        self.succeed("backup", source, origin.url("repository", "folder"))

    def test_newer_format(self):
        origin, source, repository = self.small()
        self.succeed("backup", source, repository)
        bucket = origin.bucket("repository")
        mark = bucket.get("pbcopy.json")
        identity, = self.committed(repository)
        kept = bucket.list()
        for body in (mark.replace(b'"version":1', b'"version":2'),
                     mark.replace(b'"features"', b'"requires":["encryption"],"features"')):
            self.assertNotEqual(body, mark)
            bucket.put("pbcopy.json", body)
            for command in ("backup", source, repository), ("verify", repository), ("snapshots", repository), \
                           ("show", repository), ("restore", repository, origin.url("source")):
                self.fail_twice(USAGE, *command, says="pbcopy.json")
        bucket.put("pbcopy.json", mark)
        name = f"snapshots/{identity}/snapshot.json"
        whole = bucket.get(name)
        bucket.put(name, whole.replace(b'"version":1', b'"version":7', 1))
        for command in ("backup", source, repository), ("verify", repository), ("show", repository), \
                       ("restore", repository, origin.url("source")):
            self.fail_twice(USAGE, *command, says=identity)
        bucket.put(name, whole)
        self.assertEqual(bucket.list(), kept)

    def test_overlap(self):
        origin, source, _ = self.small()
        for one, other in ((source, source), (source, origin.url("source", "inside")),
                           (origin.url("source", "inside"), source),
                           (f"file://{self.folder}/a", f"file://{self.folder}/a/b"),
                           (f"file://{self.folder}/a", f"file://{self.folder}/a")):
            os.makedirs(f"{self.folder}/a/b", exist_ok=True)
            self.fail_twice(USAGE, "backup", one, other, says="overlap")
            self.fail_twice(USAGE, "copy", one, other, says="overlap")
        self.assertEqual(len(origin.bucket("source").list()), 20)
        repository = origin.url("repository")
        self.succeed("backup", source, repository)
        self.fail_twice(USAGE, "restore", repository, repository, says="overlap")
        self.fail_twice(USAGE, "restore", repository, origin.url("repository", "data"), says="overlap")

    def test_unknown_snapshot(self):
        _, source, repository = self.small()
        self.succeed("backup", source, repository)
        unknown = "20200101T000000Z-0000"
        for command in ("verify", repository), ("show", repository), ("restore", repository, source):
            self.fail_twice(NOT_FOUND, *command, "--snapshot", unknown, says=unknown, hint="pbcopy snapshots")
            for garbage in "yesterday", "", "../x", unknown + "0":
                self.fail_twice(USAGE, *command, "--snapshot", garbage, says="snapshot")

    def test_garbage_urls(self):
        origin, source, repository = self.small()
        for url in ("", "bucket", "/directory", "s3:", "s3://", "s3:///", "http://127.0.0.1/bucket", "gs://", "azblob://bucket",
                    "s3://bucket:9000", "s3://bucket?endpoint", "s3://bucket?endpoint=", "s3://bucket?endpoint=ftp://x",
                    "s3://bucket?endpoint=127.0.0.1:99999", "s3://bucket?endpoint=127.0.0.1:port", "s3://bucket?what=1",
                    "s3://bucket?region=a&region=b", "s3://bucket#part", "s3://bucket/%zz", "s3://Buck et", "file://",
                    "file:///", "file:///a/../b", "s3://bucket?disableSSL=perhaps", "s3://a\nb", "s3://\xff",
                    "s3://" + "b" * 5000, "s3://bucket/" + "p" * 5000):
            with self.subTest(url=url[:60]):
                self.fail_twice(USAGE, "backup", url, repository)
                self.fail_twice(USAGE, "verify", url)
        self.assert_nothing_in(origin)

    def test_secret_in_url(self):
        """Refused, and not shown again."""
        run = self.fail_with(USAGE, "backup", "s3://AKIAKEY:marked-secret-1@bucket", f"file://{self.folder}/r")
        self.assertNotIn("marked-secret-1", run.stdout + run.stderr)
        run = self.fail_with(USAGE, "backup", "s3://AKIAKEY:marked-secret-1@bucket", f"file://{self.folder}/r", "--json")
        self.assertNotIn("marked-secret-1", run.stdout + run.stderr)

    # ---- rights ----

    def test_credentials(self):
        origin, source, repository = self.small()
        wrong = {"AWS_SECRET_ACCESS_KEY": "another-secret"}
        self.fail_twice(REFUSED, "backup", source, repository, says="SignatureDoesNotMatch", hint="secret", **wrong)
        self.fail_twice(REFUSED, "verify", repository, says="repository", **wrong)
        unknown = {"AWS_ACCESS_KEY_ID": "unknown-key"}
        self.fail_twice(REFUSED, "backup", source, repository, says="InvalidAccessKeyId", hint="access key", **unknown)
        # None at all.
        none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"}
        run = self.pbcopy("backup", source, repository, **none)
        self.assertIn(run.exit_code, (USAGE, REFUSED), run)
        self.assertEqual((len(run.errors), len(run.hints)), (1, 1), run)
        half = {"AWS_SECRET_ACCESS_KEY": None}
        run = self.pbcopy("backup", source, repository, **half)
        self.assertIn(run.exit_code, (USAGE, REFUSED), run)
        self.assertEqual(len(run.errors), 1, run)
        # Only one end has wrong ones.
        run = self.fail_twice(REFUSED, "backup", source, repository, PBCOPY_REPOSITORY_ACCESS_KEY_ID="unknown-key",
                              PBCOPY_REPOSITORY_SECRET_ACCESS_KEY="x", says="repository")
        self.assertNotIn("s3://source", run.errors[0])
        self.assert_nothing_in(origin)

    def test_region(self):
        origin, _, _ = self.small("--region", "eu-central-1")
        said = [origin.url(bucket, region="us-west-2") for bucket in ("source", "repository")]
        self.fail_twice(USAGE, "backup", *said, says="source", hint="region")
        self.assert_nothing_in(origin)
        # Not said: the store names it.
        unsaid = [origin.url(bucket, region=None) for bucket in ("source", "repository")]
        self.succeed("backup", *unsaid)
        self.succeed("verify", unsaid[1], "--read")

    def test_clock(self):
        origin, source, repository = self.small("--clock-offset-s", "-3600")
        self.fail_twice(REFUSED, "backup", source, repository, says="source", hint="clock")
        self.assert_nothing_in(origin)
        # Ten minutes are no trouble.
        origin, source, repository = self.small("--clock-offset-s", "600")
        self.succeed("backup", source, repository)

    def test_denied(self):
        origin, source, repository = self.small("--deny-write")
        self.fail_twice(REFUSED, "backup", source, repository, says=("repository", "AccessDenied"))
        self.assert_nothing_in(origin)
        origin, source, repository = self.small("--deny", "source/")
        self.fail_twice(REFUSED, "backup", source, repository, says="source")
        # One object of many that may not be read: named, and nothing is committed.
        origin, source, repository = self.small("--deny", "source/0000000007")
        for _ in range(2):
            run = self.pbcopy("backup", source, repository)
            self.assertIn(run.exit_code, (FAILED, REFUSED), run)
            self.assertEqual(len(run.errors), 1, run)
            self.assertIn("0000000007", run.stdout + run.stderr)
            self.assertNotIn("bug", run.errors[0], "the gap was only found in the commit")
            self.assertEqual(self.committed(repository), [])
        # Data may not be written.
        origin, source, repository = self.small("--deny", "repository/data/")
        run = self.pbcopy("backup", source, repository)
        self.assertIn(run.exit_code, (FAILED, REFUSED), run)
        self.assertEqual(len(run.errors), 1, run)

    # ---- the network ----

    def test_unreachable(self):
        origin, source, repository = self.small()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))  # nobody listens
            port = bound.getsockname()[1]
            dead = f"s3://source?endpoint=http://127.0.0.1:{port}&region=us-east-1"
            for command in ("backup", dead, repository), ("backup", source, dead), ("verify", dead):
                run = self.fail_with(UNREACHABLE, *command, says=f"127.0.0.1:{port}", timeout_s=60)
                self.assertLess(run.seconds, 15, "long for a mistyped port")
        run = self.fail_with(UNREACHABLE, "verify", "s3://source?endpoint=http://no-such-host.invalid&region=us-east-1",
                             says="no-such-host.invalid", timeout_s=60)
        self.assertLess(run.seconds, 15, "long for a mistyped name")
        self.assert_nothing_in(origin)

    def test_tls(self):
        authority, certificate, key = self.certificates()
        # boto3 does not know the CA: the statistics are not asked for here.
        origin = self.origin("--tls-cert", certificate, "--tls-key", key, "--fill", "source:20:100:flat",
                             buckets=("repository", "restored"), scheme="https")
        source, repository = origin.url("source"), origin.url("repository")
        run = self.fail_with(UNREACHABLE, "backup", source, repository, says="certificate", hint="--ca-bundle",
                             timeout_s=60)
        self.assertLess(run.seconds, 15)
        self.fail_with(UNREACHABLE, "backup", source, repository, "--json", hint="--ca-bundle", timeout_s=60)
        # AWS's own variable and setting do as well; --ca-bundle goes before them.
        self.fail_with(scenario.NOT_FOUND, "verify", repository, AWS_CA_BUNDLE=authority)
        os.mkdir(f"{self.folder}/.aws")
        with open(f"{self.folder}/.aws/config", "w", encoding="ascii") as file:
            file.write(f"[default]\nca_bundle = {authority}\n")
        self.fail_with(scenario.NOT_FOUND, "verify", repository)
        self.fail_with(UNREACHABLE, "verify", repository, "--ca-bundle", "/etc/ssl/certs/ca-certificates.crt",
                       says="certificate", timeout_s=60)
        shutil.rmtree(f"{self.folder}/.aws")
        trusted = ("--ca-bundle", authority)
        self.succeed("backup", source, repository, *trusted)
        self.succeed("verify", repository, "--read", *trusted)
        self.succeed("restore", repository, origin.url("restored"), *trusted)
        # A bundle that is none, or of another CA.
        self.fail_twice(USAGE, "verify", repository, "--ca-bundle", f"{self.folder}/nothing", says="nothing")
        with open(f"{self.folder}/garbage", "w", encoding="ascii") as file:
            file.write("no certificate\n")
        run = self.pbcopy("verify", repository, "--ca-bundle", f"{self.folder}/garbage", timeout_s=60)
        self.assertIn(run.exit_code, (USAGE, UNREACHABLE), run)
        self.assertEqual(len(run.errors), 1, run)
        # A certificate that is good, and of another host; one that was good.
        for more, says, hint in ((("DNS:store.example",), "another host", "check the host"),
                                 (("IP:127.0.0.1", -1), "expired", "renew")):
            authority, certificate, key = self.certificates(*more)
            other = self.origin("--tls-cert", certificate, "--tls-key", key, buckets=(), scheme="https")
            self.fail_with(UNREACHABLE, "verify", other.url("repository"), "--ca-bundle", authority, says=says, hint=hint,
                           timeout_s=60)
        # Plain HTTP to a port that speaks TLS.
        plain = repository.replace("https://", "http://")
        run = self.pbcopy("verify", plain, timeout_s=60)
        self.assertEqual((run.exit_code, len(run.errors)), (UNREACHABLE, 1), run)
        # The name is not the certificate's.
        other = repository.replace("127.0.0.1", "127.0.0.2")
        run = self.pbcopy("verify", other, *trusted, timeout_s=60)
        self.assertEqual((run.exit_code, len(run.errors)), (UNREACHABLE, 1), run)

    def test_tls_endpoint_that_speaks_plainly(self):
        origin, _, _ = self.small()
        secure = origin.url("source").replace("http://", "https://")
        run = self.fail_with(UNREACHABLE, "verify", secure, says=f"127.0.0.1:{origin.port}", timeout_s=60)
        self.assertLess(run.seconds, 15)
        self.assertEqual(origin.statistics()["requests"], 0)

    def test_no_store_at_all(self):
        """A web server that answers anything with a page."""
        class Page(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            status = 200

            def answer(self):
                body = b"<html><body><h1>Welcome</h1></body></html>"
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(self.status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"s3://bucket?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1"
        for Page.status in 200, 400, 403, 404, 405:
            with self.subTest(status=Page.status):
                run = self.pbcopy("verify", url, timeout_s=60)
                self.assertNotEqual(run.exit_code, 0, run)
                self.assertEqual(len(run.errors), 1, run)
                self.assertIn("bucket", run.errors[0])
                run = self.pbcopy("copy", url, f"file://{self.folder}/copied", timeout_s=60)
                self.assertNotEqual(run.exit_code, 0, run)
                self.assertEqual(len(run.errors), 1, run)

    # ---- ends in the middle ----

    def many(self, *options):
        origin = self.origin("--fill", "source:1500:500:tree", *options, buckets=("repository",))
        origin.set_faults("fault slow delay=20")
        return origin, origin.url("source"), origin.url("repository")

    def test_signals(self):
        for number, more in (signal.SIGINT, ()), (signal.SIGTERM, ("--json",)), (signal.SIGQUIT, ()):
            with self.subTest(number.name, more=more):
                origin, source, repository = self.many()
                running = self.begin("backup", source, repository, "--parallel", "8", *more)
                wait_until(lambda: origin.statistics()["CopyObject"] > 100)
                sent = time.monotonic()
                running.kill(number)
                run = running.wait(30)
                self.assertLess(time.monotonic() - sent, 5, "slow to stop")
                self.assert_failed(run, CANCELLED)
                self.assertEqual(self.committed(repository), [])
                origin.set_faults()
                there = len(origin.bucket("repository").list("data/"))
                self.assertGreater(there, 50)
                origin.reset_statistics()
                self.succeed("backup", source, repository)
                self.assertLessEqual(origin.statistics()["CopyObject"], 1500 - there)
                self.assertEqual(len(self.committed(repository)), 1)
                self.succeed("verify", repository, "--read")
                origin.stop()

    def test_signal_while_nothing_answers(self):
        """Also where the store is silent, and while it is waited for another attempt."""
        for plan in "fault stall", "fault error503":
            origin, source, repository = self.small()
            origin.set_faults(plan)
            running = self.begin("backup", source, repository)
            wait_until(lambda: origin.statistics()["requests"] > 0)
            time.sleep(0.3)
            running.kill(signal.SIGTERM)
            run = running.wait(15)
            self.assert_failed(run, CANCELLED)
            origin.stop()

    def test_two_at_once(self):
        origin, source, repository = self.many()
        first = self.begin("backup", source, repository, "--parallel", "4")
        wait_until(lambda: origin.statistics()["CopyObject"] > 20)
        self.fail_twice(BUSY, "backup", source, repository, "--no-wait", says="running")
        # Another source may be backed up meanwhile.
        origin.client.create_bucket(Bucket="other")
        origin.bucket("other").put("k", b"x")
        self.succeed("backup", origin.url("other"), repository)
        origin.set_faults()
        run = first.wait()
        self.assertEqual(run.exit_code, 0, run)
        self.assertEqual(len(self.committed(repository)), 2)
        self.succeed("backup", source, repository)
        for identity in self.committed(repository):
            self.succeed("verify", repository, "--snapshot", identity)

    def test_two_begun_together(self):
        """However they meet: at most one of them wins, nothing is broken."""
        for _ in range(3):
            origin = self.origin("--fill", "source:1500:500:tree", buckets=("repository",))
            source, repository = origin.url("source"), origin.url("repository")
            self.succeed("backup", self.small()[1], repository)
            runs = [self.begin("backup", source, repository) for _ in range(3)]
            codes = sorted(each.wait().exit_code for each in runs)
            self.assertTrue(set(codes) <= {0, BUSY}, codes)
            self.succeed("backup", source, repository)
            snapshots = self.snapshots(repository)
            self.assertEqual({state for _, state in snapshots}, {"complete"}, (codes, snapshots))
            for identity in self.committed(repository):
                self.succeed("verify", repository, "--snapshot", identity, "--read")
            origin.stop()

    # ---- no room ----

    def test_quota(self):
        for relayed in False, True:
            with self.subTest(relayed=relayed):
                second = self.origin("--capacity", "300K", *(() if relayed else ("--fill", "source:200:1000:flat")),
                                     buckets=("repository",))
                first = self.origin("--fill", "source:600:1000:flat") if relayed else second
                run = self.pbcopy("backup", first.url("source"), second.url("repository"))
                self.assert_failed(run, FAILED)
                self.assertIn("QuotaExceeded", run.stdout + run.stderr)
                self.assertEqual(self.committed(second.url("repository")), [])

    def test_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("only root mounts a small file system")
        small = f"{self.folder}/small"
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", small], capture_output=True,
                          check=False).returncode != 0:
            self.skipTest("a tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        origin = self.origin("--fill", "source:300:20000:flat")
        repository = f"file://{small}/repository"
        for _ in range(2):
            run = self.pbcopy("backup", origin.url("source"), repository)
            self.assert_failed(run, FAILED, says="repository")
            self.assertIn("no space", (run.stdout + run.stderr).lower())
            self.assertEqual(self.committed(repository), [])
        subprocess.run(["mount", "-o", "remount,size=32M", small], check=True)
        self.assertEqual(self.committed(repository), [])
        self.succeed("backup", origin.url("source"), repository)
        self.assertEqual([state for _, state in self.snapshots(repository)], ["complete"])
        self.succeed("verify", repository)
        self.succeed("verify", repository, "--read")
        # What the failed runs stored was not stored again, and nothing half written is left among the data.
        self.assertEqual(sum(len(names) for _, _, names in os.walk(f"{small}/repository/data")), 300)
        # The same of a restore.
        tiny = f"{self.folder}/tiny"
        os.mkdir(tiny)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", tiny], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", tiny], check=False)
        run = self.pbcopy("restore", repository, f"file://{tiny}")
        self.assert_failed(run, FAILED)

    def test_output_that_cannot_be_written(self):
        _, source, repository = self.small()
        self.succeed("backup", source, repository)
        for command in ("show", repository, "--records"), ("snapshots", repository), ("verify", repository, "--json"):
            with open("/dev/full", "w", encoding="ascii") as full:
                run = subprocess.run([scenario.PBCOPY, *command], stdout=full, stderr=subprocess.PIPE, text=True,
                                     env=scenario.environment(self.folder), check=False)
            self.assertEqual(run.returncode, FAILED, run.stderr)
            self.assertEqual(run.stderr.count("pbcopy: error: "), 1, run.stderr)


if __name__ == "__main__":
    scenario.main()
