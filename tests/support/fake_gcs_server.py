"""A fake-gcs-server for the length of a test, on a free loopback port: one process, objects in memory. It checks no
token."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import go_servers
import scenario


class FakeGcsServer:
    """Running no longer than the thread that made it lives. Where there is no fake-gcs-server, and none can be built, the
    test is skipped, aloud; with CI=true that is a failure. Buckets are made by the JSON API (buckets.insert)."""

    name = "fake-gcs-server"

    def __init__(self):
        self.program, reason = go_servers.fake_gcs_server()
        if not self.program:
            scenario.unavailable(f"no fake-gcs-server here: {reason}")
        self.folder = tempfile.mkdtemp(prefix="pbcopy-fake-gcs-server-")
        self.address = f"127.0.0.1:{scenario.free_port()}"
        self.endpoint = f"http://{self.address}"
        self.start()

    def start(self):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder}
        host, _, port = self.address.partition(":")
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # The public host is what it writes into the Location of a resumable upload.
            self.process = subprocess.Popen(
                [self.program, "-scheme", "http", "-host", host, "-port", port, "-backend", "memory",
                 "-external-url", self.endpoint, "-public-host", self.address, "-data", ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder,
                preexec_fn=scenario._die_with_parent)
        scenario.wait_until(self._is_ready, 60, f"fake-gcs-server to serve: {self.folder}/log", poll_s=0.05)

    def _is_ready(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                raise RuntimeError(f"fake-gcs-server has ended with {self.process.returncode}: {log.read()[-2000:]}")
        try:
            with urllib.request.urlopen(self.endpoint + "/_internal/healthcheck", timeout=5):
                return True
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
