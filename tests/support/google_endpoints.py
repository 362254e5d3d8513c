"""Stand-ins of what logins of Google ask, on one loopback port: the token endpoint (signed assertions, refresh
tokens), the security token service (RFC 8693), generateAccessToken of the IAM API, the metadata server, and the
identity provider of an external account. Strict: whatever a request lacks is an error, and is remembered in `problems`.
"""

import base64
import hashlib
import http.server
import json
import os
import secrets
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

SCOPE_STORAGE = "https://www.googleapis.com/auth/devstorage.read_write"
SCOPE_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
METADATA_TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"
DATA = os.path.join(os.environ.get("SOURCE_DIR", "."), "tests", "data", "google")

ACCOUNT = "backup@project.iam.gserviceaccount.com"
TARGET = "writer@project.iam.gserviceaccount.com"
KEY_ID = "0123abcd"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster"
TOKEN_TYPE_JWT = "urn:ietf:params:oauth:token-type:jwt"
DELEGATES = ["projects/-/serviceAccounts/middle@project.iam.gserviceaccount.com"]
CLIENT_ID, CLIENT_SECRET = "client.apps.googleusercontent.com", "GOCSPX-client&secret+of/the=tests"
REFRESH_TOKEN = "1//0-refresh-token+of&the=tests"
HEADER_SECRET = "key-of-the-identity-provider"


class Problem(Exception):
    """What a request lacks."""


def require(holds, what):
    if not holds:
        raise Problem(what)


