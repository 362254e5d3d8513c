"""A server in front of an origin that does what some stores and gateways do, and origin does not: it refuses,
changes answers, or serves below a path. Requests go on as they came, so that origin checks their signatures."""

import gzip
import hashlib
import hmac
import http.client
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit


class Asked:
    """A request: `headers` by lower-case names."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        parts = urlsplit(target)
        self.path, self.query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))

    @property
    def key(self):
        return self.path.split("/", 2)[2] if self.path.count("/") > 1 else ""

    def is_put(self):
        return self.method == "PUT" and bool(self.key) and "x-amz-copy-source" not in self.headers

    def is_copy(self):
        return "x-amz-copy-source" in self.headers


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body  # headers: [(name, value)]
        self.cut = None  # so many bytes of the body are sent, and the connection is closed


def refusal(status, code, message=""):
    return Answer(status, [("Content-Type", "application/xml")],
                  f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message>'
                  f"</Error>".encode())


# ---- quirks: each sees the request, and may answer it; then the origin's answer, and may change it ----

class Quirk:
    def before(self, asked):
        return None

    def after(self, asked, answer):
        return answer


class WantsMd5(Quirk):
    """A bucket with a default retention."""

    def __init__(self, code="InvalidRequest", takes_checksums=True):
        self.code, self.takes_checksums = code, takes_checksums
        self.refused = 0

    def before(self, asked):
        has = "content-md5" in asked.headers or (
            self.takes_checksums and any(name.startswith("x-amz-checksum-") for name in asked.headers))
        if not asked.is_put() or has:
            return None
        self.refused += 1
        return refusal(400, self.code, "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object "
                                       "requests with Object Lock parameters")


class CopiesNothing(Quirk):
    def __init__(self, status=501, code="NotImplemented", parts_only=False):
        self.status, self.code, self.parts_only = status, code, parts_only
        self.refused = 0

    def before(self, asked):
        if not asked.is_copy() or (self.parts_only and "partNumber" not in asked.query):
            return None
        self.refused += 1
        return refusal(self.status, self.code, "A header you provided implies functionality that is not implemented")


class PrefixOnly(Quirk):
    """A policy that gives rights on one prefix, as s3:prefix and a resource have it."""

    def __init__(self, bucket, prefix):
        self.bucket, self.prefix = bucket, prefix

    def before(self, asked):
        bucket = asked.path.split("/")[1]
        named = asked.key or asked.query.get("prefix", "")
        if bucket != self.bucket or named.startswith(self.prefix):
            return None
        return refusal(403, "AccessDenied", "Access Denied")


class Archived(Quirk):
    """An object that has gone to an archive class: it is listed, and not read."""

    def __init__(self, key, code="InvalidObjectState"):
        self.key, self.code = key, code

    def before(self, asked):
        if asked.method != "GET" or not asked.key.endswith(self.key):
            return None
        return refusal(403, self.code, "The operation is not valid for the object's storage class")


class CopiesAllBut(Quirk):
    """Copies of some objects are refused, as VersityGW and SeaweedFS refuse those of folder markers."""

    def __init__(self, suffix, status=400, code="InvalidRequest"):
        self.suffix, self.status, self.code = suffix, status, code
        self.refused = 0

    def before(self, asked):
        source = asked.headers.get("x-amz-copy-source", "")
        if not source.endswith(self.suffix):
            return None
        self.refused += 1
        return refusal(self.status, self.code, "Directory object contains data payload")


class SlowToCopy(Quirk):
    """Copies, and uploads that are made objects, take their time, and the store says nothing meanwhile."""

    def __init__(self, seconds):
        self.seconds = seconds

    def before(self, asked):
        if asked.is_copy() or (asked.method == "POST" and "uploadId" in asked.query):
            time.sleep(self.seconds)
        return None


class SlowsDownLongNames(Quirk):
    """MinIO on a file system, of a name that no file can have."""

    def before(self, asked):
        if asked.method == "PUT" and any(len(unquote(segment)) > 255 for segment in asked.key.split("/")):
            return refusal(503, "SlowDownWrite", "Resource requested is unwritable, please reduce your request rate")
        return None


class BreaksReads(Quirk):
    """Connections close after so many bytes of an object; `sent` counts the bytes of objects that came out."""

    def __init__(self, bytes_each, times=None, knows_ranges=True):
        self.bytes_each, self.times, self.knows_ranges = bytes_each, times, knows_ranges
        self.broken = self.sent = 0

    def before(self, asked):
        if not self.knows_ranges and asked.key:
            asked.headers.pop("range", None)
        return None

    def after(self, asked, answer):
        if asked.method != "GET" or not asked.key or answer.status not in (200, 206):
            return answer
        if len(answer.body) > self.bytes_each and (self.times is None or self.broken < self.times):
            self.broken += 1
            answer.cut = self.bytes_each
        self.sent += len(answer.body) if answer.cut is None else answer.cut
        return answer


class ListedButGone(Quirk):
    """A stale index: a key is listed, and nothing is there."""

    def __init__(self, key):
        self.key = key

    def before(self, asked):
        source = unquote(asked.headers.get("x-amz-copy-source", ""))
        if (asked.method in ("GET", "HEAD") and asked.key == self.key) or source.endswith("/" + self.key):
            return refusal(404, "NoSuchKey", "The specified key does not exist.")
        return None


class InUse(Quirk):
    """Somebody else works on the bucket: just before an object is first read or copied, `change` is called with its
    key, `times` for each."""

    def __init__(self, change, times=1):
        self.change, self.times, self.seen = change, times, {}
        self.lock = threading.Lock()

    def before(self, asked):
        source = asked.headers.get("x-amz-copy-source")
        key = unquote(source).split("/", 2)[2] if source else asked.key if asked.method == "GET" else ""
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + 1
            due = key and self.seen[key] <= self.times
        if due:
            self.change(key)
        return None


class WebPage(Quirk):
    """No store at all, a console or a login page; or what a balancer shows in between, to `times` requests after so
    many, which `wanted` picks."""

    def __init__(self, spared=0, times=None, wanted=lambda asked: True):
        self.spared, self.times, self.wanted = spared, times, wanted

    def before(self, asked):
        if not self.wanted(asked):
            return None
        self.spared -= 1
        if self.spared >= 0 or (self.times is not None and self.spared < -self.times):
            return None
        return Answer(200, [("Content-Type", "text/html")],
                      b"\n <!DOCTYPE html><html><head><title>Console</title></head><body>Log in<br></body></html>")


class RequesterPays(Quirk):
    def before(self, asked):
        if asked.headers.get("x-amz-request-payer") == "requester":
            signed = asked.headers.get("authorization", "")
            return None if "x-amz-request-payer" in signed else refusal(403, "SignatureDoesNotMatch")
        return refusal(403, "AccessDenied", "Access Denied")


class Decodes(Quirk):
    """What has Content-Encoding: gzip is sent decoded, in chunks, unless the client takes gzip."""

    def after(self, asked, answer):
        encoding = [value for name, value in answer.headers if name.lower() == "content-encoding"]
        if asked.method not in ("GET", "HEAD") or encoding != ["gzip"] or answer.status >= 300 or \
                "gzip" in asked.headers.get("accept-encoding", ""):
            return answer
        hidden = ("content-encoding", "content-length", "content-range")
        answer.headers = [each for each in answer.headers if each[0].lower() not in hidden] + \
            [("Transfer-Encoding", "chunked")]
        if asked.method == "GET":
            answer.body = gzip.decompress(answer.body)
        answer.status = 200
        return answer


class Compresses(Quirk):
    """What is not compressed is, for clients that take gzip: its length is not known beforehand."""

    def after(self, asked, answer):
        names = [name.lower() for name, _ in answer.headers]
        if asked.method not in ("GET", "HEAD") or "content-encoding" in names or answer.status != 200 or \
                ("content-length", "0") in [(name.lower(), value) for name, value in answer.headers] or \
                not asked.key or "gzip" not in asked.headers.get("accept-encoding", ""):
            return answer
        answer.headers = [each for each in answer.headers if each[0].lower() != "content-length"] + \
            [("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip")]
        answer.body = gzip.compress(answer.body)
        return answer


class Etags(Quirk):
    """ETags that are not what origin says: `shown` makes them, the same for the same object. Conditions and uploads
    that name one get origin's own, which breaks signatures: the origin is to check none. `shown_by_put`: what the answer
    to a PUT shows instead, but for parts."""

    TAG = re.compile(rb'(&quot;|")([0-9a-f]{32}(?:-\d+)?)(&quot;|")')

    def __init__(self, shown, shown_by_put=None):
        self.shown, self.shown_by_put = shown, shown_by_put
        self._real = {}

    def _show(self, real, by_put=False):
        shown = (self.shown_by_put if by_put and self.shown_by_put else self.shown)(real)
        self._real[shown] = real
        return shown

    def before(self, asked):
        for name in ("if-match", "x-amz-copy-source-if-match"):
            if name in asked.headers:
                tag = asked.headers[name].strip('"')
                asked.headers[name] = f'"{self._real.get(tag, tag)}"'
        if asked.method == "POST" and "uploadId" in asked.query:
            body = asked.body.decode()
            for shown, real in self._real.items():
                body = body.replace(shown, real)
            asked.body = body.encode()
            asked.headers["content-length"] = str(len(asked.body))
            asked.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        return None

    def after(self, asked, answer):
        answer.headers = [(name, self._header(value, asked) if name.lower() == "etag" else value)
                          for name, value in answer.headers]
        if any(each in answer.body for each in (b"<ETag>",)):
            answer.body = re.sub(rb"<ETag>.*?</ETag>", lambda found: self.TAG.sub(
                lambda tag: tag[1] + self._show(tag[2].decode()).encode() + tag[3], found[0]), answer.body)
            answer.headers = [(name, str(len(answer.body)) if name.lower() == "content-length" else value)
                              for name, value in answer.headers]
        return answer

    def _header(self, value, asked):
        shown = self._show(value.strip('"'), asked.is_put() and "partNumber" not in asked.query)
        return shown if shown.startswith("W/") else f'"{shown}"'


def hashed(real):
    """Looks like an MD5, and is another one."""
    whole, _, parts = real.partition("-")
    return hashlib.md5(b"salt" + whole.encode()).hexdigest() + (f"-{parts}" if parts else "")


class Damages(Quirk):
    """What is written under a key is stored with another first byte, and its ETag is that of what is stored."""

    def __init__(self, *keys):
        self.keys = keys

    def before(self, asked):
        if asked.is_put() and asked.key in self.keys and asked.body:
            asked.body = bytes([asked.body[0] ^ 1]) + asked.body[1:]
            asked.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        return None


class DropsChecksums(Quirk):
    """A gateway that knows no x-amz-checksum-*: it stores what comes, and names none in its answer. The origin is to
    check no signatures. `damages`: keys whose bytes it changes."""

    def __init__(self, *damages):
        self.damages = damages

    def before(self, asked):
        for name in [name for name in asked.headers if name.startswith("x-amz-checksum-")]:
            del asked.headers[name]
        asked.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        if asked.is_put() and asked.key.rsplit("/", 1)[-1] in self.damages and asked.body:
            asked.body = bytes([asked.body[0] ^ 1]) + asked.body[1:]
        if asked.method == "POST" and "uploadId" in asked.query:
            asked.body = re.sub(rb"<ChecksumCRC32C>.*?</ChecksumCRC32C>", b"", asked.body)
            asked.headers["content-length"] = str(len(asked.body))
        return None


class Rots(Quirk):
    """Objects that are not what was written: they read with another first byte, and have the ETag that they had."""

    def __init__(self, *keys):
        self.keys = keys

    def after(self, asked, answer):
        if asked.method == "GET" and asked.key in self.keys and answer.status in (200, 206):
            answer.body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
        return answer


class BelowPath(Quirk):
    """A gateway that serves S3 below a path and checks signatures by itself, of the path as it came."""

    def __init__(self, path, secret_key):
        self.path, self.secret_key = path, secret_key

    def before(self, asked):
        if not asked.path.startswith(self.path + "/"):
            return Answer(404, [], b"no such page")
        if not signature_fits(asked, self.secret_key):
            return refusal(403, "SignatureDoesNotMatch")
        if asked.headers.get("x-amz-copy-source", "/").startswith(self.path + "/"):
            return refusal(400, "InvalidArgument", "a copy source is /BUCKET/KEY")
        asked.target = asked.target[len(self.path):]
        return None


def signature_fits(asked, secret_key):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    fields = dict(part.strip().split("=", 1) for part in
                  asked.headers["authorization"].split(" ", 1)[1].split(","))
    path, _, query = asked.target.partition("?")
    names = fields["SignedHeaders"].split(";")
    canonical = "\n".join([asked.method, path, query, *(f"{name}:{asked.headers[name].strip()}" for name in names),
                           "", fields["SignedHeaders"], asked.headers["x-amz-content-sha256"]])
    scope = fields["Credential"].split("/", 1)[1]
    text = "\n".join(["AWS4-HMAC-SHA256", asked.headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex() == fields["Signature"]


# ---- the server ----

class QuirkyFront:
    def __init__(self, origin, *quirks, address="127.0.0.1"):
        self.quirks = quirks
        self.asked = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()},
                              body)
                front.asked.append(asked)
                answer = front.answer(origin, asked)
                is_chunked = ("Transfer-Encoding", "chunked") in answer.headers
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                if not is_chunked and not any(name.lower() == "content-length" for name, _ in answer.headers):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                if answer.cut is not None:
                    self.wfile.write(answer.body[:answer.cut])
                    self.close_connection = True
                    return
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer.body), answer.body)
                                 if is_chunked and answer.body else b"0\r\n\r\n" if is_chunked else answer.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def handle_error(self, request, client_address):
                pass  # a client that went

        self._server = Server((address, 0), Handler)
        self.port = self._server.server_address[1]
        host = f"[{address}]" if ":" in address else address
        self.endpoint = f"http://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def url(self, place, more=""):
        return f"s3://{place}?endpoint={self.endpoint}{more}"

    def answer(self, origin, asked):
        for quirk in self.quirks:
            answer = quirk.before(asked)
            if answer:
                return answer
        connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=120)
        connection.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            if name not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(asked.body)
        got = connection.getresponse()
        hidden = ("connection", "transfer-encoding")
        answer = Answer(got.status, [each for each in got.getheaders() if each[0].lower() not in hidden], got.read())
        connection.close()
        for quirk in self.quirks:
            answer = quirk.after(asked, answer)
        return answer
