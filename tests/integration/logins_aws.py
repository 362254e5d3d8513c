#!/usr/bin/env python3
"""Logins of AWS against a stand-in of their endpoints: each gives keys that live for seconds, which change in the middle
of a run, and every third time that it is asked it fails. The origin answers ExpiredToken to keys that are over."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import scenario
from aws_endpoints import ROLE, AwsEndpoints
from scenario import OK, REFUSED, UNREACHABLE, USAGE

OBJECTS = 160
# Nothing of scenario's own keys; the stand-in's variables come on top.
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


class Logins(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.store = self.origin(buckets=("source", "repository", "copied"))
        self.source = self.store.bucket("source")
        self.source.put_many({f"folder-{i % 7}/{i}": scenario.some_bytes(200, i) for i in range(OBJECTS)})

    def stand_in(self, **more):
        endpoints = AwsEndpoints(self.store, **more)
        self.addCleanup(endpoints.stop)
        return endpoints

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = path + ".partial"
        with open(partial, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, mode)) as file:
            file.write(text)
        os.rename(partial, path)
        return path

    def config(self, text):
        self.write(".aws/config", text)

    def assert_silent(self, endpoints, run, *more):
        for secret in (*endpoints.secrets(), *more):
            self.assertFalse(secret in run.stdout + run.stderr, f"a secret is shown: {secret[:12]}...")

    def slow_down(self):
        """So that a backup takes about ten seconds: four objects at a time."""
        self.store.set_faults("fault slow operation=CopyObject delay=220")

    def backup(self, *arguments, **environment):
        return self.pbcopy("backup", self.store.url("source"), self.store.url("repository"), "--parallel", "4", "-vv",
                           *arguments, **{**NO_KEYS, **environment})

    def check_rotation(self, endpoints, run, *secrets):
        self.assertEqual(run.exit_code, OK, run)
        self.assertEqual(endpoints.violations, [])
        self.assertGreaterEqual(len(endpoints.issued), 4, run)
        self.assertGreaterEqual(endpoints.failures, 1, run)
        self.assertGreater(run.seconds, 2 * endpoints.life_s, "too short to see a change")
        self.assert_silent(endpoints, run, *secrets)
        # Server-side, though keys were others at each end at times; what was refused or silent was asked again.
        self.assertGreaterEqual(self.store.statistics()["CopyObject"], OBJECTS)
        self.store.set_faults()
        self.succeed("verify", self.store.url("repository"), "--read")
        bucket = self.store.bucket("repository")
        for key in bucket.list():
            if not key.startswith("data/"):
                self.assertNotIn(b"hidden", bucket.get(key))

    # ---- one login each ----

    def test_irsa(self):
        endpoints = self.stand_in()
        endpoints.web_identity = "hidden.web.identity"
        token = self.write("token", endpoints.web_identity + "\n")
        self.slow_down()
        run = self.backup(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN=ROLE, AWS_ENDPOINT_URL_STS=endpoints.url)
        self.check_rotation(endpoints, run, endpoints.web_identity)

    def test_role_of_a_profile(self):
        endpoints = self.stand_in()
        endpoints.base_keys["AKIABASE"] = ("hidden/base", "hidden-base-token")
        endpoints.external_id, endpoints.duration, endpoints.region = "an-id:1", 900, "eu-west-1"
        self.write(".aws/credentials", "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = hidden/base\n"
                                       "aws_session_token = hidden-base-token\n")
        self.config(f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = an-id:1\n"
                    f"duration_seconds = 900\nservices = local\nregion = eu-west-1\n"
                    f"[services local]\nsts =\n  endpoint_url = {endpoints.url}\n")
        self.slow_down()
        # The URLs' region is for S3; the role is asked for in the profile's.
        urls = [self.store.url(name, region=None, profile="work") for name in ("source", "repository")]
        run = self.pbcopy("backup", *urls, "--parallel", "4", "-vv", **NO_KEYS)
        self.check_rotation(endpoints, run, "hidden/base", "hidden-base-token")

    def test_pod_identity(self):
        """The token is read from its file for each fetch, and changes there."""
        endpoints = self.stand_in()
        endpoints.authorization = "hidden-authorization-1"
        token = self.write("token", endpoints.authorization)
        self.slow_down()
        running = self.begin("backup", self.store.url("source"), self.store.url("repository"), "--parallel", "4", "-vv",
                             **NO_KEYS, AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoints.url + "/v1/credentials",
                             AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)
        scenario.wait_until(lambda: self.store.statistics()["CopyObject"] > 5 or running.is_over())
        endpoints.authorization = "hidden-authorization-2"
        self.write("token", endpoints.authorization)
        self.check_rotation(endpoints, running.wait(), "hidden-authorization-1", "hidden-authorization-2")

    def test_metadata(self):
        endpoints = self.stand_in()
        self.slow_down()
        # Never through a proxy: this one would refuse all.
        run = self.backup(AWS_EC2_METADATA_DISABLED=None, AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoints.url,
                          no_proxy=f"127.0.0.1:{self.store.port}", https_proxy="http://127.0.0.1:9")
        self.check_rotation(endpoints, run)

    def test_metadata_token_that_is_forgotten(self):
        endpoints = self.stand_in(fails_every=0)
        self.slow_down()
        running = self.begin("backup", self.store.url("source"), self.store.url("repository"), "--parallel", "4", "-vv",
                             **NO_KEYS, AWS_EC2_METADATA_DISABLED=None,
                             AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoints.url)
        scenario.wait_until(lambda: self.store.statistics()["CopyObject"] > 5 or running.is_over())
        endpoints.metadata_tokens.clear()
        run = running.wait()
        self.assertEqual(run.exit_code, OK, run)
        self.assertEqual(endpoints.violations, [])

    def test_process(self):
        endpoints = self.stand_in()
        self.config(f"[default]\ncredential_process = curl -sf {endpoints.url}/process\n")
        self.slow_down()
        # The first answer may be the one that fails: a program is not run again at once.
        self.check_rotation(endpoints, self.backup())

    def test_identity_center(self):
        endpoints = self.stand_in()
        endpoints.sso_token = "hidden-sso-token"
        self.config("[profile sso]\nsso_session = my-sso\nsso_account_id = 123456789012\nsso_role_name = Backup\n"
                    "[sso-session my-sso]\nsso_region = eu-west-1\nsso_start_url = https://x.example/start\n")
        # The SHA-1 of "my-sso".
        name = ".aws/sso/cache/0ad374308c5a4e22f723adf10145eafad7c4031c.json"
        environment = {"AWS_PROFILE": "sso", "AWS_ENDPOINT_URL_SSO": endpoints.url}
        self.slow_down()

        def remember(token, seconds):
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            self.write(name, json.dumps({"accessToken": token, "expiresAt": until}))

        for token, seconds in (("hidden-sso-token", -10), ("hidden-other", 3600)):
            remember(token, seconds)
            run = self.backup(**environment)
            self.assert_failed(run, USAGE if seconds < 0 else REFUSED, hint="aws sso login --profile sso")
            self.assert_silent(endpoints, run, token)
        remember("hidden-sso-token", 3600)
        self.check_rotation(endpoints, self.backup(**environment), "hidden-sso-token")

    # ---- keys that end ----

    def test_ended_before_their_time(self):
        """What the store says goes before what the keys said: they are renewed after ExpiredToken."""
        endpoints = self.stand_in(life_s=3600, true_life_s=3, fails_every=0)
        self.slow_down()
        run = self.backup(AWS_EC2_METADATA_DISABLED=None, AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoints.url)
        self.assertEqual(run.exit_code, OK, run)
        self.assertGreaterEqual(len(endpoints.issued), 4)
        self.assertGreater(self.store.statistics()["refused"], 0)
        self.assert_silent(endpoints, run)
        self.store.set_faults()
        self.succeed("verify", self.store.url("repository"), "--read")

    def test_ended_for_good(self):
        """Keys of the environment are not renewed: the error says so, at once."""
        self.store.set_keys("ASIAOLD old/secret old-token 1000")
        run = self.pbcopy("verify", self.store.url("repository"), AWS_ACCESS_KEY_ID="ASIAOLD",
                          AWS_SECRET_ACCESS_KEY="old/secret", AWS_SESSION_TOKEN="old-token")
        self.assert_failed(run, REFUSED, "ExpiredToken", hint="credentials")
        self.assertLess(run.seconds, 5)
        run = self.pbcopy("verify", self.store.url("repository"), AWS_ACCESS_KEY_ID="ASIAOLD",
                          AWS_SECRET_ACCESS_KEY="old/secret", AWS_SESSION_TOKEN="another")
        self.assert_failed(run, REFUSED, "InvalidToken", hint="credentials")

    def test_two_ends(self):
        """Each with a login of its own: nothing is copied by the store."""
        other = self.origin(buckets=("repository",), access_key="the-other", secret_key="the/other+secret")
        endpoints = self.stand_in()
        self.store.set_faults("fault slow operation=GetObject delay=220")
        run = self.pbcopy("backup", self.store.url("source"), other.url("repository"), "--parallel", "4", "-vv",
                          **NO_KEYS, PBCOPY_REPOSITORY_ACCESS_KEY_ID="the-other",
                          PBCOPY_REPOSITORY_SECRET_ACCESS_KEY="the/other+secret", AWS_EC2_METADATA_DISABLED=None,
                          AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoints.url)
        self.assertEqual(run.exit_code, OK, run)
        self.assertGreaterEqual(len(endpoints.issued), 2)
        self.assertEqual(other.statistics()["CopyObject"], scenario.PROBE_COPIES)

    # ---- logins that fail ----

    def test_refused(self):
        endpoints = self.stand_in()
        token = self.write("token", "hidden.web.identity")
        irsa = {"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": ROLE, "AWS_ENDPOINT_URL_STS": endpoints.url}
        said = "<ErrorResponse><Error><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>"
        cases = (
            ((403, said.format("AccessDenied", "Not authorized"), {}), REFUSED, "AccessDenied: Not authorized", "trust"),
            ((400, said.format("InvalidIdentityToken", "hidden.web.identity is wrong"), {}), REFUSED,
             "InvalidIdentityToken: (not shown)", "OIDC"),
            ((302, "", {"Location": "http://127.0.0.1:9/"}), REFUSED, "redirect", None),
            ((200, "<html>", {}), UNREACHABLE, "not STS's XML", None),
            ((200, "[" * 900_000, {}), UNREACHABLE, "not STS's XML", None),
            ((200, "x" * 1_100_000, {}), scenario.FAILED, "more than 1 MiB", None),
        )
        for answer, code, says, hint in cases:
            endpoints.answer = answer
            run = self.backup(**irsa)
            self.assert_failed(run, code, (ROLE, says), hint)
            self.assert_silent(endpoints, run, "hidden.web.identity")
        endpoints.answer = None
        os.unlink(token)
        self.assert_failed(self.backup(**irsa), USAGE, token)
        self.write("token", "two words")
        self.assert_failed(self.backup(**irsa), USAGE, "holds no token")
        self.assertEqual(self.store.statistics()["ListObjectsV2"], 0)

    def test_a_redirect_takes_no_secret_along(self):
        endpoints, elsewhere = self.stand_in(), self.stand_in()
        endpoints.answer = 307, "", {"Location": elsewhere.url + "/v1/credentials"}
        run = self.backup(AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoints.url + "/v1/credentials",
                          AWS_CONTAINER_AUTHORIZATION_TOKEN="hidden-authorization")
        self.assert_failed(run, REFUSED, "redirect")
        self.assertEqual((elsewhere.violations, elsewhere.asked), ([], 0))
        self.assert_silent(endpoints, run, "hidden-authorization")

    def test_metadata_that_hangs(self):
        """Found out in about a second; and the places that were looked at are told."""
        endpoints = self.stand_in()
        endpoints.hang_s = 30
        run = self.pbcopy("snapshots", "s3://bucket", **NO_KEYS, AWS_EC2_METADATA_DISABLED=None,
                          AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoints.url)
        self.assert_failed(run, USAGE, ("PBCOPY_REPOSITORY_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID", "profile default",
                                        "does not answer: " + endpoints.url), hint="anonymous=true")
        self.assertLess(run.seconds, 4)

    def test_no_login(self):
        """An error where somebody else would hear it; an emulator is asked unsigned, which -vv says."""
        self.fail_twice(USAGE, "snapshots", "s3://bucket", **NO_KEYS, says=("no login", "AWS_EC2_METADATA_DISABLED"),
                        hint="anonymous=true")
        self.fail_twice(USAGE, "snapshots", "s3://bucket?endpoint=https://127.0.0.1:9", **NO_KEYS, says="no login")
        run = self.pbcopy("snapshots", self.store.url("repository"), "-vv", **NO_KEYS)
        self.assert_failed(run, REFUSED, "AccessDenied")
        self.assertIn("requests go unsigned", run.stderr)

    def test_anonymous(self):
        """Only where the URL says so, whatever keys there are."""
        open_store = self.origin(buckets=("source",), signed=False)
        open_store.bucket("source").put("key", b"body")
        self.succeed("copy", open_store.url("source", anonymous="true"), f"file://{self.folder}/copied",
                     AWS_ACCESS_KEY_ID="half of it", AWS_SECRET_ACCESS_KEY=None)
        run = self.fail_with(REFUSED, "copy", self.store.url("source", anonymous="true"), f"file://{self.folder}/none",
                             says="AccessDenied", hint="anonymous=true")
        self.assertNotIn("no login", run.stderr)

    def test_a_key_file_that_others_can_read(self):
        text = f"[default]\naws_access_key_id = {scenario.ACCESS_KEY}\naws_secret_access_key = {scenario.SECRET_KEY}\n"
        path = self.write(".aws/credentials", text, mode=0o644)
        os.chmod(path, 0o644)
        run = self.succeed("copy", self.store.url("source"), self.store.url("copied"), **NO_KEYS)
        self.assertIn(f"{path} holds keys and every user of this machine can read it", run.stderr)
        os.chmod(path, 0o600)
        run = self.succeed("copy", self.store.url("source"), self.store.url("copied"), **NO_KEYS)
        self.assertNotIn("can read it", run.stderr)

    # ---- endpoints ----

    def test_endpoint_of_the_environment(self):
        """It is part of what a source is, and two spellings of one place overlap."""
        environment = {"AWS_ENDPOINT_URL_S3": self.store.endpoint, "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
                       "AWS_REGION": scenario.REGION}
        self.succeed("backup", "s3://source", "s3://repository", **environment)
        self.assertEqual([each["source"] for each in
                          self.succeed("snapshots", self.store.url("repository"), "--json").json()["snapshots"]],
                         [f"s3://127.0.0.1:{self.store.port}/source/"])
        # The same snapshot's source, said in either way.
        self.succeed("verify", "s3://repository", "--source", "s3://source", **environment)
        self.succeed("verify", "s3://repository", "--source", self.store.url("source"), **environment)
        self.fail_twice(USAGE, "backup", self.store.url("source"), "s3://source/inside", says="overlap", **environment)
        self.fail_twice(USAGE, "copy", "s3://source", self.store.url("source", "inside"), says="overlap", **environment)
        self.config(f"[default]\nendpoint_url = {self.store.endpoint}\nregion = {scenario.REGION}\n")
        self.succeed("verify", "s3://repository", "--source", "s3://source")
        self.fail_with(USAGE, "verify", "s3://repository", says="AWS_ENDPOINT_URL", AWS_ENDPOINT_URL="ftp://x")

    def test_certificates(self):
        self.fail_with(USAGE, "snapshots", self.store.url("repository"), says="AWS_CA_BUNDLE /nowhere",
                       AWS_CA_BUNDLE="/nowhere")


if __name__ == "__main__":
    scenario.main()
