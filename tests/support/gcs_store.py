"""A store of Google's as its JSON API shows it, by plain HTTP: an independent client for tests. No retries, no
checks: what the server said is what a test sees."""

import http.client
import json
import urllib.parse


class Answer:
    """Status, headers (names in lower case) and body of an answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        """Google's word for an error."""
        return self.json()["error"]["errors"][0]["reason"]

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:2000]!r}"


def quote(name):
    """A name as one segment of a path."""
    return urllib.parse.quote(name, safe="")


class GcsStore:
    """`token`: sent with each request, unless None."""

    def __init__(self, endpoint, token=None):
        self.endpoint, self.token = endpoint, token
        self.address = endpoint.removeprefix("http://")

    def request(self, method, target, body=None, headers=None, query=None):
        """`target` is a path, or a URL of this store; members of the query that are None are left out."""
        target = target.removeprefix(self.endpoint)
        members = {name: value for name, value in (query or {}).items() if value is not None}
        if members:
            target += ("&" if "?" in target else "?") + urllib.parse.urlencode(members)
        sent = dict(headers or {})
        if self.token is not None and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def make_bucket(self, name):
        return self.request("POST", "/storage/v1/b", {"name": name}, query={"project": "tests"})

    @staticmethod
    def path(bucket, key):
        return f"/storage/v1/b/{bucket}/o/{quote(key)}"

    def get(self, bucket, key, **query):
        return self.request("GET", self.path(bucket, key), query=query)

    def download(self, bucket, key, headers=None, **query):
        return self.request("GET", self.path(bucket, key), headers=headers, query={"alt": "media", **query})

    def list(self, bucket, **query):
        return self.request("GET", f"/storage/v1/b/{bucket}/o", query=query)

    def keys(self, bucket, **query):
        """All names, page after page."""
        found, token = [], None
        while True:
            page = self.list(bucket, pageToken=token, **query).json()
            found += [item["name"] for item in page.get("items", [])]
            token = page.get("nextPageToken")
            if not token:
                return found

    def put(self, bucket, key, body, headers=None, **query):
        """uploadType=media."""
        return self.request("POST", f"/upload/storage/v1/b/{bucket}/o", body, headers,
                            {"uploadType": "media", "name": key, **query})

    def put_multipart(self, bucket, resource, body, content_type="text/plain", headers=None, **query):
        boundary = "a-boundary"
        whole = (f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
                 f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n").encode() + body
        whole += f"\r\n--{boundary}--\r\n".encode()
        return self.request("POST", f"/upload/storage/v1/b/{bucket}/o", whole,
                            {"Content-Type": f'multipart/related; boundary="{boundary}"', **(headers or {})},
                            {"uploadType": "multipart", **query})

    def start_upload(self, bucket, resource, headers=None, **query):
        return self.request("POST", f"/upload/storage/v1/b/{bucket}/o", resource, headers,
                            {"uploadType": "resumable", **query})

    def put_chunk(self, session, body, content_range=None, headers=None):
        """Without a token: a session's URL is itself the right to write."""
        sent = {"Content-Range": content_range} if content_range else {}
        return GcsStore(self.endpoint).request("PUT", session, body, {**sent, **(headers or {})})

    def rewrite(self, source, target, body=None, **query):
        """`source` and `target` are (bucket, key)."""
        path = f"{self.path(*source)}/rewriteTo/b/{target[0]}/o/{quote(target[1])}"
        return self.request("POST", path, body, query=query)

    def compose(self, bucket, key, sources, destination=None, **query):
        body = {"kind": "storage#composeRequest", "sourceObjects": sources}
        if destination is not None:
            body["destination"] = destination
        return self.request("POST", f"{self.path(bucket, key)}/compose", body, query=query)

    def patch(self, bucket, key, resource, **query):
        return self.request("PATCH", self.path(bucket, key), resource, query=query)

    def delete(self, bucket, key, **query):
        return self.request("DELETE", self.path(bucket, key), query=query)

    def batch(self, requests, headers=None):
        """`requests` are lines "DELETE /storage/v1/..."; the answer and, of its parts, (Content-ID, status, body)."""
        boundary = "batch-boundary"
        text = "".join(
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <id+{number}>\r\n\r\n"
            f"{line} HTTP/1.1\r\n\r\n\r\n" for number, line in enumerate(requests))
        answer = self.request("POST", "/batch/storage/v1", f"{text}--{boundary}--\r\n".encode(),
                              {"Content-Type": f"multipart/mixed; boundary={boundary}", **(headers or {})})
        parts = []
        if answer.status == 200:
            mark = answer.headers["content-type"].partition("boundary=")[2].strip('"')
            for part in answer.body.decode().split(f"--{mark}")[1:-1]:
                outer, _, inner = part.strip().partition("\r\n\r\n")
                identity = next(line for line in outer.split("\r\n") if line.lower().startswith("content-id"))
                head, _, body = inner.partition("\r\n\r\n")
                parts.append((identity.partition(": ")[2], int(head.split(" ")[1]), body.strip()))
        return answer, parts
