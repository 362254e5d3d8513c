"""origin's dialect of Google Cloud Storage (the JSON API), by plain HTTP: each operation, and each refusal that the
real service makes and that a client must be able to count on."""

import base64
import gzip
import hashlib
import json
import os
import sys
import time

import crcmod.predefined

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from gcs_store import GcsStore, quote
from scenario import some_bytes

KIB256 = 256 << 10


def crc32c(body):
    return base64.b64encode(crcmod.predefined.mkCrcFun("crc-32c")(body).to_bytes(4, "big")).decode()


def md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


class Gcs(scenario.Scenario):
    arguments = ()

    def setUp(self):
        super().setUp()
        self.server = self.origin(*self.arguments, buckets=("bucket", "other"), log=True)
        self.store = GcsStore(self.server.endpoint)

    def put(self, key, body=b"body", **query):
        answer = self.store.put("bucket", key, body, {"Content-Type": "text/plain"}, **query)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def assert_refused(self, answer, status, reason):
        self.assertEqual(answer.status, status, answer)
        error = answer.json()["error"]
        self.assertEqual(error["code"], status)
        self.assertTrue(error["message"])
        self.assertEqual(error["errors"][0]["reason"], reason, answer)
        self.assertTrue(error["errors"][0]["domain"] in ("global", "usageLimits"))


