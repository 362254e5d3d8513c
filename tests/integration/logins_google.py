"""Each login of Google against stand-ins of its endpoints: found, kept fresh, and refused aloud."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import google_endpoints
import scenario

PROGRAM = os.environ.get("LOGIN_PROGRAM", "")
if not PROGRAM:
    scenario.unavailable("$LOGIN_PROGRAM does not name the program")
if not shutil.which("openssl"):
    scenario.unavailable("openssl is not installed")

# Of a token that is renewed in a test: a third of it is there for the renewal, which runs openssl in the stand-in.
LIFE_S = 12 if scenario.is_sanitized() else 4
NOWHERE = "127.0.0.1:1"  # nothing listens there


class Run:
    def __init__(self, process, lines, seconds):
        self.returncode, self.lines, self.seconds = process, lines, seconds
        self.values = [line for line in lines if "sha256" in line]
        self.logs = [line["log"] for line in lines if "log" in line]
        self.source = next((line["source"] for line in lines if "source" in line), None)
        self.error = next((line["error"] for line in lines if "error" in line), None)
        self.hint = next((line["hint"] for line in lines if "error" in line), None)

    def __repr__(self):
        return f"exit {self.returncode} after {self.seconds:.1f} s: {self.lines}"


class Logins(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.endpoints = self.start()

    def start(self, **options):
        endpoints = google_endpoints.GoogleEndpoints(**options)
        self.addCleanup(endpoints.stop)
        return endpoints

    def file(self, name, content, mode=0o600):
        """Written beside and renamed, as kubelet does."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)
        return path

    def run_program(self, *arguments, seconds=0, text="", meanwhile=None, **environment):
        """Nothing but what is given is in its environment, and no token ever in what it says."""
        given = {"PATH": os.environ["PATH"], "HOME": self.folder, "GCE_METADATA_HOST": NOWHERE,
                 # Endpoints of this machine are asked without a proxy.
                 "http_proxy": f"http://{NOWHERE}", **environment}
        command = [PROGRAM, str(seconds), *arguments]
        begin = time.monotonic()
        process = subprocess.Popen(command, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        if meanwhile:
            threading.Thread(target=meanwhile, daemon=True).start()
        output, _ = process.communicate(text, timeout=120)
        took_s = time.monotonic() - begin
        for secret in self.endpoints.secrets():
            self.assertNotIn(secret, output)
        self.assertNotIn("PRIVATE KEY", output)
        return Run(process.returncode, [json.loads(line) for line in output.splitlines()], took_s)

    def with_key(self, key, *arguments, **options):
        return self.run_program(*arguments, GOOGLE_APPLICATION_CREDENTIALS=self.file("key.json", key), **options)

    def check_good(self, run, source):
        """All that was used was issued for objects, in order, and nothing was asked wrongly."""
        self.assertEqual(self.endpoints.problems, [])
        self.assertEqual(run.returncode, scenario.OK, run)
        self.assertIn(source, run.source)
        issued = self.endpoints.digests()
        used = [value["sha256"] for value in run.values]
        self.assertTrue(used, run)
        self.assertEqual(used, [digest for digest in issued if digest in used], run)
        for before, after in zip(run.values, run.values[1:]):
            self.assertLess(after["at_ms"], before["expires_ms"], run)

    def check_refused(self, run, code, *parts):
        self.assertEqual(run.returncode, code, run)
        for part in parts:
            self.assertIn(part, run.error + " " + run.hint)
        self.assertEqual(run.values, [], run)

    # ---- each login, renewed ----

    def check_renewed(self, key, source, least=3):
        self.endpoints.life_s = LIFE_S
        run = self.with_key(key, seconds=LIFE_S * 2.1)
        self.check_good(run, source)
        self.assertGreaterEqual(len(run.values), least, run)
        self.assertEqual(run.logs, [])

    def test_a_service_account_signs(self):
        self.check_renewed(self.endpoints.service_account(), f"service account {google_endpoints.ACCOUNT}")

    def test_a_user_has_a_refresh_token(self):
        self.check_renewed(self.endpoints.authorized_user(), "user of the client")

    def test_a_service_account_impersonates_with_delegates(self):
        self.endpoints.delegates = google_endpoints.DELEGATES
        key = self.endpoints.impersonated(self.endpoints.service_account())
        # generateAccessToken says its end in whole seconds: lives are shorter by up to one.
        self.check_renewed(key, f"as service account {google_endpoints.TARGET}")
        self.assertGreaterEqual(len(self.endpoints.platform_tokens), 3)

    def test_a_user_impersonates(self):
        self.endpoints.delegates = google_endpoints.DELEGATES
        run = self.with_key(self.endpoints.impersonated(self.endpoints.authorized_user()))
        self.check_good(run, "as service account")

    def test_a_token_of_a_cluster_is_exchanged_and_rotates(self):
        """As `kubectl create token` or a projected volume writes it: the old one is not accepted any more."""
        def rotate():
            time.sleep(LIFE_S * 0.8)
            self.endpoints.subject_tokens = {"eyJ.second.token"}
            self.file("token", "eyJ.second.token\n")

        path = self.file("token", "eyJ.first.token\n")
        self.endpoints.subject_tokens = {"eyJ.first.token"}
        self.endpoints.life_s = LIFE_S
        run = self.with_key(self.endpoints.external_account({"file": path}), seconds=LIFE_S * 2.1, meanwhile=rotate)
        self.check_good(run, f"external account of {google_endpoints.AUDIENCE}")
        self.assertGreaterEqual(len(run.values), 3, run)
        self.assertEqual(run.logs, [])

    def test_a_token_in_json_is_exchanged_and_impersonates(self):
        path = self.file("token", {"id_token": "eyJ.json.token"})
        self.endpoints.subject_tokens = {"eyJ.json.token"}
        key = self.endpoints.external_account(
            {"file": path, "format": {"type": "json", "subject_token_field_name": "id_token"}},
            service_account_impersonation_url=self.endpoints.impersonation_url())
        self.check_renewed(key, f"as service account {google_endpoints.TARGET}")

    def test_a_token_comes_from_a_provider(self):
        source = {"url": self.endpoints.url + "/subject?api=1",
                  "headers": {"X-Provider-Key": google_endpoints.HEADER_SECRET},
                  "format": {"type": "json", "subject_token_field_name": "id_token"}}
        self.endpoints.subject_tokens = {"eyJ.url.token"}
        self.endpoints.offered_subject = "eyJ.url.token"
        self.endpoints.basic_login = google_endpoints.CLIENT_ID, google_endpoints.CLIENT_SECRET
        login = {"client_id": google_endpoints.CLIENT_ID, "client_secret": google_endpoints.CLIENT_SECRET}
        self.check_renewed(self.endpoints.external_account(source, **login), "external account")
        self.assertGreaterEqual(self.endpoints.paths.count("/subject"), 3)

    def test_a_workforce_names_its_project(self):
        path = self.file("token", "eyJ.workforce.token")
        self.endpoints.subject_tokens = {"eyJ.workforce.token"}
        self.endpoints.workforce_project = "77"
        key = self.endpoints.external_account({"file": path}, workforce_pool_user_project="77")
        self.check_good(self.with_key(key), "external account")

    def test_a_metadata_server_is_asked(self):
        self.endpoints.life_s = LIFE_S
        run = self.run_program(seconds=LIFE_S * 2.1, GCE_METADATA_HOST=self.endpoints.host)
        self.check_good(run, f"metadata server {self.endpoints.host}")
        self.assertGreaterEqual(len(run.values), 3, run)
        self.assertEqual(set(self.endpoints.paths), {"/", google_endpoints.METADATA_TOKEN})

    # ---- where logins are found ----

    def test_keys_of_a_secret_and_of_one_end(self):
        key = json.dumps(self.endpoints.service_account())
        self.check_good(self.run_program("--keys", text=key), "GOOGLE_CRED")
        path = self.file("source.json", key)
        run = self.run_program("--role", "source", PBCOPY_SOURCE_GOOGLE_CREDENTIALS=path)
        self.check_good(run, path)
        # Given for this end, it is used with an emulator too; what others find is not.
        self.check_good(self.run_program("--role", "source", "--emulator", PBCOPY_SOURCE_GOOGLE_CREDENTIALS=path), path)
        asked = len(self.endpoints.paths)
        run = self.with_key(self.endpoints.service_account(), "--emulator", GCE_METADATA_HOST=self.endpoints.host)
        self.assertEqual((run.returncode, run.source, run.values[0]["sha256"]), (scenario.OK, "anonymous", ""), run)
        self.assertEqual(len(self.endpoints.paths), asked)

    def test_the_file_of_gcloud(self):
        os.makedirs(os.path.join(self.folder, ".config", "gcloud"))
        self.file(".config/gcloud/application_default_credentials.json", self.endpoints.authorized_user())
        self.check_good(self.run_program(), "application_default_credentials.json")

    def test_a_key_that_others_can_read_is_warned_of(self):
        run = self.run_program(GOOGLE_APPLICATION_CREDENTIALS=self.file(
            "key.json", self.endpoints.service_account(), 0o644))
        self.check_good(run, "service account")
        self.assertEqual(len(run.logs), 1, run)
        self.assertIn("any user of this machine can read this key", run.logs[0])

    def test_no_login_names_the_places(self):
        run = self.run_program("--role", "source", NO_GCE_CHECK="true")
        self.check_refused(run, scenario.USAGE, "PBCOPY_SOURCE_GOOGLE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS",
                           "application_default_credentials.json", "NO_GCE_CHECK", "?anonymous=true")

    # ---- renewals that fail ----

    def test_every_third_refresh_fails(self):
        self.endpoints.life_s = LIFE_S
        self.endpoints.fail_every = 3
        run = self.with_key(self.endpoints.service_account(), seconds=LIFE_S * 4)
        self.check_good(run, "service account")
        self.assertGreaterEqual(len(run.values), 5, run)
        self.assertTrue(run.logs, run)
        for line in run.logs:
            self.assertIn("503: try again", line)

    def test_a_token_file_that_vanishes_comes_back(self):
        path = self.file("token", "eyJ.first.token\n")

        def vanish():
            time.sleep(1)
            os.remove(path)
            time.sleep(3)
            self.file("token", "eyJ.first.token\n")

        self.endpoints.subject_tokens = {"eyJ.first.token"}
        self.endpoints.life_s = 3
        run = self.with_key(self.endpoints.external_account({"file": path}), seconds=8, meanwhile=vanish)
        self.assertEqual((run.returncode, self.endpoints.problems), (scenario.OK, []), run)
        self.assertGreaterEqual(len(run.values), 2, run)
        self.assertTrue(any("No such file" in line and path in line for line in run.logs), run)

    def test_a_value_that_a_store_refuses_is_replaced_at_once(self):
        run = self.with_key(self.endpoints.service_account(), "--reject", "1", seconds=2)
        self.check_good(run, "service account")
        self.assertEqual(len(run.values), 2, run)
        self.assertLess(run.values[1]["at_ms"], run.values[0]["at_ms"] + 1500)

    # ---- what is refused ----

    def test_a_revoked_key(self):
        text = json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        self.endpoints.answer = 400, text, {}
        run = self.with_key(self.endpoints.service_account())
        self.check_refused(run, scenario.REFUSED, "invalid_grant: Invalid JWT Signature.", "revoked", "clock",
                           google_endpoints.ACCOUNT)
        self.assertEqual(self.endpoints.paths, ["/token"])  # once

    def test_an_endpoint_that_repeats_what_it_was_sent(self):
        """The provider does not know the token, and quotes it: run_program looks for it in the output."""
        path = self.file("token", "eyJ.unknown.token")
        run = self.with_key(self.endpoints.external_account({"file": path}))
        self.check_refused(run, scenario.REFUSED, "invalid_grant")
        self.assertNotIn("eyJ.unknown", run.error + run.hint)

    def test_impersonation_that_is_not_allowed(self):
        self.endpoints.delegates = google_endpoints.DELEGATES
        self.endpoints.answer_path = f"/v1/projects/-/serviceAccounts/{google_endpoints.TARGET}:generateAccessToken"
        self.endpoints.answer = (403, json.dumps({"error": {"code": 403, "message": "Permission denied",
                                                            "status": "PERMISSION_DENIED"}}), {})
        run = self.with_key(self.endpoints.impersonated(self.endpoints.service_account()))
        self.check_refused(run, scenario.REFUSED, "403 PERMISSION_DENIED", "serviceAccountTokenCreator")

    def test_a_redirect_is_not_followed(self):
        other = self.start()
        for status in 301, 302, 307, 308:
            self.endpoints.answer = status, "", {"Location": other.url + "/token"}
            run = self.with_key(self.endpoints.service_account())
            self.check_refused(run, scenario.REFUSED, f"a redirect ({status}) to {other.host}, which is not followed")
        self.assertEqual(other.paths, [])

    def test_answers_of_all_kinds(self):
        for text in ("", "<html>", "[" * 1000000, '{"access_token":"hush', "x" * (2 << 20),
                     '{"access_token":"a\\r\\nX: b","expires_in":9}'):
            self.endpoints.answer = 200, text, {}
            run = self.with_key(self.endpoints.authorized_user())
            self.assertIn(run.returncode, (scenario.FAILED, scenario.UNREACHABLE), run)
            self.assertNotIn("hush", run.error)
            self.assertLess(run.seconds, 30)

    def test_an_endpoint_that_is_not_there(self):
        key = {**self.endpoints.service_account(), "token_uri": f"http://{NOWHERE}/token"}
        self.check_refused(self.with_key(key), scenario.UNREACHABLE, f"POST http://{NOWHERE}/token")

    def test_a_run_ends_while_an_endpoint_hangs(self):
        def hang():
            time.sleep(1)
            self.endpoints.hang_path = "/token"

        self.endpoints.life_s = 3
        run = self.with_key(self.endpoints.service_account(), seconds=3, meanwhile=hang)
        self.assertEqual((run.returncode, len(run.values)), (scenario.OK, 1), run)
        self.assertLess(run.seconds, 20)

    def test_certificates_are_verified(self):
        certificate, private = os.path.join(self.folder, "ca.pem"), os.path.join(self.folder, "ca.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", private],
                       check=True, stderr=subprocess.DEVNULL)
        self.endpoints = self.start(tls=(certificate, private))
        run = self.with_key(self.endpoints.service_account(), "--ca", certificate)
        self.check_good(run, "service account")
        before = len(self.endpoints.paths)
        run = self.with_key(self.endpoints.service_account())
        self.check_refused(run, scenario.UNREACHABLE, "certificate")
        self.assertEqual(len(self.endpoints.paths), before)

    # ---- metadata servers ----

    def test_a_metadata_server_that_hangs_is_found_out_in_a_second(self):
        self.endpoints.hang_path = "/"
        run = self.run_program(GCE_METADATA_HOST=self.endpoints.host)
        self.check_refused(run, scenario.UNREACHABLE, "GCE_METADATA_HOST", self.endpoints.host)
        self.assertLess(run.seconds, 3)
        self.assertEqual(self.endpoints.paths, ["/"])

    def test_another_server_at_its_address_is_not_believed(self):
        for flavor in None, "Other":
            self.endpoints.flavor = flavor
            run = self.run_program(GCE_METADATA_HOST=self.endpoints.host)
            self.check_refused(run, scenario.UNREACHABLE, "not Google's metadata server")
        self.assertNotIn(google_endpoints.METADATA_TOKEN, self.endpoints.paths)

    def test_a_pod_waits_for_its_metadata_server(self):
        port = scenario.free_port()

        def start_late():
            time.sleep(1)
            self.endpoints = self.start(port=port)

        run = self.run_program(meanwhile=start_late, GCE_METADATA_HOST=f"127.0.0.1:{port}",
                               KUBERNETES_SERVICE_HOST="10.0.0.1")
        self.check_good(run, "metadata server")

    def test_a_pod_without_an_identity(self):
        self.endpoints.metadata_answer = 404, "Not Found"
        run = self.run_program(GCE_METADATA_HOST=self.endpoints.host)
        self.check_refused(run, scenario.REFUSED, "404: Not Found", "no service account")
        self.endpoints.metadata_answer = 403, "Unable to generate access token; IAM returned 403"
        run = self.run_program(GCE_METADATA_HOST=self.endpoints.host)
        self.check_refused(run, scenario.REFUSED, "IAM returned 403", "workload identity")


if __name__ == "__main__":
    scenario.main()
