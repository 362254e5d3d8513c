"""Every kind of object goes into a repository and comes back the same: inside one store, between two, and
by way of a directory. Later snapshots copy what changed and nothing else."""

import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import some_bytes

MIB = 1 << 20

# Keys that some layer might take for something else. Each is legal in S3.
ODD_KEYS = [
    "plain", "with space", " leading space", "trailing space ", "plus+plus", "per%cent", "per%20cent", "%",
    "%00", "'single'", '"double"', "`back`", "<&>", "&amp;", "]]>", "<!--", "a=b&c=d?e#f", "semi;colon",
    "back\\slash", "dollar$ignored", "{curly}[square]", "star*?", "tilde~", "pipe|", "caret^", "comma,colon:",
    "control-\x01-\x1f-\x7f", "new\nline", "tab\tbed", "carriage\rreturn", "ends in newline\n",
    "\u00e4\u00f6\u00fc", "e\u0301 decomposed", "\u00e9 composed", "\u65e5\u672c\u8a9e", "\U0001f40b whale",
    "\U0010fffd", "\ufffd\uffee", "\u2028 line separator", "\u202e right to left", "\ufeff mark",
    "/leading", "//two leading", "trailing/", "double//slash", "a//", "/", "//",
    ".", "..", "./here", "../above", "a/../b", "a/./b", "a/..", "...", ".hidden",
    "beside", "beside/below", "beside/below/deep", "beside.", "beside0", "beside-",
    "pbcopy.json", "data/20261123T052049Z-3f9a/x", "snapshots/20261123T052049Z-3f9a/snapshot.json",
    "snapshots/20261123T052049Z-3f9a/manifest/000001.ndjson.zst", "long/20261123T052049Z-3f9a/00",
    "null", "true", "0", "-", "--help", "-v", "~", "CON", "nul.txt",
    "x" * 1024, "y" * 998, "z" * 997, "\U0001f40b" * 256, "deep/" * 204 + "end!",
    "n" * 255 + "/" + "m" * 255 + "/" + "o" * 100,
]

SIZES = [0, 1, 2, 1023, 1024, 1025, 65536, MIB - 1, MIB, 5 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1,
         16 * MIB, 24 * MIB, 24 * MIB + 1, 30 * MIB]


def fill(bucket):
    """Fills a bucket with one of everything; says how many objects that is."""
    for number, key in enumerate(ODD_KEYS):
        bucket.put(key, some_bytes(number, seed=key))
    for size in SIZES:
        bucket.put(f"sizes/{size:09}", some_bytes(size))
    bucket.put("typed/text", b"text", ContentType="text/plain; charset=utf-8",
               Metadata={"owner": "somebody", "with-dash": "a value, with = and ;"})
    bucket.put("typed/empty", b"", ContentType="application/x-nothing", Metadata={"empty": "yes"})
    bucket.put_parts("parts/of-8-mib", some_bytes(20 * MIB, 1), 8 * MIB,
                     ContentType="video/mp4", Metadata={"parts": "3"})
    bucket.put_parts("parts/of-8-mib-exactly", some_bytes(16 * MIB, 2), 8 * MIB)
    bucket.put_parts("parts/odd", some_bytes(17 * MIB + 3, 3), 5 * MIB + 4321, Metadata={"parts": "odd"})
    bucket.put_parts("parts/uneven", some_bytes(16 * MIB, 5), [6 * MIB, 9 * MIB, 1 * MIB])
    bucket.put_parts("parts/only-one", some_bytes(3 * MIB, 4), 8 * MIB)
    return len(ODD_KEYS) + len(SIZES) + 7