class Objects(Gcs):
    def test_a_resource_has_what_google_says(self):
        body = some_bytes(1000)
        made = self.put("a/b c", body)
        self.assertEqual(made["kind"], "storage#object")
        self.assertEqual(made["name"], "a/b c")
        self.assertEqual(made["bucket"], "bucket")
        self.assertEqual(made["size"], "1000")
        self.assertEqual(made["md5Hash"], md5(body))
        self.assertEqual(made["crc32c"], crc32c(body))
        self.assertEqual(made["metageneration"], "1")
        self.assertEqual(made["contentType"], "text/plain")
        self.assertEqual(made["storageClass"], "STANDARD")
        self.assertEqual(made["id"], f"bucket/a/b c/{made['generation']}")
        self.assertEqual(made["timeCreated"], made["updated"])
        self.assertLess(abs(int(made["generation"]) / 1e6 - time.time()), 60)
        self.assertTrue(made["selfLink"].endswith("/storage/v1/b/bucket/o/a%2Fb%20c"))
        self.assertEqual(self.store.get("bucket", "a/b c").json(), made)
        # Protocol buffer: field 1 the generation, field 2 the metageneration.
        etag = base64.b64decode(made["etag"])
        generation, shift = 0, 0
        for byte in etag[1:-2]:
            generation |= (byte & 127) << shift
            shift += 7
        self.assertEqual((etag[0], str(generation), etag[-2:]), (8, made["generation"], b"\x10\x01"))
        media = self.store.request("GET", made["mediaLink"])
        self.assertEqual(media.body, body)

    def test_generations_grow(self):
        last = 0
        for number in range(50):
            generation = int(self.put(f"key-{number % 2}")["generation"])
            self.assertGreater(generation, last)
            last = generation

    def test_s3_and_gcs_are_one_store(self):
        bucket = self.server.bucket("bucket")
        bucket.put("of-s3", b"from S3", ContentType="image/png", Metadata={"one": "1"}, CacheControl="no-cache")
        seen = self.store.get("bucket", "of-s3").json()
        self.assertEqual((seen["contentType"], seen["metadata"], seen["cacheControl"], seen["crc32c"]),
                         ("image/png", {"one": "1"}, "no-cache", crc32c(b"from S3")))
        bucket.put_parts("parts", some_bytes(6 << 20), 5 << 20)
        parts = self.store.get("bucket", "parts").json()
        self.assertNotIn("md5Hash", parts)
        self.assertEqual(parts["size"], str(6 << 20))
        self.store.put_multipart("bucket", {"name": "of-gcs", "contentType": "text/x", "metadata": {"Key": "v"}}, b"x")
        head = bucket.head("of-gcs")
        self.assertEqual((head["ContentType"], head["Metadata"], head["ETag"]),
                         ("text/x", {"Key": "v"}, f'"{hashlib.md5(b"x").hexdigest()}"'))
        self.assertEqual(bucket.get("of-gcs"), b"x")
        # A patch is the object's own: a copy begins anew.
        self.store.patch("bucket", "of-gcs", {"metadata": {"more": "1"}})
        bucket._client.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/of-gcs")
        copy = self.store.get("bucket", "copy").json()
        self.assertEqual((copy["metageneration"], copy["metadata"]), ("1", {"Key": "v", "more": "1"}))

    def test_buckets(self):
        got = self.store.request("GET", "/storage/v1/b/bucket").json()
        self.assertEqual((got["kind"], got["name"], got["location"], got["storageClass"]),
                         ("storage#bucket", "bucket", "US", "STANDARD"))
        self.assertTrue(got["projectNumber"].isdigit())
        masked = self.store.request("GET", "/storage/v1/b/bucket?fields=location,projectNumber").json()
        self.assertEqual(set(masked), {"location", "projectNumber"})
        self.assert_refused(self.store.request("GET", "/storage/v1/b/nowhere"), 404, "notFound")
        self.assertEqual(self.store.make_bucket("made-here").status, 200)
        self.assert_refused(self.store.make_bucket("made-here"), 409, "conflict")
        self.assert_refused(self.store.make_bucket("NO"), 400, "invalid")

    def test_conditions_of_reads(self):
        generation = self.put("key")["generation"]
        for ask in (self.store.get, self.store.download):
            self.assertEqual(ask("bucket", "key", ifGenerationMatch=generation).status, 200)
            self.assert_refused(ask("bucket", "key", ifGenerationMatch="1"), 412, "conditionNotMet")
            self.assert_refused(ask("bucket", "key", ifMetagenerationMatch="2"), 412, "conditionNotMet")
            unchanged = ask("bucket", "key", ifGenerationNotMatch=generation)
            self.assertEqual((unchanged.status, unchanged.body), (304, b""))
            self.assertEqual(ask("bucket", "key", ifMetagenerationNotMatch="1").status, 304)
            self.assertEqual(ask("bucket", "key", generation=generation).status, 200)
            self.assert_refused(ask("bucket", "key", generation="1"), 404, "notFound")
            self.assert_refused(ask("bucket", "missing"), 404, "notFound")

    def test_delete(self):
        generation = self.put("key")["generation"]
        self.assert_refused(self.store.delete("bucket", "key", ifGenerationMatch="1"), 412, "conditionNotMet")
        self.assertEqual(self.store.delete("bucket", "key", ifGenerationMatch=generation).status, 204)
        self.assert_refused(self.store.delete("bucket", "key"), 404, "notFound")

    def test_patch(self):
        made = self.store.put_multipart(
            "bucket", {"name": "key", "metadata": {"a": "1", "b": "2"}, "cacheControl": "no-store"}, b"x").json()
        patched = self.store.patch("bucket", "key", {"metadata": {"a": None, "c": "3"}, "cacheControl": None,
                                                     "contentLanguage": "de"}).json()
        self.assertEqual((patched["metadata"], patched["metageneration"], patched["contentLanguage"]),
                         ({"b": "2", "c": "3"}, "2", "de"))
        self.assertNotIn("cacheControl", patched)
        self.assertEqual(patched["generation"], made["generation"])
        self.assertGreaterEqual(patched["updated"], made["updated"])
        self.assertNotEqual(patched["etag"], made["etag"])
        self.assert_refused(self.store.patch("bucket", "key", {"metadata": None}, ifMetagenerationMatch="1"),
                            412, "conditionNotMet")
        gone = self.store.patch("bucket", "key", {"metadata": None}, ifMetagenerationMatch="2").json()
        self.assertNotIn("metadata", gone)
        self.assertEqual(gone["metageneration"], "3")
        self.assert_refused(self.store.patch("bucket", "key", {"colour": "red"}), 400, "invalid")
        self.assert_refused(self.store.patch("bucket", "key", {"storageClass": "NEARLINE"}), 400, "invalid")
        self.assert_refused(self.store.patch("bucket", "key", {"temporaryHold": True}), 501, "notImplemented")

    def test_compose(self):
        one, two = some_bytes(1000, 1), some_bytes(70000, 2)
        generation = self.put("one", one)["generation"]
        self.put("two", two)
        made = self.store.compose("bucket", "both", [{"name": "one", "generation": generation}, {"name": "two"}],
                                  {"contentType": "text/x", "metadata": {"k": "v"}})
        self.assertEqual(made.status, 200, made)
        made = made.json()
        self.assertEqual((made["componentCount"], made["crc32c"], made["size"], made["contentType"]),
                         (2, crc32c(one + two), "71000", "text/x"))
        self.assertNotIn("md5Hash", made)
        self.assertEqual(self.store.download("bucket", "both").body, one + two)
        self.assertNotIn("md5", self.store.download("bucket", "both").headers["x-goog-hash"])
        self.assertEqual(self.store.compose("bucket", "more", [{"name": "both"}, {"name": "one"}]).json()
                         ["componentCount"], 3)
        self.assert_refused(self.store.compose("bucket", "both", [{"name": "one"}], ifGenerationMatch="0"),
                            412, "conditionNotMet")
        self.assert_refused(self.store.compose("bucket", "x", []), 400, "invalid")
        self.assert_refused(self.store.compose("bucket", "x", 33 * [{"name": "one"}]), 400, "invalid")
        self.assert_refused(self.store.compose("bucket", "x", [{"name": "nothing"}]), 404, "notFound")
        self.assert_refused(self.store.compose("bucket", "x", [{"name": "one", "generation": "1"}]), 404, "notFound")
        self.assert_refused(self.store.compose(
            "bucket", "x", [{"name": "one", "objectPreconditions": {"ifGenerationMatch": "1"}}]), 412,
            "conditionNotMet")
        self.assert_refused(self.store.compose("bucket", "x", [{"name": "one", "colour": 1}]), 400, "invalid")

    def test_names(self):
        for name in ("a/b", "/", "a//b", " ", "ä/😀", "a?b#c%2F", "...", "./a", "+", "x" * 1024, "\x01"):
            self.put(name, name.encode())
            self.assertEqual(self.store.download("bucket", name).body, name.encode(), repr(name))
            self.assertEqual(self.store.get("bucket", name).json()["name"], name)
        for name in (".", "..", "a\nb", "a\rb", "x" * 1025):
            self.assert_refused(self.store.put("bucket", name, b""), 400, "invalid")
            self.assert_refused(self.store.get("bucket", name), 400, "invalid")
        self.assert_refused(self.store.request("GET", "/storage/v1/b/bucket/o/%FF"), 400, "invalid")
        self.assert_refused(self.store.request("GET", "/storage/v1/b/bucket/o/%2"), 400, "invalid")
        # A slash that is not escaped is another path.
        self.assert_refused(self.store.request("GET", "/storage/v1/b/bucket/o/a/b"), 404, "notFound")

    def test_metadata_of_any_text(self):
        odd = {"Key": "värde", "a key": "1", "line": "1\n2\r3", "percent%41": "50%"}
        made = self.store.put_multipart("bucket", {"name": "key", "metadata": odd}, b"")
        self.assertEqual(made.json()["metadata"], odd)
        self.assertEqual(self.store.rewrite(("bucket", "key"), ("other", "key")).json()["resource"]["metadata"], odd)
        patched = self.store.patch("bucket", "key", {"metadata": {"line": None}}).json()
        self.assertEqual(patched["metadata"], {name: odd[name] for name in odd if name != "line"})
        self.assertEqual(self.server.bucket("bucket").get("key"), b"")
        self.assert_refused(self.store.put_multipart("bucket", {"name": "k", "metadata": {"a": 1}}, b""),
                            400, "invalid")
        self.assert_refused(self.store.put_multipart("bucket", {"name": "k", "metadata": {"a": 9000 * "x"}}, b""),
                            400, "invalid")


