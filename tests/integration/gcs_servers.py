"""One small client's session against the two stand-ins for Google Cloud Storage: origin's dialect and fake-gcs-server.
What both do alike is asserted once, for both. Where they differ origin does as Google documents, and the test says what
fake-gcs-server 1.56.1 does, so that a version of it that does better is noticed:

- It checks no token, and takes unknown parameters, fields and names ("..").
- `fields` is passed over: answers are whole.
- ifGenerationMatch holds for uploads alone: reads, downloads, rewrites and deletes pass it over. A rewriteToken that is
  none is passed over as well; a rewrite is done in one call.
- A resumable upload that is asked for its state ends there and then, with what has come. Chunks of any size are taken.
- The second part's Content-Type of a multipart upload wins over the resource's contentType.
- A patch changes neither metageneration nor updated, and answers another form of resource.
- A composed object has an MD5, and no componentCount.
- An object's ETag is its MD5; its id has no generation.
- Deletes answer 200 with a body, not 204.
- Downloads have X-Goog-Meta-*, and neither X-Goog-Metageneration nor X-Goog-Storage-Class; a range that cannot be
  answered is refused with the XML API's document.
"""

import base64
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from fake_gcs_server import FakeGcsServer
from gcs_store import GcsStore, quote
from scenario import some_bytes

KIB256 = 256 << 10