class RoundTrip(scenario.Scenario):
    def back_up_and_check(self, source_url, repository_url, objects, size_only=()):
        told = self.succeed("backup", source_url, repository_url, "--json").json()
        self.assertEqual(told["exit_code"], 0)
        self.assertEqual(len(self.committed(repository_url)), 1)
        records = self.records(repository_url)
        self.assertEqual(len(records), objects)
        keys = [record["key"].encode() for record in records]
        self.assertEqual(keys, sorted(set(keys)))
        unproven = [record["key"] for record in records if record["proof"] == "size"]
        self.assertEqual(unproven, list(size_only))
        self.succeed("verify", repository_url)
        self.succeed("verify", repository_url, "--read")

    def test_inside_one_store(self):
        for options in ((), ("--ceph-copy-etag",)):
            with self.subTest(options=options):
                origin = self.origin(*options, buckets=("source", "repository", "restored"))
                objects = fill(origin.bucket("source"))
                origin.reset_statistics()
                # Their lengths cannot be learnt from the first, so that no copy has the same ETag.
                unproven = () if options else ("parts/uneven",)
                self.back_up_and_check(origin.url("source"), origin.url("repository"), objects, unproven)
                self.succeed("restore", origin.url("repository"), origin.url("restored"))
                self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))
                self.assert_is_mirror(origin, objects)
                origin.stop()

    def assert_is_mirror(self, origin, objects):
        """docs/formats.md: data/<id>/ is a mirror; what is too long, or a path could change, is in long/<id>/."""
        identity = self.committed(origin.url("repository"))[0]
        stored = origin.bucket("repository").list(f"data/{identity}/")
        long = origin.bucket("repository").list(f"long/{identity}/")
        source = origin.bucket("source").list()
        mirrored = {key: size for key, size in source.items() if not scenario.lies_in_long(identity, key)}
        self.assertEqual({key[len(f"data/{identity}/"):]: size for key, size in stored.items()}, mirrored)
        self.assertEqual({key.rsplit("/", 1)[1] for key in long},
                         {hashlib.sha256(key.encode()).hexdigest() for key in source if key not in mirrored})
        self.assertEqual(len(mirrored) + len(long), objects)
        self.assertIn("deep/" * 204 + "end!", set(source) - set(mirrored))  # too long as a whole
        self.assertIn("z" * 997, set(source) - set(mirrored))  # fits, but no path can hold it

    def test_the_store_copies_by_itself(self):
        origin = self.origin(buckets=("source", "repository", "restored"))
        origin.bucket("source").put_many({f"k{i}": some_bytes(1000, i) for i in range(50)})
        origin.reset_statistics()
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        self.assertEqual(origin.statistics()["CopyObject"], 50 + scenario.PROBE_COPIES)
        self.assertLess(origin.statistics()["bytes_out"], 50_000)
        self.succeed("restore", origin.url("repository"), origin.url("restored"))
        self.assertEqual(origin.statistics()["CopyObject"], 100 + scenario.PROBE_COPIES)
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))

    def test_between_two_stores(self):
        """Each end with credentials of its own."""
        first = self.origin(buckets=("source", "restored"))
        second = self.origin(buckets=("repository",), access_key="the-other-key", secret_key="the/other+secret")
        keys = {
            "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None,
            "PBCOPY_SOURCE_ACCESS_KEY_ID": scenario.ACCESS_KEY,
            "PBCOPY_SOURCE_SECRET_ACCESS_KEY": scenario.SECRET_KEY,
            "PBCOPY_DESTINATION_ACCESS_KEY_ID": scenario.ACCESS_KEY,
            "PBCOPY_DESTINATION_SECRET_ACCESS_KEY": scenario.SECRET_KEY,
            "PBCOPY_REPOSITORY_ACCESS_KEY_ID": "the-other-key",
            "PBCOPY_REPOSITORY_SECRET_ACCESS_KEY": "the/other+secret",
        }
        objects = fill(first.bucket("source"))
        self.succeed("backup", first.url("source"), second.url("repository"), **keys)
        self.succeed("verify", second.url("repository"), **keys)
        self.succeed("verify", second.url("repository"), "--read", **keys)
        self.succeed("restore", second.url("repository"), first.url("restored"), **keys)
        self.assertEqual(len(first.bucket("restored").list()), objects)
        self.assert_same_objects(first.bucket("source"), first.bucket("restored"))
        self.assertEqual(first.statistics()["CopyObject"], 0)
        self.assertEqual(second.statistics()["CopyObject"], scenario.PROBE_COPIES)
        for origin in (first, second):
            self.assertEqual(origin.statistics()["uploads"], 0, "a multipart upload is left")
        # Parts of no usual length are learnt from the source.
        self.assertEqual(first.bucket("source").head("parts/odd")["ETag"],
                         first.bucket("restored").head("parts/odd")["ETag"])
        # Relayed objects have a digest of their bytes each.
        run = self.succeed("show", second.url("repository"), "--records", **keys)
        for line in scenario.lines_of(run.stdout):
            record = json.loads(line)
            self.assertIn("sha256", record["proof"].split("+"), record)

    def test_through_a_directory(self):
        origin = self.origin(buckets=("source", "restored"))
        objects = fill(origin.bucket("source"))
        folder = f"file://{self.folder}/repository"
        self.back_up_and_check(origin.url("source"), folder, objects)
        self.succeed("restore", folder, origin.url("restored"))
        source, restored = origin.bucket("source"), origin.bucket("restored")
        self.assertEqual(len(restored.list()), objects)
        self.assert_same_objects(source, restored, same=())
        # And the other way: a directory as the source, a bucket as the repository.
        origin.client.create_bucket(Bucket="second")
        origin.client.create_bucket(Bucket="again")
        plain = f"file://{self.folder}/plain"
        self.succeed("restore", folder, plain)
        self.back_up_and_check(plain, origin.url("second"), objects)
        self.succeed("restore", origin.url("second"), origin.url("again"))
        self.assert_same_objects(source, origin.bucket("again"), same=())

    def test_empty_bucket(self):
        origin = self.origin(buckets=("source", "repository", "restored"))
        for allowed in ("--allow-empty",), (): # the second is like the first
            self.succeed("backup", origin.url("source"), origin.url("repository"), *allowed)
            self.assertEqual(self.records(origin.url("repository")), [])
            self.succeed("verify", origin.url("repository"))
            self.succeed("verify", origin.url("repository"), "--read")
            self.succeed("restore", origin.url("repository"), origin.url("restored"))
            self.assertEqual(origin.bucket("restored").list(), {})
        self.assertEqual(len(self.committed(origin.url("repository"))), 2)

    def test_prefixes(self):
        """Of buckets, and of the keys that are backed up."""
        origin = self.origin(buckets=("source", "repository", "restored"))
        source = origin.bucket("source")
        source.put_many({"in/side/1": b"1", "in/side/2": b"2", "in/side-3": b"3", "inside": b"4", "out": b"5"})
        repository = origin.url("repository", "of/one")
        self.succeed("backup", origin.url("source"), repository, "--prefix", "in/side")
        self.assertEqual([each["key"] for each in self.records(repository)],
                         ["in/side-3", "in/side/1", "in/side/2"])
        self.succeed("verify", repository, "--read")
        self.succeed("restore", repository, origin.url("restored", "a/b"), "--prefix", "in/side/")
        self.assertEqual(origin.bucket("restored").list(), {"a/b/in/side/1": 1, "a/b/in/side/2": 1})
        self.assertTrue(all(key.startswith("of/one/") for key in origin.bucket("repository").list()))
        # A folder of a bucket as the source: keys are told from the folder on.
        other = origin.url("repository", "of/another")
        self.succeed("backup", origin.url("source", "in"), other)
        self.assertEqual([each["key"] for each in self.records(other)], ["side-3", "side/1", "side/2"])

    def test_copy(self):
        first = self.origin(buckets=("source", "beside"))
        second = self.origin(buckets=("elsewhere",))
        fill(first.bucket("source"))
        for destination in (first, "beside"), (second, "elsewhere"):
            bucket = destination[0].bucket(destination[1])
            bucket.put("only here", b"stays")
            for round_number in range(2):
                first.reset_statistics()
                second.reset_statistics()
                self.succeed("copy", first.url("source"), bucket.origin.url(bucket.name))
                counts = [first.statistics(), second.statistics()]
                writes = sum(each["CopyObject"] + each["PutObject"] + each["CompleteMultipartUpload"]
                             for each in counts)
                self.assertEqual(writes > 0, round_number == 0, "the second time there is nothing to do")
            self.assertEqual(bucket.get("only here"), b"stays")
            bucket.delete("only here")
            self.assert_same_objects(first.bucket("source"), bucket)