class Downloads(Gcs):
    def test_headers(self):
        body = some_bytes(5000)
        made = self.store.put_multipart(
            "bucket", {"name": "key", "contentType": "text/x", "contentLanguage": "de", "metadata": {"k": "v"},
                       "cacheControl": "max-age=5", "contentDisposition": "inline"}, body).json()
        for path in ("/storage/v1/b/bucket/o/key?alt=media", "/download/storage/v1/b/bucket/o/key?alt=media"):
            got = self.store.request("GET", path)
            self.assertEqual((got.status, got.body), (200, body))
            expected = {
                "content-type": "text/x", "content-language": "de", "cache-control": "max-age=5",
                "content-disposition": "inline", "etag": made["etag"], "x-goog-generation": made["generation"],
                "x-goog-metageneration": "1", "x-goog-stored-content-length": "5000",
                "x-goog-stored-content-encoding": "identity", "x-goog-storage-class": "STANDARD",
                "x-goog-hash": f"crc32c={crc32c(body)},md5={md5(body)}", "content-length": "5000"}
            self.assertEqual({name: got.headers.get(name) for name in expected}, expected)
            self.assertEqual([name for name in got.headers if "-meta-" in name], [])
        plain = self.put("plain")
        got = self.store.download("bucket", "plain").headers
        self.assertEqual((got["content-disposition"], got["x-goog-generation"]), ("attachment", plain["generation"]))
        self.assertIn("no-store", got["cache-control"])

    def test_ranges(self):
        body = some_bytes(1000)
        self.put("key", body)
        for text, expected, told in (("bytes=0-9", body[:10], "bytes 0-9/1000"),
                                     ("bytes=990-2000", body[990:], "bytes 990-999/1000"),
                                     ("bytes=500-", body[500:], "bytes 500-999/1000"),
                                     ("bytes=-1", body[-1:], "bytes 999-999/1000")):
            got = self.store.download("bucket", "key", {"Range": text})
            self.assertEqual((got.status, got.body, got.headers["content-range"]), (206, expected, told))
            # The digest is that of the object.
            self.assertIn(crc32c(body), got.headers["x-goog-hash"])
        beyond = self.store.download("bucket", "key", {"Range": "bytes=1000-"})
        self.assert_refused(beyond, 416, "requestedRangeNotSatisfiable")
        self.assertEqual(beyond.headers["content-range"], "bytes */1000")

    def test_transcoding(self):
        body = some_bytes(300000)[:1000] * 300
        stored = gzip.compress(body)
        made = self.store.put_multipart("bucket", {"name": "key", "contentEncoding": "gzip"}, stored).json()
        self.assertEqual((made["size"], made["md5Hash"]), (str(len(stored)), md5(stored)))
        plain = self.store.download("bucket", "key", {"Range": "bytes=0-9"})
        self.assertEqual((plain.status, plain.body), (200, body), "ranges of decoded objects are passed over")
        self.assertNotIn("content-encoding", plain.headers)
        self.assertEqual((plain.headers["x-goog-stored-content-encoding"],
                          plain.headers["x-goog-stored-content-length"]), ("gzip", str(len(stored))))
        self.assertIn(crc32c(stored), plain.headers["x-goog-hash"])
        raw = self.store.download("bucket", "key", {"Accept-Encoding": "gzip"})
        self.assertEqual((raw.body, raw.headers["content-encoding"]), (stored, "gzip"))
        part = self.store.download("bucket", "key", {"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
        self.assertEqual((part.status, part.body), (206, stored[:10]))
        self.store.put_multipart("bucket", {"name": "keep", "contentEncoding": "gzip",
                                            "cacheControl": "no-transform"}, stored)
        self.assertEqual(self.store.download("bucket", "keep").body, stored)
        self.store.put("bucket", "no-gzip", b"plain", contentEncoding="gzip")
        self.assertEqual(self.store.download("bucket", "no-gzip").body, b"plain")


class Listings(Gcs):
    def setUp(self):
        super().setUp()
        self.names = sorted(("a", "a/", "a/1", "a/2", "a/b/1", "b", "b/1", "c", "d/x/y"))
        for name in self.names:
            self.put(name, name.encode())

    def test_offsets_and_prefixes(self):
        self.assertEqual(self.store.keys("bucket"), self.names)
        self.assertEqual(self.store.keys("bucket", startOffset="a/2"), self.names[self.names.index("a/2"):])
        self.assertEqual(self.store.keys("bucket", endOffset="b"), [name for name in self.names if name < "b"])
        self.assertEqual(self.store.keys("bucket", startOffset="a/", endOffset="a/2"), ["a/", "a/1"])
        self.assertEqual(self.store.keys("bucket", prefix="a/", startOffset="a/2"), ["a/2", "a/b/1"])
        self.assertEqual(self.store.keys("bucket", prefix="nothing"), [])
        self.assertEqual(self.store.list("bucket", prefix="nothing").json(), {"kind": "storage#objects"})
        self.assert_refused(self.store.list("nowhere"), 404, "notFound")

    def test_delimiters(self):
        got = self.store.list("bucket", delimiter="/").json()
        self.assertEqual([item["name"] for item in got["items"]], ["a", "b", "c"])
        self.assertEqual(got["prefixes"], ["a/", "b/", "d/"])
        got = self.store.list("bucket", delimiter="/", prefix="a/").json()
        self.assertEqual([item["name"] for item in got["items"]], ["a/", "a/1", "a/2"])
        self.assertEqual(got["prefixes"], ["a/b/"])
        got = self.store.list("bucket", delimiter="/", includeTrailingDelimiter="true").json()
        self.assertEqual([item["name"] for item in got["items"]], ["a", "a/", "b", "c"])
        self.assertEqual(got["prefixes"], ["a/", "b/", "d/"])

    def test_pages(self):
        for size in (1, 2, 3, 8):
            self.assertEqual(self.store.keys("bucket", maxResults=size), self.names)
            seen, prefixes, token = [], [], None
            while True:
                page = self.store.list("bucket", delimiter="/", maxResults=size, pageToken=token).json()
                self.assertLessEqual(len(page.get("items", [])) + len(page.get("prefixes", [])), size)
                seen += [item["name"] for item in page.get("items", [])]
                prefixes += page.get("prefixes", [])
                token = page.get("nextPageToken")
                if not token:
                    break
            self.assertEqual((seen, prefixes), (["a", "b", "c"], ["a/", "b/", "d/"]))
        self.assertEqual(self.store.keys("bucket", maxResults=5000), self.names)
        self.assert_refused(self.store.list("bucket", maxResults=0), 400, "invalidParameter")
        self.assert_refused(self.store.list("bucket", pageToken="nonsense"), 400, "invalidParameter")

    def test_a_page_has_a_thousand_at_most(self):
        server = self.origin("--fill", "many:2500:100:flat")
        store = GcsStore(server.endpoint)
        page = store.list("many", maxResults=5000, fields="items(name,size,crc32c,md5Hash),nextPageToken").json()
        self.assertEqual(len(page["items"]), 1000)
        self.assertEqual(len(store.keys("many")), 2500)
        item = page["items"][7]
        body = store.download("many", item["name"]).body
        self.assertEqual((item["size"], item["crc32c"], item["md5Hash"]), ("100", crc32c(body), md5(body)))

    def test_fields(self):
        got = self.store.list("bucket", fields="items(name,size),nextPageToken", maxResults=2).json()
        self.assertEqual(set(got), {"items", "nextPageToken"})
        self.assertEqual(got["items"], [{"name": "a", "size": "1"}, {"name": "a/", "size": "2"}])
        self.assertEqual(self.store.list("bucket", fields="items/name", maxResults=1).json(),
                         {"items": [{"name": "a"}]})
        self.assertEqual(self.store.list("bucket", fields="prefixes", delimiter="/").json(),
                         {"prefixes": ["a/", "b/", "d/"]})
        self.assertEqual(self.store.list("bucket", fields="*").json(), self.store.list("bucket").json())
        self.assertEqual(self.store.get("bucket", "a", fields="md5Hash,name").json(),
                         {"md5Hash": md5(b"a"), "name": "a"})
        for wrong in ("colour", "items(colour)", "items(name", "items(name))", "", "items,,kind", "items/colour",
                      "nextPageToken/x"):
            answer = self.store.request("GET", "/storage/v1/b/bucket/o", query={"fields": wrong})
            self.assert_refused(answer, 400, "invalidParameter")
            self.assertEqual(answer.json()["error"]["errors"][0]["location"], "fields")

    def test_unknown_parameters(self):
        self.assert_refused(self.store.list("bucket", colour="red"), 400, "invalidParameter")
        self.assert_refused(self.store.get("bucket", "a", prefix="x"), 400, "invalidParameter")
        self.assert_refused(self.store.get("bucket", "a", ifGenerationMatch="x"), 400, "invalidParameter")
        self.assert_refused(self.store.list("bucket", projection="some"), 400, "invalidParameter")
        self.assert_refused(self.store.list("bucket", includeTrailingDelimiter="1"), 400, "invalidParameter")
        self.assert_refused(self.store.request("GET", "/storage/v1/b/bucket/o?prefix=a&prefix=b"), 400,
                            "invalidParameter")
        self.assert_refused(self.store.request("GET", "/storage/v1/objects"), 404, "notFound")
        self.assert_refused(self.store.request("POST", "/storage/v1/b/bucket/o"), 405, "httpMethodNotAllowed")
        self.assertEqual(self.store.list("bucket", prettyPrint="false", alt="json", quotaUser="me").status, 200)


class Inserts(Gcs):
    def test_media(self):
        made = self.store.put("bucket", "key", b"x")
        self.assertEqual(made.json()["contentType"], "application/octet-stream")
        self.assertEqual(self.store.put("bucket", "key", b"x", contentEncoding="br").json()["contentEncoding"], "br")
        self.assertEqual(self.store.put("bucket", "key", b"x", fields="name").json(), {"name": "key"})
        self.assert_refused(self.store.put("bucket", None, b"x"), 400, "required")
        self.assert_refused(self.store.put("nowhere", "key", b"x"), 404, "notFound")
        self.assert_refused(self.store.put("bucket", "key", b"x", uploadType="other"), 400, "invalidParameter")
        self.assert_refused(self.store.put("bucket", "key", b"x", colour="red"), 400, "invalidParameter")

    def test_create_only(self):
        self.assertEqual(self.store.put("bucket", "key", b"1", ifGenerationMatch="0").status, 200)
        self.assert_refused(self.store.put("bucket", "key", b"2", ifGenerationMatch="0"), 412, "conditionNotMet")
        generation = self.store.get("bucket", "key").json()["generation"]
        self.assert_refused(self.store.put("bucket", "key", b"2", ifGenerationMatch="7"), 412, "conditionNotMet")
        self.assert_refused(self.store.put("bucket", "key", b"2", ifGenerationNotMatch=generation), 412,
                            "conditionNotMet")
        self.assertEqual(self.store.download("bucket", "key").body, b"1")
        self.assertEqual(self.store.put("bucket", "key", b"2", ifGenerationMatch=generation).status, 200)

    def test_multipart(self):
        body = some_bytes(100000) + b"\r\n--a-boundar\r\n--\r\n"
        resource = {"name": "key", "contentType": "text/a", "cacheControl": "no-cache",
                    "contentDisposition": "inline", "contentLanguage": "de", "contentEncoding": "x",
                    "storageClass": "NEARLINE", "metadata": {"A": "b"}, "md5Hash": md5(body), "crc32c": crc32c(body)}
        made = self.store.put_multipart("bucket", resource, body)
        self.assertEqual(made.status, 200, made)
        self.assertEqual({name: made.json()[name] for name in resource}, resource)
        self.assertEqual(self.store.download("bucket", "key").body, body)
        self.assertEqual(self.store.put_multipart("bucket", {"name": "key"}, b"", "text/b").json()["contentType"],
                         "text/b")
        self.assertEqual(self.store.put_multipart("bucket", {"name": "x"}, b"", name="y").json()["name"], "y")
        self.assert_refused(self.store.put_multipart("bucket", {}, b""), 400, "required")
        self.assert_refused(self.store.put_multipart("bucket", {"name": "key", "colour": 1}, b""), 400, "invalid")
        self.assert_refused(self.store.put_multipart("bucket", {"name": "key", "storageClass": "GOLD"}, b""), 400,
                            "invalid")
        for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "multipart/related"},
                        {"Content-Type": "multipart/related; boundary=another"}):
            self.assert_refused(self.store.put_multipart("bucket", {"name": "key"}, b"", headers=headers), 400,
                                "badContent")

    def test_digests(self):
        for wrong in ({"md5Hash": md5(b"y")}, {"crc32c": crc32c(b"y")}, {"crc32c": "AAAA"}, {"md5Hash": "x"}):
            self.assert_refused(self.store.put_multipart("bucket", {"name": "key", **wrong}, b"x"), 400, "invalid")
        for wrong in (f"md5={md5(b'y')}", f"crc32c={crc32c(b'y')}", f"crc32c={crc32c(b'x')},md5={md5(b'y')}", "sha=1"):
            self.assert_refused(self.store.put("bucket", "key", b"x", {"X-Goog-Hash": wrong}), 400, "invalid")
        self.assertEqual(self.store.keys("bucket"), [])
        right = f"crc32c={crc32c(b'x')},md5={md5(b'x')}"
        self.assertEqual(self.store.put("bucket", "key", b"x", {"X-Goog-Hash": right}).status, 200)


