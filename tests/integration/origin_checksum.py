"""--checksum crc32c: relayed bytes are known by their CRC32C, which verify and restore compare, and
which the store gets. Snapshots of both kinds live in one repository."""

import base64
import os
import sys
import urllib.error
import urllib.request

import crcmod.predefined

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, FAILED, some_bytes

MIB = 1 << 20
CRC32C = ("--checksum", "crc32c")
SHA256 = ("--checksum", "sha256")


def crc32c(body):
    return f"{crcmod.predefined.mkCrcFun('crc-32c')(body):08x}"


class Checksum(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.taken_from = self.origin(buckets=("source", "restored"))
        self.stored_in = self.origin(buckets=("repository",))
        self.source = self.taken_from.bucket("source")
        self.bucket = self.stored_in.bucket("repository")
        self.directory = f"file://{self.folder}/repository"
        self.url = self.stored_in.url("repository")
        self.bodies = {}

    def put(self, key, body, part_bytes=0):
        self.bodies[key] = body
        if part_bytes:
            self.source.put_parts(key, body, part_bytes)
        else:
            self.source.put(key, body)

    def fill(self):
        for i in range(30):
            self.put(f"folder/{i:03}", some_bytes(3000 + i, i))
        self.put("empty", b"")
        self.put("one", b"1")
        self.put("parts/of-8-mib", some_bytes(20 * MIB, 1), 8 * MIB)
        # Nobody can learn these parts from the first: the ETags of source and repository differ.
        self.put("parts/odd", some_bytes(26 * MIB + 3, 3), [5 * MIB + 4321] + 4 * [5 * MIB] + [MIB])
        # A plain MD5 that no multipart upload can have.
        self.put("whole", some_bytes(65 * MIB, 4))

    def back_up(self, url=None, *arguments):
        self.succeed("backup", self.taken_from.url("source"), url or self.url, *arguments)

    def by_key(self, url=None):
        return {record["key"]: record for record in self.records(url or self.url)}

    def assert_kinds(self, url, crc32c_keys):
        for key, record in self.by_key(url).items():
            words = record["proof"].split("+")
            by_crc32c = key in crc32c_keys
            self.assertEqual(("crc32c" in record, "sha256" in record), (by_crc32c, not by_crc32c), record)
            self.assertEqual(("checksum" in words, "sha256" in words), (by_crc32c, not by_crc32c), record)

    def assert_verified(self, url, by_crc32c, by_sha256=0):
        told = self.succeed("verify", url, "--read", "--json").json()
        self.assertEqual((told["proven_checksum"], told["proven_sha256"]), (by_crc32c, by_sha256))
        self.assertEqual(told["proven_etag"] + told["proven_key"] + told["unproven"], 0)

    def assert_restored(self, url):
        self.succeed("restore", url, self.taken_from.url("restored"))
        self.assertEqual(self.taken_from.bucket("restored").digests(), self.source.digests())

    def test_round_trip(self):
        self.fill()
        expected = {}
        for url in self.url, self.directory:
            with self.subTest(url=url):
                self.back_up(url, *CRC32C)
                records = self.by_key(url)
                self.assert_kinds(url, self.bodies)
                for key, body in self.bodies.items():
                    if len(body) < 27 * MIB:
                        if key not in expected:
                            expected[key] = crc32c(body)
                        self.assertEqual(records[key]["crc32c"], expected[key], key)
                self.succeed("verify", url)
                self.assert_verified(url, len(self.bodies))
                self.assert_restored(url)
        shown = self.succeed("show", self.url, "--json").json()["snapshot"]
        self.assertEqual(shown["assurance"]["checksum"], len(self.bodies))
        self.assertEqual(self.stored_in.statistics()["uploads"], 0, "a multipart upload is left")

    def test_copy(self):
        self.fill()
        self.succeed("copy", self.taken_from.url("source"), self.url, *CRC32C)
        self.assertEqual(self.bucket.digests(), self.source.digests())

    def test_flipped_while_stored(self):
        self.fill()
        # (The parts that nobody can learn are moved twice: six and six.)
        self.stored_in.set_faults("fault flipped operation=PutObject key=folder/022 times=1",
                                  "fault flipped operation=UploadPart key=parts/odd times=1 after=8",
                                  "fault flipped operation=UploadPart key=whole times=1")
        self.back_up(self.url, *CRC32C)
        self.assertEqual(self.stored_in.statistics()["faults"]["flipped"], 3)
        damaged = {"folder/022", "parts/odd", "whole"}
        self.succeed("verify", self.url)
        run = self.pbcopy("verify", self.url, "--read", "--json")
        self.assert_failed(run, DAMAGED)
        self.assertEqual({(each["finding"], each["key"]) for each in run.json()["findings"]},
                         {("mismatch", key) for key in damaged})
        run = self.pbcopy("restore", self.url, self.taken_from.url("restored"))
        self.assert_failed(run, DAMAGED)
        self.assertEqual(set(self.taken_from.bucket("restored").list()), set(self.bodies) - damaged)

    def test_flipped_in_a_directory(self):
        """No ETag helps there: the CRC32C alone tells."""
        self.fill()
        self.back_up(self.directory, *CRC32C)
        identity, = self.committed(self.directory)
        for key, at in (("folder/007", 1000), ("parts/odd", 17 * MIB), ("one", 0)):
            with open(f"{self.folder}/repository/data/{identity}/{key}", "r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1]))
        run = self.pbcopy("verify", self.directory, "--read", "--json")
        self.assert_failed(run, DAMAGED)
        self.assertEqual({(each["finding"], each["key"]) for each in run.json()["findings"]},
                         {("mismatch", "folder/007"), ("mismatch", "parts/odd"), ("mismatch", "one")})
        for finding in run.json()["findings"]:
            self.assertIn("CRC32C", finding["text"])
        self.assert_failed(self.pbcopy("restore", self.directory, self.taken_from.url("restored")), DAMAGED)
        self.assertNotIn("parts/odd", self.taken_from.bucket("restored").list())

    def test_flipped_on_the_way(self):
        """What does not have the source's ETag is read again; in a repository, what does not have the CRC32C."""
        self.fill()
        flips = [f"fault flipped operation=GetObject key={key} times=1"
                 for key in ("folder/004", "folder/005", "parts/of-8-mib", "parts/odd", "whole")]
        self.taken_from.set_faults(*(f"fault flipped operation=GetObject key={key} times=1"
                                     for key in ("folder/003", "one", "parts/of-8-mib")))
        self.back_up(self.url, *CRC32C)
        self.assertEqual(self.taken_from.statistics()["faults"]["flipped"], 3)
        # What was written wrongly stays where it is, and is copied again to another place.
        self.assertEqual({record["key"] for record in self.records(self.url) if record.get("path")},
                         {"folder/003", "one"})
        self.taken_from.set_faults()
        self.stored_in.set_faults(*flips)
        self.assert_verified(self.url, len(self.bodies))
        self.assertEqual(self.stored_in.statistics()["faults"]["flipped"], 5)
        self.stored_in.set_faults(*flips)
        self.assert_restored(self.url)
        self.assertEqual(self.stored_in.statistics()["faults"]["flipped"], 10)

    def test_garbled_on_the_way_to_the_store(self):
        """The store says that what came is not what was sent; it is sent again."""
        self.fill()
        for arguments, bucket in ((CRC32C, "first"), (SHA256, "second")):
            with self.subTest(arguments=arguments):
                self.stored_in.client.create_bucket(Bucket=bucket)
                self.stored_in.reset_statistics()
                self.stored_in.set_faults("fault garbled operation=PutObject key=data/ times=3",
                                          "fault garbled operation=UploadPart times=3")
                url = self.stored_in.url(bucket)
                self.back_up(url, *arguments)
                told = self.stored_in.statistics()
                self.assertEqual(told["faults"]["garbled"], 6)
                self.assertGreaterEqual(told["refused"], 6)
                self.stored_in.set_faults()
                self.succeed("verify", url, "--read")

    def test_both_kinds_in_one_repository(self):
        for first, second in ((SHA256, CRC32C), (CRC32C, SHA256)):
            with self.subTest(first=first):
                url = f"file://{self.folder}/{first[1]}"
                old, new = f"{first[1]}/old", f"{first[1]}/new"
                self.put(old, some_bytes(25 * MIB, 5), 6 * MIB)
                self.back_up(url, "--prefix", first[1], *first)
                self.put(new, some_bytes(25 * MIB, 6), 7 * MIB)
                self.put(new + "-small", some_bytes(100, 7))
                self.back_up(url, "--prefix", first[1], *second)
                by_crc32c = {old} if first == CRC32C else {new, new + "-small"}
                self.assert_kinds(url, by_crc32c)
                self.assert_verified(url, len(by_crc32c), 3 - len(by_crc32c))
                self.succeed("restore", url, self.taken_from.url("restored"))
        self.assertEqual(self.taken_from.bucket("restored").digests(), self.source.digests())

    def test_taken_up(self):
        """What a failed run stored is read once more for its CRC32C."""
        self.fill()
        self.taken_from.set_faults("fault flipped operation=GetObject key=folder/011")
        run = self.pbcopy("backup", self.taken_from.url("source"), self.url, *CRC32C)
        self.assert_failed(run, FAILED)
        self.taken_from.set_faults()
        self.taken_from.reset_statistics()
        self.back_up(self.url, *CRC32C)
        # Those stored in parts, or with other ETags, move again; one of them twice: that its parts cannot be
        # learnt is not known before.
        again = sum(len(self.bodies[key]) for key in ("whole", "parts/of-8-mib", "parts/odd", "parts/odd"))
        self.assertLess(self.taken_from.statistics()["bytes_out"], again + MIB)
        self.assert_kinds(self.url, self.bodies)
        self.assertEqual(self.by_key()["parts/of-8-mib"]["crc32c"], crc32c(self.bodies["parts/of-8-mib"]))
        self.assert_verified(self.url, len(self.bodies))

    def test_refused(self):
        """A store that knows no checksums says so; pbcopy says what to do."""
        self.stored_in = self.origin("--no-checksums", buckets=("repository",))
        self.url = self.stored_in.url("repository")
        for key, size in (("small", 1000), ("large", 25 * MIB)):
            with self.subTest(key=key):
                self.put(key, some_bytes(size), 5 * MIB)
                run = self.pbcopy("copy", self.taken_from.url("source"), self.url, *CRC32C)
                self.assert_failed(run, FAILED, hint="--checksum sha256")
                self.assertIn("NotImplemented", run.stdout + run.stderr)
                self.succeed("copy", self.taken_from.url("source"), self.url, *SHA256)

    def test_the_origin_checks(self):
        """The origin itself, which the others rely on."""
        origin = self.origin(buckets=("bucket",), signed=False)

        def put(checksum):
            request = urllib.request.Request(origin.endpoint + "/bucket/key", data=b"123456789", method="PUT",
                                             headers={"x-amz-checksum-crc32c": checksum})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.headers["x-amz-checksum-crc32c"]
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode().split("<Code>")[1].split("<")[0]

        good = base64.b64encode(bytes.fromhex(crc32c(b"123456789"))).decode()
        self.assertEqual(put(good), (200, good))
        self.assertEqual(put("AAAAAA=="), (400, "BadDigest"))
        self.assertEqual(put("nonsense"), (400, "InvalidRequest"))


if __name__ == "__main__":
    scenario.main()
