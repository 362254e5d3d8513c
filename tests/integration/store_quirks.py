"""What some stores and gateways do, and AWS, Ceph and MinIO as they come do not: checksums that are asked for, bytes
that are decoded or compressed on the way, copies that are not made, requesters that pay, endpoints with a path, IPv6,
one store behind two names, ETags that are no MD5s. Each before an origin, which checks signatures unless the front
changes what is signed."""

import gzip
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import quirky_front
import scenario
from quirky_front import QuirkyFront
from scenario import DAMAGED, FAILED, REFUSED, USAGE, some_bytes

MIB = 1 << 20


class Quirks(scenario.Scenario):
    def front(self, *quirks, address="127.0.0.1", origin=None):
        origin = origin or self.origin(buckets=("source", "repository", "restored"))
        front = QuirkyFront(origin, *quirks, address=address)
        self.addCleanup(front.stop)
        return origin, front

    def round_trip(self, source, repository, restored, *arguments):
        """The runs of a backup, its verification and a restore."""
        return [self.succeed("backup", source, repository, *arguments),
                self.succeed("verify", repository, "--read"),
                self.succeed("restore", repository, restored)]

    # ---- checksums ----

    def test_buckets_that_want_a_digest(self):
        for quirk in (quirky_front.WantsMd5(), quirky_front.WantsMd5("MissingContentMD5", takes_checksums=False)):
            with self.subTest(quirk.code):
                plain = self.origin(buckets=("source",))
                plain.bucket("source").put_many({f"small/{n}": some_bytes(1000 + n) for n in range(200)})
                plain.bucket("source").put_parts("large", some_bytes(26 * MIB), 8 * MIB)
                origin, front = self.front(quirk)
                self.round_trip(plain.url("source"), front.url("repository"), front.url("restored"))
                self.assert_same_objects(plain.bucket("source"), origin.bucket("restored"))
                # It is learned once a run and store, but for what is under way by then.
                self.assertTrue(0 < quirk.refused < 100, quirk.refused)
                self.succeed("copy", plain.url("source"), front.url("restored"), "--checksum", "crc32c")

    def test_what_the_store_does_not_compare_is_no_proof(self):
        """Of a directory's files no ETag tells what they should be."""
        folder = f"{self.folder}/source"
        os.mkdir(folder)
        for name, size in (("small", 5000), ("large", 26 * MIB)):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(some_bytes(size))
        for arguments in (("--checksum", "crc32c"), ()):
            for damaged in ("small", "large"):
                with self.subTest(damaged=damaged, arguments=arguments):
                    origin = self.origin(buckets=("repository", "copied"), signed=False)
                    _, front = self.front(quirky_front.DropsChecksums(damaged), origin=origin)
                    url = front.url("repository") + "&anonymous=true"
                    self.succeed("backup", f"file://{folder}", url, *arguments)  # elsewhere, as its first copy is wrong
                    self.succeed("verify", url, "--read")
                    self.fail_with(FAILED, "copy", f"file://{folder}", front.url("copied") + "&anonymous=true", *arguments,
                                   says="1 damaged")
            origin = self.origin(buckets=("repository",), signed=False)
            _, front = self.front(quirky_front.DropsChecksums(), origin=origin)
            told = self.succeed("backup", f"file://{folder}", front.url("repository") + "&anonymous=true", *arguments,
                                "--json").json()
            self.assertEqual(told["snapshot"]["assurance"]["checksum" if arguments else "sha256"], 2)
            # Where not even the ETags tell, the store's word is all there is.
            origin = self.origin(buckets=("repository",), signed=False)
            _, front = self.front(quirky_front.DropsChecksums(), quirky_front.Etags(quirky_front.hashed), origin=origin)
            url = front.url("repository") + "&anonymous=true"
            told = self.succeed("backup", f"file://{folder}", url, *arguments, "--json").json()
            self.assertEqual(told["snapshot"]["assurance"]["size"], 2, told["snapshot"]["assurance"])
            self.succeed("verify", url, "--read")

    def test_without_need_no_md5_is_sent(self):
        plain = self.origin(buckets=("source",))
        plain.bucket("source").put("a", b"1")
        _, front = self.front()
        self.succeed("backup", plain.url("source"), front.url("repository"))
        puts = [asked for asked in front.asked if asked.is_put()]
        self.assertTrue(puts)
        self.assertFalse(any("content-md5" in asked.headers for asked in puts))

    # ---- gzip ----

    def put_compressed(self, bucket):
        page = gzip.compress(b"".join(b"line %d\n" % n for n in range(5000)))
        bucket.put("page", page, ContentEncoding="gzip", ContentType="text/plain")
        bucket.put_parts("dump", gzip.compress(some_bytes(26 * MIB), 0), 5 * MIB, ContentEncoding="gzip",
                         ContentType="application/sql")
        bucket.put("text", b"abc " * 2500, ContentType="text/plain")
        bucket.put("empty", b"")

    def check_relay(self, quirk):
        origin, front = self.front(quirk)
        self.put_compressed(origin.bucket("source"))
        other = self.origin(buckets=("repository", "restored"))
        self.round_trip(front.url("source"), other.url("repository"), other.url("restored"))
        self.assert_same_objects(origin.bucket("source"), other.bucket("restored"),
                                 same=("ContentType", "ContentEncoding", "Metadata"))
        return front

    def test_a_store_that_decodes(self):
        self.check_relay(quirky_front.Decodes())

    def test_a_store_that_compresses(self):
        self.check_relay(quirky_front.Compresses())

    # ---- copies ----

    def check_without_copies(self, quirk, refused_most):
        origin, front = self.front(quirk)
        source = origin.bucket("source")
        source.put_many({f"small/{n}": some_bytes(1000 + n) for n in range(80)})
        source.put("typed", b"typed", ContentType="text/x-typed", Metadata={"who": "me"})
        source.put_parts("large", some_bytes(30 * MIB), 6 * MIB, ContentType="text/x-large")
        runs = self.round_trip(front.url("source"), front.url("repository"), front.url("restored"))
        self.assert_same_objects(source, origin.bucket("restored"))
        for run in (runs[0], runs[2]):
            notes = [line for line in scenario.lines_of(run.stderr) if "pass through this machine" in line]
            self.assertEqual(len(notes), 1, run)
        self.assertTrue(0 < quirk.refused <= refused_most, quirk.refused)
        for bucket in ("repository", "restored"):
            self.assertEqual(origin.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []), [])
        return front, runs

    def test_a_store_that_copies_nothing(self):
        for status, code in ((501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "NotImplemented")):
            with self.subTest(status):
                front, runs = self.check_without_copies(quirky_front.CopiesNothing(status, code), 2 * 64)
                self.assertIn("through this machine", runs[0].stdout, runs[0])
                self.succeed("backup", front.url("source"), front.url("repository"))

    def test_a_store_that_copies_no_parts(self):
        quirk = quirky_front.CopiesNothing(parts_only=True)
        front, runs = self.check_without_copies(quirk, 16)
        self.assertIn("large objects", runs[0].stderr, runs[0])
        self.assertTrue(any(asked.is_copy() and "partNumber" not in asked.query for asked in front.asked))

    def test_other_refusals_of_copies_are_not_taken_for_it(self):
        """Of each object the store is asked, and each passes through here."""
        quirk = quirky_front.CopiesNothing(403, "AccessDenied")
        origin, front = self.front(quirk)
        origin.bucket("source").put_many({"a": b"1", "b": b"2", "c": b"3"})
        told = self.succeed("copy", front.url("source"), front.url("restored"), "--json").json()
        self.assertEqual((quirk.refused, told["server_side"]), (3, True))
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))

    # ---- ETags that are no MD5s ----

    def unsigned(self, *quirks):
        """An origin behind a front that changes what requests say."""
        return self.front(*quirks, origin=self.origin(buckets=("source", "repository", "restored", "copied"),
                                                      signed=False))

    def features(self, origin):
        return json.loads(origin.bucket("repository").get("pbcopy.json"))["features"]

    @staticmethod
    def fill(bucket):
        bucket.put_many({f"small/{n}": some_bytes(1000 + n, n) for n in range(40)})
        bucket.put_many({"empty": b"", "typed": b"typed"})
        bucket.put_parts("large", some_bytes(13 * MIB), 6 * MIB)

    def check_etags(self, md5, kept, *quirks):
        origin, front = self.unsigned(*quirks)
        source = origin.bucket("source")
        self.fill(source)
        urls = {name: front.url(name) for name in ("source", "repository", "restored", "copied")}
        first = self.round_trip(urls["source"], urls["repository"], urls["restored"])[0]
        self.assert_same_objects(source, origin.bucket("restored"))
        features = self.features(origin)
        self.assertEqual((features["md5_etags"], features["kept_etags"]), (md5, kept))
        said = [line for line in scenario.lines_of(first.stderr) if "no MD5s" in line]
        self.assertEqual(len(said), 0 if md5 else 1, first)
        for record in self.records(urls["repository"]):
            self.assertTrue(md5 or record.get("sha256"), record)
        # Nothing is copied again, and what is there is found to be there.
        again = self.succeed("backup", urls["source"], urls["repository"], "--json")
        self.assertEqual(again.json()["snapshot"]["copied_objects"], 0, again)
        self.succeed("verify", urls["repository"])
        self.succeed("restore", urls["repository"], urls["restored"])
        source.put("small/7", b"new")
        source.delete("small/8")
        changed = self.succeed("backup", urls["source"], urls["repository"], "--json")
        self.assertEqual(changed.json()["snapshot"]["copied_objects"], 1, changed)
        self.succeed("verify", urls["repository"], "--read")
        for _ in range(2):
            self.succeed("copy", urls["source"], urls["copied"])
        self.assert_same_objects(source, origin.bucket("copied"))
        return origin, front

    def test_etags_of_another_hash(self):
        self.check_etags(False, True, quirky_front.Etags(quirky_front.hashed))

    def test_etags_of_another_form(self):
        self.check_etags(False, True, quirky_front.Etags(lambda real: "object." + real[::-1]))

    def test_etags_in_capitals(self):
        self.check_etags(True, True, quirky_front.Etags(str.upper))

    def test_weak_etags(self):
        self.check_etags(False, False, quirky_front.Etags(lambda real: real, lambda real: "W/" + real))

    def test_etags_that_reading_shows_differently(self):
        self.check_etags(False, False, quirky_front.Etags(quirky_front.hashed,
                                                          lambda real: quirky_front.hashed(real[::-1])))

    def test_changed_objects_of_such_a_repository_are_found(self):
        origin, front = self.check_etags(False, True, quirky_front.Etags(quirky_front.hashed))
        key = next(key for key in origin.bucket("repository").list("data/") if key.endswith("small/3"))
        origin.bucket("repository").put(key, some_bytes(1003, 99))
        for more in ((), ("--read",)):
            self.fail_with(DAMAGED, "verify", front.url("repository"), *more)

    def test_a_repository_that_does_not_say_it(self):
        origin, front = self.unsigned(quirky_front.Etags(quirky_front.hashed))
        self.succeed("backup", front.url("source"), front.url("repository"), "--allow-empty")
        mark = json.loads(origin.bucket("repository").get("pbcopy.json"))
        for name in ("md5_etags", "kept_etags", "copies", "needs_content_md5"):
            del mark["features"][name]
        origin.bucket("repository").put("pbcopy.json", json.dumps(mark).encode())
        self.fill(origin.bucket("source"))
        self.round_trip(front.url("source"), front.url("repository"), front.url("restored"))
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))

    def test_a_source_whose_etags_are_no_md5s_is_said(self):
        origin, front = self.unsigned(quirky_front.Etags(quirky_front.hashed))
        self.fill(origin.bucket("source"))
        other = self.origin(buckets=("repository", "restored", "copied"))
        self.fail_with(FAILED, "backup", front.url("source"), other.url("repository"), hint="opaqueETags=true")
        self.fail_with(FAILED, "copy", front.url("source"), other.url("copied"), hint="opaqueETags=true")
        source = front.url("source", "&opaqueETags=true")
        self.round_trip(source, other.url("repository"), other.url("restored"))
        self.assert_same_objects(origin.bucket("source"), other.bucket("restored"))
        again = self.succeed("backup", source, other.url("repository"), "--json")
        self.assertEqual(again.json()["snapshot"]["copied_objects"], 0, again)
        for _ in range(2):
            self.succeed("copy", source, other.url("copied"))
        self.assert_same_objects(origin.bucket("source"), other.bucket("copied"))

    def test_a_destination_whose_etags_are_no_md5s(self):
        plain = self.origin(buckets=("source", "repository"))
        self.fill(plain.bucket("source"))
        origin, front = self.unsigned(quirky_front.Etags(quirky_front.hashed))
        for _ in range(2):
            self.succeed("copy", plain.url("source"), front.url("copied"))
        self.assert_same_objects(plain.bucket("source"), origin.bucket("copied"))
        self.succeed("backup", plain.url("source"), plain.url("repository"))
        for _ in range(2):
            self.succeed("restore", plain.url("repository"), front.url("restored"))
        self.assert_same_objects(plain.bucket("source"), origin.bucket("restored"))

    def test_damage_is_not_taken_for_such_etags(self):
        # A store that keeps other bytes than it was sent: its ETag is right to differ.
        plain = self.origin(buckets=("source",))
        plain.bucket("source").put_many({"a": some_bytes(500), "b": some_bytes(600)})
        _, front = self.unsigned(quirky_front.Damages("a", "b"))
        run = self.pbcopy("copy", plain.url("source"), front.url("copied"))
        self.assertNotEqual(run.exit_code, 0, run)
        self.assertNotIn("no MD5s: digests", run.stderr, run)
        # A source that has rotted, while the destination's ETags say nothing: what is read tells, in the first object
        # as well as in those after it.
        for keys in (("a", "b"), ("b",)):
            _, rotten = self.unsigned(quirky_front.Rots(*keys))
            self.succeed("copy", plain.url("source"), rotten.url("source"))
            _, opaque = self.unsigned(quirky_front.Etags(quirky_front.hashed))
            run = self.fail_with(FAILED, "copy", rotten.url("source"), opaque.url("copied"), says=f"{len(keys)} of 2")
            self.fail_with(FAILED, "backup", rotten.url("source"), opaque.url("repository"), says=f"{len(keys)} of the objects")

    # ---- what a repository keeps of its store ----

    def test_what_was_found_out_is_kept(self):
        copies, digests = quirky_front.CopiesNothing(), quirky_front.WantsMd5(takes_checksums=False)
        origin, front = self.front(copies, digests)
        self.fill(origin.bucket("source"))
        self.succeed("backup", front.url("source"), front.url("repository"))
        features = self.features(origin)
        self.assertEqual((features["copies"], features["needs_content_md5"], features["md5_etags"]), (False, True, True))
        # One copy was asked for, and one PUT went without a digest, when the repository was made.
        self.assertEqual((copies.refused, digests.refused), (1, 1))
        origin.bucket("source").put("one/more", b"more")
        self.succeed("backup", front.url("source"), front.url("repository"))
        self.assertEqual((copies.refused, digests.refused), (1, 1))
        self.succeed("restore", front.url("repository"), front.url("restored"))
        self.assertEqual((copies.refused, digests.refused), (1, 1))
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))
        mark = origin.bucket("repository").get("pbcopy.json")
        self.assertIn(b'"copies":false', mark)
        origin.bucket("repository").put("pbcopy.json", mark.replace(b'"copies":false', b'"copies":0'))
        self.fail_with(DAMAGED, "verify", front.url("repository"), says="copies")

    # ---- what is not copied ----

    def test_what_stays_behind_is_said(self):
        origin, other = self.origin(buckets=("source",)), self.origin(buckets=("copied",))
        source = origin.bucket("source")
        source.put_many({"folder/": b"bytes", "folder/a": b"1", "other/": b"", "other/b": b"2"})
        said = self.succeed("copy", origin.url("source/folder"), other.url("copied")).stderr
        self.assertEqual(said.count("left out"), 1, said)
        self.assertEqual(set(other.bucket("copied").list()), {"a"})
        self.assertNotIn("left out", self.succeed("copy", origin.url("source/other"), other.url("copied")).stderr)

    def test_metadata_without_a_value(self):
        origin, other = self.origin(buckets=("source",)), self.origin(buckets=("copied",))
        origin.bucket("source").put("a", b"1", Metadata={"flag": "", "more": "1"})
        self.succeed("copy", origin.url("source"), other.url("copied"))
        self.assertEqual(other.bucket("copied").head("a")["Metadata"], {"flag": "", "more": "1"})

    # ---- who pays ----

    def test_a_web_page_in_between(self):
        """What was answered by a page was not stored, and is not listed."""
        for wanted in (quirky_front.Asked.is_put, lambda asked: asked.method == "GET" and not asked.key):
            origin, front = self.front(quirky_front.WebPage(spared=8, times=5, wanted=wanted))
            origin.bucket("source").put_many({f"k{n}": some_bytes(100 + n) for n in range(60)})
            self.round_trip(origin.url("source"), front.url("repository"), front.url("restored"))
            self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))

    def test_what_cannot_be_read_is_not_called_damaged(self):
        origin, front = self.front(quirky_front.Archived("/cold"))
        origin.bucket("source").put_many({"cold": b"frozen", "warm": b"here"})
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        run = self.fail_with(FAILED, "verify", front.url("repository"), "--read", "--json", says="1 of 2 objects could not be read")
        told = run.json()
        self.assertEqual((told["unread_objects"], told["findings_total"]), (1, 1))
        self.assertEqual([(each["key"], each["finding"]) for each in told["findings"]], [("cold", "unreadable")])
        # Damage beside it is damage.
        key, = (key for key in origin.bucket("repository").list("data/") if key.endswith("/warm"))
        origin.bucket("repository").put(key, b"gone")
        self.fail_with(DAMAGED, "verify", front.url("repository"), "--read", says="damaged")
        # So it is where the run ends before its end.
        origin.bucket("repository").put(key, b"here")
        _, front = self.front(quirky_front.Archived("/warm", "ExpiredToken"), origin=origin)
        run = self.fail_with(REFUSED, "verify", front.url("repository"), "--read", says="ExpiredToken")
        self.assertNotIn("damaged", run.stderr)
        origin.bucket("repository").put(key.removesuffix("warm") + "cold", b"gone")
        self.fail_with(DAMAGED, "verify", front.url("repository"), "--read", says=("damaged", "ExpiredToken"))

    def test_rights_on_a_prefix_alone(self):
        origin, front = self.front(quirky_front.PrefixOnly("source", "meta/"))
        origin.bucket("source").put_many({f"{folder}/{n}": some_bytes(50 + n) for folder in ("data", "meta") for n in range(9)})
        self.fail_with(REFUSED, "copy", front.url("source"), front.url("restored"), says="AccessDenied")
        self.round_trip(front.url("source"), front.url("repository"), front.url("restored"), "--prefix", "meta/")
        self.succeed("copy", front.url("source"), f"file://{self.folder}/copied", "--prefix", "meta/")
        self.assertEqual(origin.bucket("restored").list(), origin.bucket("source").list("meta/"))
        self.assertEqual(sorted(os.listdir(f"{self.folder}/copied/meta")), [str(n) for n in range(9)])

    def test_a_web_page_is_no_store(self):
        _, front = self.front(quirky_front.WebPage())
        for url in (front.url("source"), f"gs://source?endpoint={front.endpoint}&anonymous=true"):
            run = self.fail_with(USAGE, "copy", url, f"file://{self.folder}/copied", says="web page")
            self.assertLess(run.seconds, 10)
            self.assertIn("endpoint=", "".join(run.hints))

    def test_requester_pays(self):
        origin, front = self.front(quirky_front.RequesterPays())
        source = origin.bucket("source")
        source.put_many({f"k{n}": some_bytes(100 + n) for n in range(20)})
        source.put_parts("large", some_bytes(12 * MIB), 6 * MIB)
        self.fail_with(REFUSED, "copy", front.url("source"), front.url("restored"), says="AccessDenied",
                       hint="requestPayer=true")
        paid = [front.url(each, "&requestPayer=true") for each in ("source", "repository", "restored")]
        self.round_trip(*paid)
        self.assert_same_objects(source, origin.bucket("restored"))
        self.assertEqual({"GET", "HEAD", "PUT", "POST"} - {asked.method for asked in front.asked}, set())
        # Of a copy inside the store the source's word counts, though the destination does not say it.
        other = self.origin(buckets=("elsewhere",))
        self.succeed("copy", paid[0], other.url("elsewhere"))
        self.assert_same_objects(source, other.bucket("elsewhere"))

    # ---- endpoints ----

    def test_an_endpoint_with_a_path(self):
        # The gateway checks the signature of the path as it came; what is behind it does not.
        origin = self.origin(buckets=("source", "repository", "restored"), signed=False)
        _, front = self.front(quirky_front.BelowPath("/storage/v1/s3", scenario.SECRET_KEY), origin=origin)
        front.endpoint += "/storage/v1/s3"
        source = origin.bucket("source")
        source.put_many({"a b": b"1", "ü/é+": b"2", "x/50%": b"3"})
        source.put_parts("large", some_bytes(12 * MIB), 6 * MIB)
        self.round_trip(front.url("source"), front.url("repository"), front.url("restored/below"))
        self.assertEqual({key.removeprefix("below/") for key in origin.bucket("restored").list()}, set(source.list()))
        self.assertTrue(any(asked.is_copy() for asked in front.asked))
        told = self.succeed("show", front.url("repository"), "--json").stdout
        self.assertIn("%2Fstorage%2Fv1%2Fs3/source/", told)
        self.fail_with(USAGE, "verify", front.url("repository", "&s3ForcePathStyle=false"), says="path")
        front.endpoint = front.endpoint.replace("v1", "v2")
        self.assertNotEqual(self.pbcopy("verify", front.url("repository")).exit_code, 0)

    def test_ipv6(self):
        if not socket.has_ipv6:
            self.skipTest("no IPv6 here")
        try:
            origin, front = self.front(address="::1")
        except OSError as error:
            self.skipTest(f"no IPv6 here: {error}")
        source = origin.bucket("source")
        source.put_many({f"k{n}": some_bytes(100 + n) for n in range(20)})
        self.round_trip(front.url("source"), front.url("repository"), front.url("restored"))
        self.assert_same_objects(source, origin.bucket("restored"))
        self.assertTrue(all(asked.headers["host"] == f"[::1]:{front.port}" for asked in front.asked))

    # ---- one store behind two names ----

    def check_apart(self, *command, **more):
        run = self.fail_with(USAGE, *command, says="one bucket", **more)
        self.assertIn("overlap", run.errors[0], run)

    def test_one_bucket_behind_two_names(self):
        origin = self.origin(buckets=("source", "repository", "restored"))
        origin.bucket("source").put_many({"a/1": b"1", "a/2": b"2", "b/3": b"3"})

        def named(place):
            return origin.url(place).replace("127.0.0.1", "localhost")

        def left():
            return sorted(key for key in origin.bucket("source").list() if "probe" in key)

        # The repository inside of its source; the source inside of a repository.
        self.check_apart("backup", origin.url("source"), named("source/backups"))
        self.check_apart("backup", origin.url("source"), named("source/backups"))
        self.succeed("backup", origin.url("source/a"), named("repository"))
        self.check_apart("backup", origin.url("repository/data"), named("repository"))
        # A destination that holds the source, lies in it, or is it.
        for source, destination in (("source/a", "source"), ("source", "source/a"), ("source/a", "source/a")):
            self.check_apart("copy", origin.url(source), named(destination))
        # A restore into its repository, or around it.
        self.succeed("backup", origin.url("source/a"), named("restored/deep/repository"))
        self.check_apart("restore", named("restored/deep/repository"), origin.url("restored"))
        self.check_apart("restore", named("restored/deep/repository"), origin.url("restored/deep/repository"))
        self.check_apart("restore", named("restored/deep/repository"), origin.url("restored/deep/repository/x"))
        self.assertEqual(left(), [])
        # Beside each other is no overlap.
        self.succeed("copy", origin.url("source/a"), named("source/c"))
        self.succeed("restore", named("restored/deep/repository"), origin.url("restored/beside"))

    def test_two_stores_with_buckets_of_one_name(self):
        first, second = (self.origin(buckets=("data",)) for _ in range(2))
        first.bucket("data").put_many({"a/1": b"1", "b/2": b"2"})
        self.succeed("copy", first.url("data"), second.url("data"))
        self.assert_same_objects(first.bucket("data"), second.bucket("data"))
        self.succeed("backup", first.url("data"), second.url("data/backups"))
        # A copy of a repository has the same mark; it is another one all the same.
        self.succeed("copy", second.url("data/backups"), first.url("data/backups"))
        self.succeed("restore", second.url("data/backups"), first.url("data"))
        for origin in (first, second):
            self.assertFalse([key for key in origin.bucket("data").list() if "probe" in key])


if __name__ == "__main__":
    scenario.main()