class Resumable(Gcs):
    def start(self, resource=None, headers=None, **query):
        answer = self.store.start_upload("bucket", resource or {"name": "key"}, headers, **query)
        self.assertEqual((answer.status, answer.body), (200, b""), answer)
        return answer.headers["location"]

    def test_chunks(self):
        body = some_bytes(3 * KIB256 + 17)
        session = self.start({"name": "key", "contentType": "text/x", "metadata": {"k": "v"}})
        first = self.store.put_chunk(session, body[:KIB256], f"bytes 0-{KIB256 - 1}/{len(body)}")
        self.assertEqual((first.status, first.headers["range"]), (308, f"bytes=0-{KIB256 - 1}"))
        state = self.store.put_chunk(session, b"", f"bytes */{len(body)}")
        self.assertEqual((state.status, state.headers["range"]), (308, f"bytes=0-{KIB256 - 1}"))
        # What is there already is passed over.
        again = self.store.put_chunk(session, body[:2 * KIB256], f"bytes 0-{2 * KIB256 - 1}/{len(body)}")
        self.assertEqual(again.headers["range"], f"bytes=0-{2 * KIB256 - 1}")
        last = self.store.put_chunk(session, body[2 * KIB256:], f"bytes {2 * KIB256}-{len(body) - 1}/{len(body)}")
        self.assertEqual(last.status, 200, last)
        made = last.json()
        self.assertEqual((made["md5Hash"], made["crc32c"], made["contentType"], made["metadata"]),
                         (md5(body), crc32c(body), "text/x", {"k": "v"}))
        self.assertEqual(self.store.download("bucket", "key").body, body)
        for content_range in (f"bytes */{len(body)}", "bytes */*"):
            self.assertEqual(self.store.put_chunk(session, b"", content_range).json(), made)

    def test_a_size_that_is_known_last(self):
        body = some_bytes(2 * KIB256)
        session = self.start()
        state = self.store.put_chunk(session, b"", "bytes */*")
        self.assertEqual((state.status, state.headers.get("range")), (308, None))
        self.assertEqual(self.store.put_chunk(session, body, f"bytes 0-{len(body) - 1}/*").status, 308)
        self.assertEqual(self.store.put_chunk(session, b"", f"bytes */{len(body)}").status, 200)
        self.assertEqual(self.store.download("bucket", "key").body, body)

    def test_in_one_request(self):
        self.assertEqual(self.store.put_chunk(self.start(), b"whole").status, 200)
        self.assertEqual(self.store.put_chunk(self.start({"name": "empty"}), b"").status, 200)
        self.assertEqual(self.store.put_chunk(self.start({"name": "zero"}), b"", "bytes */0").status, 200)
        self.assertEqual([self.store.get("bucket", key).json()["size"] for key in ("key", "empty", "zero")],
                         ["5", "0", "0"])
        named = self.start({}, name="by-parameter", fields="name")
        self.assertEqual(self.store.put_chunk(named, b"x").json(), {"name": "by-parameter"})

    def test_refusals(self):
        session = self.start()
        for size in (1, KIB256 - 1, KIB256 + 1):
            answer = self.store.put_chunk(session, some_bytes(size), f"bytes 0-{size - 1}/1000000")
            self.assert_refused(answer, 400, "invalid")
        self.assertEqual(self.store.put_chunk(session, some_bytes(KIB256), f"bytes 0-{KIB256 - 1}/1000000").status, 308)
        gap = self.store.put_chunk(session, some_bytes(KIB256), f"bytes {2 * KIB256}-{3 * KIB256 - 1}/1000000")
        self.assert_refused(gap, 503, "backendError")
        other = self.store.put_chunk(session, some_bytes(KIB256), f"bytes {KIB256}-{2 * KIB256 - 1}/1000001")
        self.assert_refused(other, 400, "invalid")
        for wrong in ("bytes 0-1", "0-1/2", "bytes x-1/2", f"bytes 0-{KIB256}/1000000", "bytes 5-4/1000000"):
            self.assert_refused(self.store.put_chunk(session, some_bytes(KIB256), wrong), 400, "invalid")
        self.assert_refused(self.store.put_chunk(session[:-1] + "z", b"", "bytes */*"), 404, "notFound")
        announced = self.start(headers={"X-Upload-Content-Length": "5", "X-Upload-Content-Type": "text/y"})
        self.assert_refused(self.store.put_chunk(announced, b"6bytes"), 400, "invalid")
        self.assertEqual(self.store.put_chunk(announced, b"5byte").json()["contentType"], "text/y")
        self.assert_refused(self.store.start_upload("bucket", {}), 400, "required")
        self.assert_refused(self.store.start_upload("bucket", {"name": "x", "colour": 1}), 400, "invalid")
        self.assert_refused(self.store.start_upload("nowhere", {"name": "x"}), 404, "notFound")

    def test_cancel(self):
        session = self.start()
        self.store.put_chunk(session, some_bytes(KIB256), f"bytes 0-{KIB256 - 1}/*")
        self.assertEqual(self.store.request("DELETE", session).status, 499)
        self.assertEqual(self.store.put_chunk(session, b"", "bytes */*").status, 499)
        self.assertEqual(self.store.keys("bucket"), [])

    def test_conditions_hold_at_the_end(self):
        session = self.start(ifGenerationMatch="0")
        self.put("key", b"another's")
        self.assert_refused(self.store.put_chunk(session, b"mine"), 412, "conditionNotMet")
        self.assert_refused(self.store.start_upload("bucket", {"name": "key"}, ifGenerationMatch="0"), 412,
                            "conditionNotMet")
        self.assertEqual(self.store.download("bucket", "key").body, b"another's")

    def test_digests(self):
        self.assert_refused(self.store.put_chunk(self.start({"name": "key", "crc32c": crc32c(b"y")}), b"x"), 400,
                            "invalid")
        self.assert_refused(self.store.put_chunk(self.start(), b"x", headers={"X-Goog-Hash": f"md5={md5(b'y')}"}), 400,
                            "invalid")
        session = self.start({"name": "key", "crc32c": crc32c(b"x"), "md5Hash": md5(b"x")})
        self.assertEqual(self.store.put_chunk(session, b"x").status, 200)


