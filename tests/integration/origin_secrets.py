"""A secret key stays in memory: not in arguments, output, logs, the repository, core dumps."""

import glob
import os
import resource
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import wait_until

MARK = "MARKED-secret/5f0c7a3b9d1e4f6882ab"
TOKEN = "MARKED-session-token/77aa88bb99cc"


class Secrets(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.store = self.origin("--fill", "source:1500:100:tree", buckets=("repository", "restored"),
                                 secret_key=MARK)
        self.keys = {"AWS_SECRET_ACCESS_KEY": MARK}

    def assert_silent(self, run):
        for text in run.stdout, run.stderr, " ".join(run.arguments):
            self.assertNotIn(MARK, text)
            self.assertNotIn("MARKED", text)
            self.assertNotIn(TOKEN, text)

    def look_at(self, running):
        """What others may see of the process while it works."""
        folder = f"/proc/{running.pid}"
        with open(f"{folder}/cmdline", "rb") as file:
            self.assertNotIn(b"MARKED", file.read())
        for link in glob.glob(f"{folder}/task/*/comm"):
            with open(link, "rb") as file:
                self.assertNotIn(b"MARKED", file.read())
        with open(f"{folder}/limits", encoding="ascii") as file:
            core, = [line.split()[4:6] for line in file if line.startswith("Max core file size")]
        self.assertEqual(core, ["0", "0"])
        with open(f"{folder}/status", encoding="ascii") as file:
            self.assertNotIn("MARKED", file.read())

    def test_run(self):
        url = self.store.url("repository")
        self.store.set_faults("seed 3", "fault error500 probability=0.02", "fault reset probability=0.02",
                              "fault slow delay=10")
        running = self.begin("backup", self.store.url("source"), url, "-vv", "--parallel", "8", **self.keys)
        wait_until(lambda: self.store.statistics()["CopyObject"] > 50)
        self.look_at(running)
        run = running.wait()
        self.assertEqual(run.exit_code, 0, run)
        self.assertIn("pbcopy: debug: ", run.stderr, "-vv tells nothing")
        self.assert_silent(run)
        self.store.set_faults()
        for command in (("verify", url, "-vv"), ("verify", url, "--read", "-vv", "--json"), ("snapshots", url, "-vv"),
                        ("show", url, "-vv"), ("show", url, "--records", "-vv"),
                        ("restore", url, self.store.url("restored"), "-vv"),
                        ("copy", self.store.url("source"), f"file://{self.folder}/copy", "-vv")):
            self.assert_silent(self.succeed(*command, **self.keys))
        bucket = self.store.bucket("repository")
        for key in bucket.list():
            self.assertNotIn("MARKED", key)
            if not key.startswith("data/"):
                self.assertNotIn(b"MARKED", bucket.get(key))

    def test_errors(self):
        """Also where the server refuses them, and shows what was to be signed."""
        url = self.store.url("repository")
        for keys in ({"AWS_SECRET_ACCESS_KEY": MARK + "-wrong"},
                     {"AWS_ACCESS_KEY_ID": "unknown", "AWS_SECRET_ACCESS_KEY": MARK},
                     {"AWS_SECRET_ACCESS_KEY": MARK + "\n"},
                     {"AWS_SECRET_ACCESS_KEY": MARK, "AWS_ACCESS_KEY_ID": None}):
            for more in (), ("--json",):
                run = self.pbcopy("backup", self.store.url("source"), url, "-vv", *more, **keys)
                self.assertNotEqual(run.exit_code, 0, run.stderr.replace(MARK, "(the secret)"))
                self.assertEqual(len(run.errors), 1)
                self.assert_silent(run)

    def test_session_token(self):
        run = self.pbcopy("backup", self.store.url("source"), self.store.url("repository"), "-vv",
                          AWS_SESSION_TOKEN=TOKEN, **self.keys)
        self.assert_silent(run)
        bucket = self.store.bucket("repository")
        for key in bucket.list():
            if not key.startswith("data/"):
                self.assertNotIn(b"MARKED", bucket.get(key))

    def test_profile(self):
        """From a file, as by other tools; a broken one is not shown either."""
        os.mkdir(f"{self.folder}/.aws")
        none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        with open(f"{self.folder}/.aws/credentials", "w", encoding="ascii") as file:
            file.write(f"[store]\naws_access_key_id = {scenario.ACCESS_KEY}\naws_secret_access_key = {MARK}\n"
                       f"[broken]\naws_access_key_id = x\naws_secret_access_key {MARK}\n")
        source, url = (self.store.url(bucket, profile="store") for bucket in ("source", "repository"))
        self.assert_silent(self.succeed("backup", source, url, "-vv", **none))
        self.assert_silent(self.succeed("verify", self.store.url("repository"), "-vv", AWS_PROFILE="store", **none))
        run = self.pbcopy("verify", self.store.url("repository", profile="broken"), "-vv", **none)
        self.assertNotEqual(run.exit_code, 0)
        self.assert_silent(run)

    def test_no_core(self):
        """The limit holds even where the caller's allows a dump."""
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, before)
        self.store.set_faults("fault slow delay=50")
        running = self.begin("backup", self.store.url("source"), self.store.url("repository"), **self.keys)
        wait_until(lambda: self.store.statistics()["CopyObject"] > 10)
        self.look_at(running)

    def test_not_dumpable(self):
        """A process that is not dumpable has its files in /proc owned by root: its own user cannot read
        its memory or its environment."""
        user = "nobody" if os.geteuid() == 0 else None
        shutil.copy(scenario.PBCOPY, f"{self.folder}/pbcopy")
        os.chmod(self.folder, 0o755)
        self.store.set_faults("fault slow delay=50")
        program, scenario.PBCOPY = scenario.PBCOPY, f"{self.folder}/pbcopy"
        try:
            running = self.begin("backup", self.store.url("source"), self.store.url("repository"), user=user,
                                 **self.keys)
        finally:
            scenario.PBCOPY = program
        wait_until(lambda: self.store.statistics()["CopyObject"] > 10 or running.is_over())
        self.assertFalse(running.is_over(), "over before it could be looked at")
        for name in "mem", "environ", "maps":
            self.assertEqual(os.stat(f"/proc/{running.pid}/{name}").st_uid, 0, name)
        if user:
            with open(f"/proc/{running.pid}/status", encoding="ascii") as file:
                self.assertIn("Uid:\t65534", file.read())


if __name__ == "__main__":
    scenario.main()