class OriginSession(scenario.Scenario):
    """What is done alike, and what is not."""

    is_strict = True

    def connect(self):
        return GcsStore(self.origin("--gcs-token", "any-token").endpoint, "any-token")

    def setUp(self):
        super().setUp()
        self.store = self.connect()
        for name in ("bucket", "other"):
            self.assertEqual(self.store.make_bucket(name).status, 200)

    def test_objects(self):
        body = some_bytes(100000)
        for key in ("plain", "a/b c", "ä/ö?#%2F"):
            made = self.store.put_multipart("bucket", {"name": key, "metadata": {"Key": "v"}}, body, "text/x")
            self.assertEqual(made.status, 200, made)
            seen = self.store.get("bucket", key).json()
            for resource in (made.json(), seen):
                self.assertEqual(
                    (resource["name"], resource["bucket"], resource["size"], resource["contentType"],
                     resource["metadata"], resource["md5Hash"], resource["metageneration"]),
                    (key, "bucket", "100000", "text/x", {"Key": "v"},
                     base64.b64encode(hashlib.md5(body).digest()).decode(), "1"))
            self.assertEqual(len(base64.b64decode(seen["crc32c"])), 4)
            got = self.store.download("bucket", key)
            self.assertEqual((got.status, got.body), (200, body))
            self.assertEqual((got.headers["x-goog-generation"], got.headers["x-goog-stored-content-length"]),
                             (seen["generation"], "100000"))
            self.assertIn(f"crc32c={seen['crc32c']}", got.headers["x-goog-hash"])
            part = self.store.download("bucket", key, {"Range": "bytes=10-19"})
            self.assertEqual((part.status, part.body, part.headers["content-range"]),
                             (206, body[10:20], "bytes 10-19/100000"))
        self.assertEqual(self.store.get("bucket", "none").reason, "notFound")
        self.assertEqual(self.store.list("nowhere").reason, "notFound")

    def test_create_only_and_digests(self):
        self.assertEqual(self.store.put("bucket", "key", b"1", ifGenerationMatch="0").status, 200)
        again = self.store.put("bucket", "key", b"2", ifGenerationMatch="0")
        self.assertEqual((again.status, again.reason), (412, "conditionNotMet"))
        for digest in ({"crc32c": "AAAAAA=="}, {"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}):
            wrong = self.store.put_multipart("bucket", {"name": "wrong", **digest}, b"bytes")
            self.assertEqual((wrong.status, wrong.reason), (400, "invalid"))

    def test_listing(self):
        names = sorted(("a", "a/1", "a/2", "b/1", "c"))
        for name in names:
            self.store.put("bucket", name, b"x")
        self.assertEqual(self.store.keys("bucket"), names)
        self.assertEqual(self.store.keys("bucket", maxResults=2), names)
        self.assertEqual(self.store.keys("bucket", prefix="a/"), ["a/1", "a/2"])
        self.assertEqual(self.store.keys("bucket", startOffset="a/2", endOffset="c"), ["a/2", "b/1"])
        self.assertEqual(self.store.list("bucket", delimiter="/").json()["prefixes"], ["a/", "b/"])

    def test_rewrite_and_compose(self):
        body = some_bytes(1000)
        self.store.put("bucket", "one", body, {"Content-Type": "text/x"})
        answer = self.store.rewrite(("bucket", "one"), ("other", "two/2")).json()
        self.assertEqual((answer["done"], answer["objectSize"], answer["totalBytesRewritten"],
                          answer["resource"]["contentType"]), (True, "1000", "1000", "text/x"))
        self.assertEqual(self.store.download("other", "two/2").body, body)
        composed = self.store.compose("bucket", "both", [{"name": "one"}, {"name": "one"}])
        self.assertEqual(composed.status, 200, composed)
        self.assertEqual(self.store.download("bucket", "both").body, 2 * body)
        self.assertEqual("md5Hash" not in composed.json(), self.is_strict)
        self.assertEqual(composed.json().get("componentCount") == 2, self.is_strict)

    def test_resumable(self):
        body = some_bytes(3 * KIB256 + 5)
        session = self.store.start_upload("bucket", {"name": "key", "contentType": "text/x"}).headers["location"]
        for at in (0, KIB256, 2 * KIB256):
            answer = self.store.put_chunk(session, body[at:at + KIB256], f"bytes {at}-{at + KIB256 - 1}/{len(body)}")
            self.assertEqual((answer.status, answer.headers["range"]), (308, f"bytes=0-{at + KIB256 - 1}"))
        answer = self.store.put_chunk(session, body[-5:], f"bytes {3 * KIB256}-{len(body) - 1}/{len(body)}")
        self.assertEqual((answer.status, answer.json()["contentType"]), (200, "text/x"), answer)
        self.assertEqual(self.store.download("bucket", "key").body, body)
        session = self.store.start_upload("bucket", {"name": "cancelled"}).headers["location"]
        self.assertEqual(self.store.request("DELETE", session).status, 499)

    # ---- what differs ----

    def assert_status(self, answer, strict, lax):
        self.assertEqual(answer.status, strict if self.is_strict else lax, answer)

    def test_differences_of_reads(self):
        made = self.store.put("bucket", "key", b"body").json()
        self.assertEqual(made["id"].endswith(made["generation"]), self.is_strict)
        self.assertEqual(made["etag"] != made["md5Hash"], self.is_strict)
        self.assert_status(GcsStore(self.store.endpoint).get("bucket", "key"), 401, 200)
        self.assert_status(self.store.get("bucket", "key", ifGenerationMatch="5"), 412, 200)
        self.assert_status(self.store.download("bucket", "key", ifGenerationMatch="5"), 412, 200)
        self.assertEqual(set(self.store.get("bucket", "key", fields="name").json()) == {"name"}, self.is_strict)
        self.assert_status(self.store.list("bucket", fields="colour"), 400, 200)
        self.assert_status(self.store.list("bucket", colour="red"), 400, 200)
        self.store.put_multipart("bucket", {"name": "meta", "metadata": {"k": "v"}}, b"body")
        headers = self.store.download("bucket", "meta").headers
        self.assertEqual("x-goog-metageneration" in headers, self.is_strict)
        self.assertEqual("x-goog-storage-class" in headers, self.is_strict)
        self.assertEqual("x-goog-meta-k" not in headers, self.is_strict)
        beyond = self.store.download("bucket", "key", {"Range": "bytes=9-"})
        self.assertEqual((beyond.status, beyond.body[:1]), (416, b"{" if self.is_strict else b"<"))

    def test_differences_of_writes(self):
        made = self.store.put_multipart("bucket", {"name": "key", "contentType": "text/resource"}, b"x", "text/part")
        self.assertEqual(made.json()["contentType"] == "text/resource", self.is_strict)
        one, two = ("bucket", "key"), ("other", "key")
        self.assert_status(self.store.rewrite(one, two, ifSourceGenerationMatch="5"), 412, 200)
        self.assert_status(self.store.rewrite(one, two, ifGenerationMatch="7"), 412, 200)
        self.assert_status(self.store.rewrite(one, two, rewriteToken="none"), 400, 200)
        self.assert_status(self.store.put("bucket", "..", b""), 400, 200)
        patched = self.store.patch("bucket", "key", {"metadata": {"k": "v"}}).json()
        self.assertEqual(patched.get("metageneration") == "2", self.is_strict)
        self.assertEqual(self.store.get("bucket", "key").json()["metadata"], {"k": "v"})
        self.store.put("bucket", "gone", b"")
        self.assert_status(self.store.delete("bucket", "key", ifGenerationMatch="5"), 412, 200)
        _, parts = self.store.batch([f"DELETE /storage/v1/b/bucket/o/{quote(key)}" for key in ("gone", "none")])
        self.assertEqual([part[1] for part in parts], [204 if self.is_strict else 200, 404])

    def test_differences_of_uploads(self):
        body = some_bytes(2 * KIB256)
        session = self.store.start_upload("bucket", {"name": "key"}).headers["location"]
        self.assert_status(self.store.put_chunk(session, body[:5], f"bytes 0-4/{len(body)}"), 400, 308)
        session = self.store.start_upload("bucket", {"name": "key"}).headers["location"]
        self.store.put_chunk(session, body[:KIB256], f"bytes 0-{KIB256 - 1}/{len(body)}")
        self.assert_status(self.store.put_chunk(session, b"", f"bytes */{len(body)}"), 308, 200)
        self.assert_status(self.store.put_chunk(session, body[KIB256:], f"bytes {KIB256}-{len(body) - 1}/{len(body)}"),
                           200, 404)


class FakeGcsServerSession(OriginSession):
    is_strict = False

    def connect(self):
        server = FakeGcsServer()
        self.addCleanup(server.stop)
        return GcsStore(server.endpoint, "any-token")


if __name__ == "__main__":
    scenario.main()