class Rewrites(Gcs):
    arguments = ("--gcs-rewrite-bytes", "1M")

    def test_the_loop(self):
        body = some_bytes((3 << 20) + 5)
        source = self.put("source", body)
        calls, token = 0, None
        while True:
            answer = self.store.rewrite(("bucket", "source"), ("other", "target"), rewriteToken=token,
                                        ifSourceGenerationMatch=source["generation"])
            self.assertEqual(answer.status, 200, answer)
            answer, calls = answer.json(), calls + 1
            self.assertEqual((answer["kind"], answer["objectSize"], answer["totalBytesRewritten"]),
                             ("storage#rewriteResponse", str(len(body)), str(min(calls << 20, len(body)))))
            if answer["done"]:
                break
            self.assertNotIn("resource", answer)
            token = answer["rewriteToken"]
            self.assert_refused(self.store.get("other", "target"), 404, "notFound")
        self.assertEqual(calls, 4)
        self.assertNotIn("rewriteToken", answer)
        self.assertEqual((answer["resource"]["bucket"], answer["resource"]["name"], answer["resource"]["crc32c"],
                          answer["resource"]["contentType"]), ("other", "target", source["crc32c"], "text/plain"))
        self.assertGreater(int(answer["resource"]["generation"]), int(source["generation"]))
        self.assertEqual(self.store.download("other", "target").body, body)
        # The token is spent.
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("other", "target"), rewriteToken=token), 400,
                            "invalidParameter")

    def test_tokens(self):
        self.put("source", some_bytes(3 << 20))
        token = self.store.rewrite(("bucket", "source"), ("other", "target")).json()["rewriteToken"]
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("other", "target"), rewriteToken="x"), 400,
                            "invalidParameter")
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("other", "else"), rewriteToken=token), 400,
                            "invalidParameter")
        self.put("source", some_bytes(3 << 20, 1))
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("other", "target"), rewriteToken=token), 412,
                            "conditionNotMet")

    def test_metadata(self):
        self.store.put_multipart("bucket", {"name": "source", "metadata": {"a": "1"}, "cacheControl": "x"}, b"1")
        kept = self.store.rewrite(("bucket", "source"), ("bucket", "kept"), {}).json()["resource"]
        self.assertEqual((kept["metadata"], kept["cacheControl"]), ({"a": "1"}, "x"))
        new = self.store.rewrite(("bucket", "source"), ("bucket", "new"), {
            "contentType": "text/new", "storageClass": "COLDLINE", "metadata": {"b": "2"}}).json()["resource"]
        self.assertEqual((new["metadata"], new["contentType"], new["storageClass"], new.get("cacheControl")),
                         ({"b": "2"}, "text/new", "COLDLINE", None))
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("bucket", "x"), {"metadata": {}}), 400, "required")
        self.assert_refused(self.store.rewrite(("bucket", "source"), ("bucket", "x"), {"colour": 1}), 400, "invalid")
        # The metadata of the first call hold for the last one.
        self.put("large", some_bytes(2 << 20))
        token = self.store.rewrite(("bucket", "large"), ("bucket", "x"), {"contentType": "text/1"}).json()["rewriteToken"]
        done = self.store.rewrite(("bucket", "large"), ("bucket", "x"), rewriteToken=token).json()
        self.assertEqual(done["resource"]["contentType"], "text/1")

    def test_conditions(self):
        generation = self.put("source")["generation"]
        self.put("target")
        one, two = ("bucket", "source"), ("bucket", "target")
        self.assert_refused(self.store.rewrite(one, two, ifGenerationMatch="0"), 412, "conditionNotMet")
        self.assert_refused(self.store.rewrite(one, two, ifSourceGenerationMatch="5"), 412, "conditionNotMet")
        self.assert_refused(self.store.rewrite(one, two, ifSourceMetagenerationMatch="2"), 412, "conditionNotMet")
        self.assert_refused(self.store.rewrite(one, two, sourceGeneration="5"), 404, "notFound")
        self.assert_refused(self.store.rewrite(("bucket", "none"), two), 404, "notFound")
        self.assert_refused(self.store.rewrite(one, ("nowhere", "x")), 404, "notFound")
        self.assert_refused(self.store.rewrite(one, two, maxBytesRewrittenPerCall="5"), 400, "invalidParameter")
        self.assertEqual(self.store.rewrite(one, two, sourceGeneration=generation, fields="done").json(), {"done": True})

    def test_composed_objects_stay_without_md5(self):
        self.put("a", b"1")
        self.store.compose("bucket", "both", [{"name": "a"}, {"name": "a"}])
        copy = self.store.rewrite(("bucket", "both"), ("other", "both")).json()["resource"]
        self.assertNotIn("md5Hash", copy)
        self.assertEqual(copy["crc32c"], crc32c(b"11"))


