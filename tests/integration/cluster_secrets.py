"""Secrets of a cluster, each marked, are looked for wherever they could leak: the arguments of every process while a
backup and a restore run, the environment of those that need none, all that is printed, and all that is in the
repository."""

import base64
import contextlib
import glob
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
from pachyderm_fixture import MARKS


class Watch:
    """Reads the arguments of every process, and the environment of its children, over and over."""

    def __init__(self):
        self.lines, self.programs, self._stop = set(), set(), threading.Event()
        self.environments = {b"age": set(), b"sort": set(), b"kubectl": set()}
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._stop.is_set():
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    with open(path, "rb") as file:
                        line = file.read()
                except OSError:
                    continue
                if not line:
                    continue
                self.lines.add(line)
                program = os.path.basename(line.split(b"\0")[0])
                self.programs.add(program)
                if program in self.environments:
                    with contextlib.suppress(OSError), open(path.replace("cmdline", "environ"), "rb") as file:
                        self.environments[program].add(file.read())
            time.sleep(0.002)

    def end(self):
        self._stop.set()
        self._thread.join()


class Secrets(ClusterScenario):
    def assert_clean(self, what, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        for name, mark in {**MARKS, "store": scenario.SECRET_KEY}.items():
            self.assertNotIn(mark.encode(), data, f"{name} in {what}")
            self.assertNotIn(mark.encode().hex().encode(), data, f"{name} as hex in {what}")
            # As a secret of Kubernetes has it; without the end, which depends on what follows.
            self.assertNotIn(base64.b64encode(mark.encode())[:-4], data, f"{name} in Base64 in {what}")

    def test_marked_secrets(self):
        here = self.pachyderm(chunks=300, workers=1)
        there, namespace = self.postgres(), self.new_namespace("again")
        there.create("pachyderm", "dex")
        watch = Watch()
        try:
            runs = [self.backup(here, "-vv", "--json"), self.backup(here, "-vv"),
                    self.restore(here, namespace, there, "-vv", "--json"),
                    self.succeed("doctor", "--config", self.configuration(here), "-v", **self.environment()),
                    # Some that fail, with much to tell.
                    self.pbcopy("backup", "--config", self.configuration(here), "-vv", "--database-user", "nobody",
                                **self.environment()),
                    self.pbcopy("restore", "--config", self.configuration(here), "--namespace", "again-x",
                                here.origin.url("repository"), here.origin.url("restored"), "--identity",
                                self.identity, "--dump", "none", "--aws-role", "nobody=x", "-vv",
                                **self.environment())]
        finally:
            watch.end()
        # The test sees what it must: the children were there while it looked.
        for program in (b"kubectl", b"pg_dump", b"pg_restore", b"age", b"sort"):
            self.assertIn(program, watch.programs)
        for line in watch.lines:
            if os.path.basename(line.split(b"\0")[0]) in (b"pbcopy", b"kubectl", b"pg_dump", b"pg_restore", b"psql",
                                                          b"age", b"sort"):
                self.assert_clean(f"arguments {line[:80]}", line)
        # The restore has PGPASSWORD, and each run the store's keys.
        for program, seen in watch.environments.items():
            # Those of this test: others may run beside it.
            found = [each for each in seen if f"HOME={self.folder}".encode() in each.split(b"\0")]
            self.assertTrue(found, program)
            for environment in found:
                if program != b"kubectl":  # which logs in by AWS_* where a cluster wants it
                    self.assert_clean(f"environment of {program}", environment)
                self.assertNotIn(b"PGPASSWORD=", environment, program)
        for run in runs:
            self.assert_clean("standard output", run.stdout)
            self.assert_clean("standard error", run.stderr)
        repository = here.origin.bucket("repository")
        keys = list(repository.list())
        self.assertTrue(any(key.endswith("intent.json") for key in keys))
        self.assertTrue(any(key.endswith("objects.ndjson.zst.age") for key in keys))
        for key in keys:
            body = repository.get(key)
            self.assert_clean(key, body)
            if key.endswith(".zst"):
                self.assert_clean(key, subprocess.run(["zstdcat"], input=body, stdout=subprocess.PIPE,
                                                      check=True).stdout)
        # Whoever has the key reads them with ordinary tools: they were there to be found.
        key = [key for key in keys if key.endswith("objects.ndjson.zst.age")][-1]
        opened = subprocess.run(f"age --decrypt --identity {self.identity} | zstdcat", shell=True,
                                input=repository.get(key), stdout=subprocess.PIPE, check=True).stdout
        self.assertIn(base64.b64encode(MARKS["user"].encode()), opened)

    def test_plaintext_has_to_be_said(self):
        here = self.pachyderm(chunks=10, workers=1)
        configuration = self.configuration(here, recipient=None)
        run = self.pbcopy("backup", "--config", configuration, **self.environment())
        self.assert_failed(run, scenario.USAGE, "no --recipient is given", hint="--plaintext")
        told = self.succeed("backup", "--config", configuration, "--plaintext", "--json", **self.environment()).json()
        self.assertEqual({a["encrypted"] for a in told["snapshot"]["cluster"]["artifacts"]}, {False})
        self.succeed("verify", here.origin.url("repository"), "--database")


if __name__ == "__main__":
    scenario.main()
