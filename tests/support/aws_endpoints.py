"""A stand-in on loopback for what AWS's logins ask: STS, the portal of IAM Identity Center, the agent of containers, and
instance metadata. It checks all that is asked of it and keeps what was wrong in `violations`; it gives keys of short
lives, which the origin accepts until they end, and fails every third time that it is asked for keys."""

import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse
from email.utils import formatdate

ROLE = "arn:aws:iam::123456789012:role/backup"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_fault(secret, method, path, headers, body, region, service):
    """None where an Authorization header is right (AWS Signature Version 4), else what is wrong."""
    try:
        parts = dict(each.strip().split("=", 1)
                     for each in headers["Authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(","))
        _, date, told_region, told_service, end = parts["Credential"].split("/")
    except (KeyError, ValueError, AttributeError, TypeError):
        return "no Authorization header of the right form"
    if (told_region, told_service, end) != (region, service, "aws4_request"):
        return f"signed for {told_region}/{told_service}"
    names = parts["SignedHeaders"].split(";")
    if names != sorted(names) or not {"host", "x-amz-date", "content-type"} <= set(names):
        return f"signed headers {names}"
    if headers["X-Amz-Date"][:8] != date or abs(
            time.time() - time.mktime(time.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")) + time.timezone) > 300:
        return "another time"
    canonical = "\n".join([method, path, "", *(f"{name}:{' '.join(headers[name].split())}" for name in names), "",
                           parts["SignedHeaders"], hashlib.sha256(body).hexdigest()])
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["X-Amz-Date"], scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = _hmac(key, part)
    return None if _hmac(key, to_sign).hex() == parts["Signature"] else "a wrong signature"


class AwsEndpoints:
    """From construction to stop(). Keys live for `life_s` as they say; the origin ends them after `true_life_s`."""

    def __init__(self, origin, life_s=4, true_life_s=None, fails_every=3):
        self.origin, self.life_s, self.fails_every = origin, life_s, fails_every
        self.true_life_s = life_s if true_life_s is None else true_life_s
        self.violations, self.issued, self.failures, self.asked = [], [], 0, 0
        self.metadata_tokens = set()
        self.answer = None  # (status, body, headers) in place of all answers
        self.hang_s = 0
        # What is wanted of those that ask: the tests set these.
        self.base_keys = {}  # access key id: (secret, session token or None), for AssumeRole
        self.web_identity = self.authorization = self.sso_token = None
        self.external_id = self.duration = None
        self.region = "us-east-1"
        self._lock = threading.Lock()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def _serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                time.sleep(stand_in.hang_s)
                status, text, headers = stand_in.serve(self.command, self.path, self.headers, body)
                self.send_response_only(status)
                self.send_header("Date", formatdate(usegmt=True))
                self.send_header("Content-Length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = _serve

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    # ---- keys ----

    def secrets(self):
        return [text for keys in self.issued for text in (keys["secret"], keys["token"])]

    def _issue(self):
        """New keys, which the origin takes from now on; None where it is a time to fail."""
        with self._lock:
            self.asked += 1
            if self.fails_every and self.asked % self.fails_every == 0:
                self.failures += 1
                return None
            number, now = len(self.issued) + 1, int(time.time())
            self.issued.append({"id": f"ASIASTANDIN{number:04}", "secret": f"hidden/secret+{number}",
                                "token": f"hidden-token-{number}==", "until": now + self.life_s,
                                "true_until": now + self.true_life_s})
            self.origin.set_keys(*(f"{keys['id']} {keys['secret']} {keys['token']} {keys['true_until'] * 1000}"
                                   for keys in self.issued))
            return self.issued[-1]

    def _wrong(self, what):
        self.violations.append(what)
        return 400, json.dumps({"message": what}), {}

    # ---- requests ----

    def serve(self, method, target, headers, body):
        path, _, query = target.partition("?")
        if self.answer:
            return self.answer
        if path.startswith("/latest/"):
            return self._metadata(method, path, headers)
        if path == "/federation/credentials":
            return self._sso(method, query, headers)
        if path == "/v1/credentials":
            return self._container(method, headers)
        if path == "/process":
            return self._json("SessionToken", Version=1)
        if method == "POST" and path == "/":
            return self._sts(headers, body)
        return self._wrong(f"{method} {target}")

    @staticmethod
    def _time(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    def _json(self, token_name, **more):
        keys = self._issue()
        if not keys:
            return 500, "{}", {}
        return 200, json.dumps({"AccessKeyId": keys["id"], "SecretAccessKey": keys["secret"], token_name: keys["token"],
                                "Expiration": self._time(keys["until"]), **more}), {}

    def _metadata(self, method, path, headers):
        if path == "/latest/api/token":
            if method != "PUT" or headers.get("X-aws-ec2-metadata-token-ttl-seconds") != "21600":
                return self._wrong("a token without PUT and its time to live")
            self.metadata_tokens.add(token := f"metadata-token-{len(self.metadata_tokens)}")
            return 200, token, {}
        if headers.get("X-aws-ec2-metadata-token") not in self.metadata_tokens:
            return 401, "", {}
        if path == "/latest/meta-data/iam/security-credentials/":
            return 200, "the-role", {}
        if method == "GET" and path == "/latest/meta-data/iam/security-credentials/the-role":
            return self._json("Token", Code="Success")
        return self._wrong(f"metadata {method} {path}")

    def _sso(self, method, query, headers):
        if method != "GET" or urllib.parse.parse_qs(query) != {"role_name": ["Backup"], "account_id": ["123456789012"]}:
            return self._wrong(f"portal {method} {query}")
        if headers.get("x-amz-sso_bearer_token") != self.sso_token:
            return 401, json.dumps({"message": "Session token not found or invalid"}), {}
        keys = self._issue()
        if not keys:
            return 500, "{}", {}
        return 200, json.dumps({"roleCredentials": {
            "accessKeyId": keys["id"], "secretAccessKey": keys["secret"], "sessionToken": keys["token"],
            "expiration": keys["until"] * 1000}}), {}

    def _container(self, method, headers):
        if method != "GET" or headers.get("Authorization") != self.authorization:
            return self._wrong(f"agent {method}, another token")
        return self._json("Token")

    def _sts(self, headers, body):
        form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
        asked = {name: values[0] for name, values in form.items()}
        wanted = {"Version": "2011-06-15", "RoleArn": ROLE, "RoleSessionName": "pbcopy"}
        if not headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return self._wrong("STS: another content type")
        if asked.get("Action") == "AssumeRoleWithWebIdentity":
            wanted.update(Action="AssumeRoleWithWebIdentity", WebIdentityToken=self.web_identity)
            if "Authorization" in headers:
                return self._wrong("STS: a web identity that is signed")
        else:
            wanted.update(Action="AssumeRole")
            if self.external_id:
                wanted.update(ExternalId=self.external_id)
            key = headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
            secret, token = self.base_keys.get(key, (None, None))
            if secret is None:
                return self._sts_error(403, "InvalidClientTokenId", "The security token included is invalid")
            fault = signature_fault(secret, "POST", "/", headers, body, self.region, "sts")
            if fault or headers.get("X-Amz-Security-Token") != token:
                return self._wrong(f"STS: {fault or 'another session token'}")
        if self.duration:
            wanted.update(DurationSeconds=str(self.duration))
        if asked != wanted:
            return self._wrong(f"STS: {sorted(set(asked.items()) ^ set(wanted.items()))}")
        keys = self._issue()
        if not keys:
            return self._sts_error(500, "InternalFailure", "try again")
        action = asked["Action"]
        return 200, (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>'
            f"<AccessKeyId>{keys['id']}</AccessKeyId><SecretAccessKey>{keys['secret']}</SecretAccessKey>"
            f"<SessionToken>{keys['token']}</SessionToken><Expiration>{self._time(keys['until'])}</Expiration>"
            f"</Credentials></{action}Result></{action}Response>"), {}

    @staticmethod
    def _sts_error(status, code, message):
        return status, (f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                        "<RequestId>r</RequestId></ErrorResponse>"), {}