class Batches(Gcs):
    def test_deletes(self):
        for key in ("a/1", "b"):
            self.put(key)
        generation = self.put("c")["generation"]
        lines = [f"DELETE /storage/v1/b/bucket/o/{quote(key)}" for key in ("a/1", "b", "missing")]
        lines += ["DELETE /storage/v1/b/bucket/o/c?ifGenerationMatch=1", "GET /storage/v1/b/bucket/o/c",
                  "GET /storage/v1/b/bucket/o/c?alt=media", "DELETE /bucket/c"]
        answer, parts = self.store.batch(lines)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual([identity for identity, _, _ in parts], [f"<response-id+{i}>" for i in range(len(lines))])
        self.assertEqual([status for _, status, _ in parts], [204, 204, 404, 412, 200, 400, 400])
        self.assertEqual(json.loads(parts[4][2])["generation"], generation)
        self.assertEqual(json.loads(parts[2][2])["error"]["code"], 404)
        self.assertEqual(self.store.keys("bucket"), ["c"])
        counts = self.server.statistics()
        self.assertEqual((counts["batch"], counts["objects.delete"]), (1, 4))

    def test_limits(self):
        line = "DELETE /storage/v1/b/bucket/o/x"
        self.assertEqual(len(self.store.batch(100 * [line])[1]), 100)
        self.assert_refused(self.store.batch(101 * [line])[0], 400, "invalid")
        self.assert_refused(self.store.batch([])[0], 400, "invalid")
        self.assert_refused(self.store.batch([line], {"Content-Type": "text/plain"})[0], 400, "invalid")
        self.assert_refused(self.store.batch([line], {"Content-Type": "multipart/mixed; boundary=other"})[0], 400,
                            "invalid")