class Incremental(scenario.Scenario):
    def data_requests(self, *origins):
        """Requests that move bytes of objects, by kind, since the last reset."""
        counts = {"copied": 0, "read": 0, "written": 0}
        for origin in origins:
            for method, key, query, status in origin.requests()[self.seen.get(origin.port, 0):]:
                is_document = key.startswith(("snapshots/", "sources/", "probe/")) or key == "pbcopy.json"
                if not key or is_document or key.startswith("origin-"):
                    continue
                if method == "GET":
                    counts["read"] += 1
                elif method in ("PUT", "POST"):
                    counts["written"] += 1
            self.seen[origin.port] = len(origin.requests())
            counts["copied"] += origin.statistics()["CopyObject"]
            origin.reset_statistics()
        return counts

    def incremental(self, first, second, identical_store):
        self.seen = {}
        source, repository = first.bucket("source"), second.url("repository")
        before = {f"folder-{i % 7}/{i:04}": some_bytes(500 + i, i) for i in range(300)}
        source.put_many(before)
        source.put_parts("large", some_bytes(12 * MIB), 8 * MIB)
        self.succeed("backup", first.url("source"), repository)
        older = self.committed(repository)[-1]
        old_digests = source.digests()
        self.data_requests(first, second)

        # Nothing changed: nothing is read, copied or written.
        self.succeed("backup", first.url("source"), repository)
        self.assertEqual(self.data_requests(first, second), {"copied": 0, "read": 0, "written": 0})
        self.assertEqual({each["at"] for each in self.records(repository)}, {older})

        # A changed object (another of the same size, too), a new one, one that is gone.
        source.put("folder-1/0001", b"changed, and longer or shorter")
        source.put("folder-2/0002", some_bytes(502, "of the same size"))
        source.put("folder-3/new", b"new")
        source.put("0 first of all", b"first")
        source.put("~ last of all", b"last")
        source.delete("folder-4/0004")
        source.delete("large")
        self.data_requests(first, second)
        self.succeed("backup", first.url("source"), repository)
        counts = self.data_requests(first, second)
        if identical_store:
            self.assertEqual(counts, {"copied": 5, "read": 0, "written": 5})
        else:
            self.assertEqual(counts, {"copied": 0, "read": 5, "written": 5})
        newest = self.committed(repository)[-1]
        self.assertEqual(sorted(each["key"] for each in self.records(repository) if each["at"] == newest),
                         ["0 first of all", "folder-1/0001", "folder-2/0002", "folder-3/new", "~ last of all"])
        self.assertEqual(len(second.bucket("repository").list(f"data/{newest}/")), 5)
        self.assertEqual(len(self.committed(repository)), 3)
        new_digests = source.digests()

        for identity in self.committed(repository):
            self.succeed("verify", repository, "--snapshot", identity)
            self.succeed("verify", repository, "--snapshot", identity, "--read")
        for identity, digests, bucket in ((None, new_digests, "newest"), (older, old_digests, "older")):
            first.client.create_bucket(Bucket=bucket)
            chosen = ("--snapshot", identity) if identity else ()
            self.succeed("restore", repository, first.url(bucket), *chosen)
            self.assertEqual(first.bucket(bucket).digests(), digests)

        # A restore over what is there: the same is left alone, other bytes only with --overwrite.
        self.data_requests(first, second)
        self.succeed("restore", repository, first.url("newest"))
        self.assertEqual(self.data_requests(first, second), {"copied": 0, "read": 0, "written": 0})
        first.bucket("newest").put("folder-1/0001", b"of somebody else")
        self.fail_with(scenario.FAILED, "restore", repository, first.url("newest"), hint="--overwrite")
        self.assertEqual(first.bucket("newest").get("folder-1/0001"), b"of somebody else")
        self.succeed("restore", repository, first.url("newest"), "--overwrite")
        self.assertEqual(first.bucket("newest").digests(), new_digests)

    def test_inside_one_store(self):
        origin = self.origin(buckets=("source", "repository"), log=True)
        self.incremental(origin, origin, True)

    def test_between_two_stores(self):
        self.incremental(self.origin(buckets=("source",), log=True),
                         self.origin(buckets=("repository",), log=True), False)

    def test_long_chain(self):
        """More snapshots than verify has listings for: what is older is asked for by itself."""
        origin = self.origin(buckets=("source", "repository", "restored"))
        source, repository = origin.bucket("source"), origin.url("repository")
        states = []
        for number in range(12):
            source.put(f"of {number:02}", some_bytes(100 + number))
            source.put("always", f"changed {number}".encode())
            self.succeed("backup", origin.url("source"), repository)
            states.append(source.digests())
        self.succeed("verify", repository)
        self.succeed("verify", repository, "--read")
        snapshots = self.committed(repository)
        self.assertEqual(len(snapshots), 12)
        for number in (0, 5, 11):
            origin.client.create_bucket(Bucket=f"restored-{number}")
            self.succeed("restore", repository, origin.url(f"restored-{number}"),
                         "--snapshot", snapshots[number])
            self.assertEqual(origin.bucket(f"restored-{number}").digests(), states[number])
        # One object of the middle lost: found though it is not in any listing that is merged.
        origin.bucket("repository").delete(f"data/{snapshots[3]}/of 03")
        run = self.fail_with(scenario.DAMAGED, "verify", repository)
        self.assertIn("of 03", run.stdout + run.stderr)
        self.assertIn("missing", run.stdout + run.stderr)

    def test_within_one_second(self):
        """Snapshots that were begun in one second have an order, too: the newest is the last one made."""
        origin = self.origin(buckets=("source", "repository", "restored"))
        repository = origin.url("repository")
        for number in range(8):
            origin.bucket("source").put("state", str(number).encode())
            made = self.succeed("backup", origin.url("source"), repository, "--json").json()
            self.assertEqual(self.committed(repository)[-1], made["snapshot"]["id"])
            self.succeed("restore", repository, origin.url("restored"), "--overwrite")
            self.assertEqual(origin.bucket("restored").get("state"), str(number).encode())

    def test_several_sources(self):
        """One repository of two sources: each is incremental to its own."""
        origin = self.origin(buckets=("one", "two", "repository"))
        origin.bucket("one").put_many({f"a{i}": b"one" for i in range(20)})
        origin.bucket("two").put_many({f"a{i}": b"two" for i in range(30)})
        for _ in range(2):
            origin.reset_statistics()
            self.succeed("backup", origin.url("one"), origin.url("repository"))
            self.succeed("backup", origin.url("two"), origin.url("repository"))
        self.assertEqual(origin.statistics()["CopyObject"], 0)
        for identity in self.committed(origin.url("repository")):
            self.succeed("verify", origin.url("repository"), "--snapshot", identity, "--read")

    def test_dry_run(self):
        origin = self.origin(buckets=("source", "repository", "restored"))
        origin.bucket("source").put_many({f"k{i}": b"x" for i in range(10)})
        self.succeed("backup", origin.url("source"), origin.url("repository"), "--dry-run")
        self.assertEqual(origin.bucket("repository").list(), {})
        self.succeed("backup", origin.url("source"), origin.url("repository"))
        stored = origin.bucket("repository").list()
        self.succeed("backup", origin.url("source"), origin.url("repository"), "--dry-run")
        self.assertEqual(origin.bucket("repository").list(), stored)
        self.succeed("restore", origin.url("repository"), origin.url("restored"), "--dry-run")
        self.assertEqual(origin.bucket("restored").list(), {})

    def test_without_create_only(self):
        """A store that takes no notice of If-None-Match serves as well, one run at a time."""
        origin = self.origin("--no-create-only", buckets=("source", "repository", "restored"))
        origin.bucket("source").put_many({f"k{i}": some_bytes(i) for i in range(10)})
        self.succeed("backup", origin.url("source"), origin.url("repository"), "--exclusive")
        mark = json.loads(origin.bucket("repository").get("pbcopy.json"))
        self.assertIs(mark["features"]["create_only"], False)
        self.succeed("backup", origin.url("source"), origin.url("repository"), "--exclusive")
        self.succeed("verify", origin.url("repository"), "--read")
        self.succeed("restore", origin.url("repository"), origin.url("restored"))
        self.assert_same_objects(origin.bucket("source"), origin.bucket("restored"))


if __name__ == "__main__":
    scenario.main()