def decoded(part):
    require("=" not in part, "padding in a web token")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class GoogleEndpoints:
    """From construction to stop(). Change the attributes of the first group at any time."""

    def __init__(self, tls=None, port=0):
        self.life_s = 3600
        self.fail_every = 0  # each so-manieth request for a token gets a 503
        self.answer = None  # (status, body, headers): what the endpoint under fail_path answers instead
        self.answer_path = "/token"
        self.hang_path = None
        self.flavor = "Google"
        self.metadata_answer = None  # (status, body)
        self.subject_tokens = set()  # that the provider knows
        self.offered_subject = None  # what the identity provider answers
        self.workforce_project = None
        self.basic_login = None  # (id, secret) that the exchange has to come with
        self.delegates = []

        self.problems, self.paths = [], []
        self.storage_tokens, self.platform_tokens = [], []
        self.presented = []  # assertions and the like: as secret as tokens
        self._lock = threading.Lock()
        self._asked = 0
        self._stopping = threading.Event()
        endpoints = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def do_GET(self):
                endpoints.serve(self)

            def do_POST(self):
                endpoints.serve(self)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that does not trust the certificate

        self._server = Server(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def secrets(self):
        with self._lock:
            return [*self.storage_tokens, *self.platform_tokens, *self.presented, *self.subject_tokens, CLIENT_SECRET,
                    REFRESH_TOKEN, HEADER_SECRET]

    def digests(self):
        return [hashlib.sha256(token.encode()).hexdigest() for token in self.storage_tokens]

    # ---- requests ----

    def serve(self, request):
        path, _, query = request.path.partition("?")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        with self._lock:
            self.paths.append(path)
        if path == self.hang_path:
            self._stopping.wait(60)
            return
        if self.answer and path == self.answer_path:
            status, text, headers = self.answer
            return self.send(request, status, text, headers)
        try:
            answer = self.route(request, path, query, body)
            status, headers = answer if isinstance(answer[0], tuple) else (answer, {})
            self.send(request, *status, headers)
        except Problem as problem:
            with self._lock:
                self.problems.append(f"{request.command} {path}: {problem}")
            self.send(request, 400, json.dumps({"error": "invalid_request", "error_description": str(problem)}), {})

    def send(self, request, status, text, headers):
        data = text.encode() if isinstance(text, str) else text
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)

    def route(self, request, path, query, body):
        if path == "/" or path.startswith("/computeMetadata"):
            flavor = {"Metadata-Flavor": self.flavor} if self.flavor else {}
            return self.metadata(request, path, query), flavor
        if path == "/subject":
            return self.subject(request)
        require(request.command == "POST", "not a POST")
        if path.endswith(":generateAccessToken"):
            return self.impersonate(request, path, body)
        require(request.headers["Content-Type"] == "application/x-www-form-urlencoded", "Content-Type")
        form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True))
        if path == "/v1/token":
            return self.exchange(request, form)
        require(path == "/token", "no such endpoint")
        require("Authorization" not in request.headers, "an Authorization that nobody asked for")
        if form.get("grant_type") == "refresh_token":
            require(form == {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
                             "refresh_token": REFRESH_TOKEN}, f"the members {sorted(form)}")
            return self.issue(None)
        require(set(form) == {"grant_type", "assertion"}, f"the members {sorted(form)}")
        require(form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_type")
        return self.issue(self.check_assertion(form["assertion"]))

    def check_assertion(self, assertion):
        """Returns the scope that is asked for."""
        with self._lock:
            self.presented.append(assertion)
        signed, _, signature = assertion.rpartition(".")
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        require(header == {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}, f"the header {header}")
        with tempfile.NamedTemporaryFile() as file:
            file.write(decoded(signature))
            file.flush()
            verified = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", os.path.join(DATA, "public_key.pem"), "-signature",
                 file.name], input=signed.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        require(verified.returncode == 0, "the signature is wrong")
        require(set(claims) == {"iss", "scope", "aud", "iat", "exp"}, f"the claims {sorted(claims)}")
        require(claims["iss"] == ACCOUNT, "iss")
        require(claims["aud"] == self.url + "/token", "aud")
        require(time.time() - 60 < claims["iat"] <= time.time(), "iat")
        require(claims["exp"] == claims["iat"] + 3600, "exp")
        return claims["scope"]

    def exchange(self, request, form):
        subject = form.pop("subject_token", "")
        options = {"userProject": self.workforce_project} if self.workforce_project else None
        require((json.loads(form.pop("options", "null"))) == options, "options")
        scope = form.pop("scope", "")
        require(form == {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": AUDIENCE,
                         "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                         "subject_token_type": TOKEN_TYPE_JWT}, f"the members {form}")
        login = request.headers.get("Authorization")
        expected = None
        if self.basic_login:
            expected = "Basic " + base64.b64encode(":".join(self.basic_login).encode()).decode()
        require(login == expected, "the client's login")
        if subject not in self.subject_tokens:
            return 400, json.dumps({"error": "invalid_grant", "error_description": f"not known: {subject}"})
        return self.issue(scope, {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def impersonate(self, request, path, body):
        require(path == f"/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken", "the account")
        require(request.headers["Content-Type"] == "application/json", "Content-Type")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        require(scheme == "Bearer" and token in self.platform_tokens, "the bearer token")
        asked = json.loads(body)
        require(asked.pop("delegates", None) == self.delegates, "delegates")
        require(asked == {"scope": [SCOPE_STORAGE], "lifetime": "3600s"}, f"the members {asked}")
        status, answer = self.issue(SCOPE_STORAGE)
        if status != 200:
            return status, answer
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.life_s))
        return 200, json.dumps({"accessToken": json.loads(answer)["access_token"], "expireTime": end})

    def metadata(self, request, path, query):
        require(request.command == "GET" and request.headers.get("Metadata-Flavor") == "Google", "Metadata-Flavor")
        require("X-Forwarded-For" not in request.headers, "X-Forwarded-For")
        if path == "/":
            return 200, "computeMetadata/\n"
        require(path == METADATA_TOKEN, "no such path")
        if self.metadata_answer:
            return self.metadata_answer
        require(urllib.parse.parse_qs(query) == {"scopes": [SCOPE_STORAGE]}, f"the query {query}")
        return self.issue(SCOPE_STORAGE)

    def subject(self, request):
        require(request.command == "GET" and request.headers.get("X-Provider-Key") == HEADER_SECRET, "the header")
        return 200, json.dumps({"id_token": self.offered_subject})

    def issue(self, scope, more=None):
        """A token of this scope, of a storage one where none is asked for."""
        with self._lock:
            self._asked += 1
            if self.fail_every and self._asked % self.fail_every == 0:
                return 503, "try again"
            require(scope in (SCOPE_STORAGE, SCOPE_PLATFORM, None), f"the scope {scope}")
            token = "ya29." + secrets.token_urlsafe(48)
            (self.platform_tokens if scope == SCOPE_PLATFORM else self.storage_tokens).append(token)
            # A refresh token's scopes are those that were agreed to: that of a person allows both.
            if scope is None:
                self.platform_tokens.append(token)
        answer = {"access_token": token, "expires_in": self.life_s, "token_type": "Bearer", **(more or {})}
        return 200, json.dumps(answer)

    # ---- credential files ----

    def service_account(self):
        with open(os.path.join(DATA, "private_key.pem"), encoding="ascii") as file:
            pem = file.read()
        return {"type": "service_account", "project_id": "project", "private_key_id": KEY_ID, "private_key": pem,
                "client_email": ACCOUNT, "token_uri": self.url + "/token", "universe_domain": "googleapis.com"}

    def authorized_user(self):
        return {"type": "authorized_user", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
                "refresh_token": REFRESH_TOKEN, "token_uri": self.url + "/token"}

    def external_account(self, source, **more):
        return {"type": "external_account", "audience": AUDIENCE, "subject_token_type": TOKEN_TYPE_JWT,
                "token_url": self.url + "/v1/token", "credential_source": source, **more}

    def impersonation_url(self):
        return f"{self.url}/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken"

    def impersonated(self, source):
        return {"type": "impersonated_service_account", "service_account_impersonation_url": self.impersonation_url(),
                "delegates": DELEGATES, "source_credentials": source}