class Rights(Gcs):
    arguments = ("--gcs-token", "first-token", "--gcs-requester-pays", "other", "--deny", "bucket/secret/")

    def set_tokens(self, *lines):
        self.server._put("/?origin-gcs-tokens", "".join(line + "\n" for line in lines).encode())

    def test_tokens(self):
        anonymous = self.store.list("bucket")
        self.assert_refused(anonymous, 401, "required")
        self.assertIn("www-authenticate", anonymous.headers)
        wrong = GcsStore(self.server.endpoint, "another")
        self.assert_refused(wrong.list("bucket"), 401, "authError")
        self.assert_refused(wrong.batch(["GET /storage/v1/b/bucket"])[0], 401, "authError")
        right = GcsStore(self.server.endpoint, "first-token")
        self.assertEqual(right.list("bucket").status, 200)
        self.assertEqual(right.batch(["GET /storage/v1/b/bucket"])[1][0][1], 200)
        session = right.start_upload("bucket", {"name": "key"}).headers["location"]
        self.set_tokens("short 1", "long")
        self.assert_refused(right.list("bucket"), 401, "authError")
        # Who knows the session may go on with it, but not with a token that is none.
        self.assert_refused(right.request("PUT", session, b"x"), 401, "authError")
        self.assertEqual(right.put_chunk(session, b"x").status, 200)
        short = GcsStore(self.server.endpoint, "short")
        self.assertEqual(short.list("bucket").status, 200)
        scenario.wait_until(lambda: short.list("bucket").status == 401, 20, "a token to end", poll_s=0.1)
        self.assertEqual(GcsStore(self.server.endpoint, "long").list("bucket").status, 200)
        self.set_tokens()
        self.assert_refused(GcsStore(self.server.endpoint, "long").list("bucket"), 401, "authError")

    def test_rights(self):
        store = GcsStore(self.server.endpoint, "first-token")
        store.put("bucket", "open", b"1")
        self.assert_refused(store.get("bucket", "secret/a"), 403, "forbidden")
        self.assert_refused(store.list("bucket", prefix="secret/"), 403, "forbidden")
        self.assert_refused(store.put("bucket", "secret/a", b""), 403, "forbidden")
        self.assert_refused(store.put_multipart("bucket", {"name": "secret/a"}, b""), 403, "forbidden")
        self.assert_refused(store.start_upload("bucket", {"name": "secret/a"}), 403, "forbidden")
        self.assert_refused(store.rewrite(("bucket", "open"), ("bucket", "secret/a")), 403, "forbidden")
        self.assert_refused(store.rewrite(("bucket", "secret/a"), ("bucket", "open")), 403, "forbidden")
        self.assert_refused(store.compose("bucket", "open", [{"name": "secret/a"}]), 403, "forbidden")
        self.assertEqual(store.batch(["DELETE /storage/v1/b/bucket/o/secret%2Fa"])[1][0][1], 403)

    def test_who_pays(self):
        store = GcsStore(self.server.endpoint, "first-token")
        self.assert_refused(store.list("other"), 400, "required")
        self.assertEqual(store.list("other", userProject="mine").status, 200)
        self.assertEqual(store.request("GET", "/storage/v1/b/other", headers={"X-Goog-User-Project": "mine"}).json()
                         ["billing"], {"requesterPays": True})
        store.put("bucket", "key", b"")
        self.assert_refused(store.rewrite(("bucket", "key"), ("other", "key")), 400, "required")

    def test_writes_can_be_denied(self):
        server = self.origin("--deny-write", "--fill", "bucket:1:10:flat")
        store = GcsStore(server.endpoint)
        self.assertEqual(store.keys("bucket"), ["0000000000"])
        self.assert_refused(store.put("bucket", "key", b""), 403, "forbidden")
        self.assert_refused(store.patch("bucket", "0000000000", {}), 403, "forbidden")
        self.assert_refused(store.delete("bucket", "0000000000"), 403, "forbidden")
        self.assertEqual(store.batch(["DELETE /storage/v1/b/bucket/o/0000000000"])[1][0][1], 403)


class Faults(Gcs):
    def test_errors(self):
        self.put("key")
        for kind, status, reason in (("error401", 401, "authError"), ("error403", 403, "forbidden"),
                                     ("error429", 429, "rateLimitExceeded"), ("error500", 500, "backendError"),
                                     ("error503", 503, "backendError")):
            self.server.set_faults(f"fault {kind} operation=objects.get times=1 key=ke")
            self.assertEqual(self.store.list("bucket").status, 200)
            self.assert_refused(self.store.get("bucket", "key"), status, reason)
            self.assertEqual(self.store.get("bucket", "key").status, 200)
        self.server.set_faults("fault error503 operation=objects.insert times=1 key=named-inside")
        self.assert_refused(self.store.put_multipart("bucket", {"name": "named-inside"}, b""), 503, "backendError")
        self.server.set_faults("fault error503 operation=objects.delete times=1")
        self.assertEqual([part[1] for part in self.store.batch(
            2 * ["DELETE /storage/v1/b/bucket/o/key"])[1]], [503, 204])
        self.server.set_faults()

    def test_bytes_go_wrong(self):
        body = some_bytes(100000)
        self.put("key", body)
        self.server.set_faults("fault flipped operation=objects.download times=1")
        got = self.store.download("bucket", "key").body
        self.assertEqual((len(got), sum(a != b for a, b in zip(got, body))), (len(body), 1))
        self.server.set_faults("fault garbled operation=objects.insert")
        digest = {"crc32c": crc32c(body)}
        self.assert_refused(self.store.put_multipart("bucket", {"name": "x", **digest}, body), 400, "invalid")
        self.assertNotEqual(self.put("x", body)["crc32c"], crc32c(body))
        self.server.set_faults("fault flipped operation=objects.insert")
        self.assertEqual(self.put("y", body)["crc32c"], crc32c(body))
        self.server.set_faults("fault lost")
        self.put("z", body)
        self.server.set_faults()
        self.assert_refused(self.store.get("bucket", "z"), 404, "notFound")
        self.assertNotEqual(self.store.download("bucket", "y").body, body)

    def test_uploads_break(self):
        body = some_bytes(4 * KIB256)
        session = self.store.start_upload("bucket", {"name": "key"}).headers["location"]
        self.server.set_faults("fault partial operation=uploads.chunk times=1 key=key")
        part = self.store.put_chunk(session, body)
        self.assertEqual((part.status, part.headers["range"]), (308, f"bytes=0-{2 * KIB256 - 1}"))
        rest = self.store.put_chunk(session, body[2 * KIB256:], f"bytes {2 * KIB256}-{len(body) - 1}/{len(body)}")
        self.assertEqual((rest.status, rest.json()["md5Hash"]), (200, md5(body)))
        session = self.store.start_upload("bucket", {"name": "key"}).headers["location"]
        self.server.set_faults("fault reset-after operation=uploads.chunk times=1")
        with self.assertRaises(OSError):
            self.store.put_chunk(session, body[:KIB256], f"bytes 0-{KIB256 - 1}/{len(body)}")
        self.assertEqual(self.store.put_chunk(session, b"", "bytes */*").headers["range"], f"bytes=0-{KIB256 - 1}")
        self.server.set_faults("fault gone times=1")
        self.assertEqual(self.store.put_chunk(session, b"", "bytes */*").status, 410)
        self.assertEqual(self.store.put_chunk(session, b"", "bytes */*").status, 404)

    def test_slow_rewrites_and_counts(self):
        self.put("key")
        self.server.set_faults("fault slow operation=objects.rewrite delay=300")
        started = time.monotonic()
        self.store.rewrite(("bucket", "key"), ("other", "key"))
        self.assertGreater(time.monotonic() - started, 0.29)
        counts = self.server.statistics()
        self.assertEqual((counts["objects.insert"], counts["objects.rewrite"], counts["faults"]["slow"]), (1, 1, 1))
        self.assertIn(("POST", 200), [(method, status) for method, _, _, status in self.server.requests()])

    def test_rates_and_room(self):
        store = GcsStore(self.origin("--rate", "10", "--retry-after", "3", buckets=("bucket",)).endpoint)
        answers = [store.list("bucket") for _ in range(20)]
        refused = [answer for answer in answers if answer.status != 200]
        self.assertTrue(refused)
        self.assert_refused(refused[0], 429, "rateLimitExceeded")
        self.assertEqual(refused[0].headers["retry-after"], "3")
        self.assertEqual(refused[0].json()["error"]["errors"][0]["domain"], "usageLimits")
        store = GcsStore(self.origin("--capacity", "100", buckets=("bucket",)).endpoint)
        self.assert_refused(store.put("bucket", "key", 101 * b"x"), 403, "quotaExceeded")


if __name__ == "__main__":
    scenario.main()
