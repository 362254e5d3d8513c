"""Google Cloud Storage as source, repository and destination, on origin's dialect of it: what passes through, stays
byte for byte and attribute for attribute, whatever goes wrong on the way; and what does not is said."""

import gzip
import hashlib
import json
import os
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import google_endpoints
import scenario
from gcs_store import GcsStore
from scenario import BUSY, DAMAGED, FAILED, OK, REFUSED, some_bytes

MIB = 1 << 20
ATTRIBUTES = ("ContentType", "Metadata", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")

# A few per cent each of what networks and the service do.
USUAL = [
    "fault error500 probability=0.03",
    "fault error503 probability=0.03",
    "fault error429 probability=0.03",
    "fault reset probability=0.02",
    "fault reset-after probability=0.03",
    "fault truncated probability=0.03",
    "fault slow probability=0.01 delay=300",
    # Of what is shorter than 512 KiB this keeps nothing.
    *(f"fault partial operation=uploads.chunk key={key} probability=0.4" for key in ("large", "composed", "parts")),
    "fault gone operation=uploads.chunk times=1 after=3",
]


def gs(server, bucket, prefix="", **query):
    """The URL of a bucket, as pbcopy takes it."""
    members = "".join(f"&{name}={value}" for name, value in query.items())
    return f"gs://{bucket}" + (f"/{prefix}" if prefix else "") + f"?endpoint={server.endpoint}{members}"


class Gcs(scenario.Scenario):
    def serve(self, *arguments, buckets=(), **more):
        server = self.origin("--gcs-rewrite-bytes", "1M", *arguments, buckets=buckets, **more)
        server.store = GcsStore(server.endpoint)
        return server

    def put(self, server, bucket, key, body, **resource):
        """Large ones as an upload of several chunks, as Google's own clients do."""
        if len(body) <= 8 * MIB:
            answer = server.store.put_multipart(bucket, {"name": key, **resource}, body,
                                                resource.get("contentType", "text/plain"))
        else:
            answer = server.store.start_upload(bucket, {"name": key, **resource})
            answer = server.store.put_chunk(answer.headers["location"], body)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def compose(self, server, bucket, key, pieces, **resource):
        """Such an object has no MD5."""
        names = [f"piece-{number}-of-{key}" for number in range(len(pieces))]
        for name, piece in zip(names, pieces):
            self.put(server, bucket, name, piece)
        answer = server.store.compose(bucket, key, [{"name": name} for name in names], resource)
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("md5Hash", answer.json())
        for name in names:
            self.assertEqual(server.store.delete(bucket, name).status, 204)

    def fill(self, server, bucket="source", small=60):
        for number in range(small):
            more = {"metadata": {"number": str(number)}, "cacheControl": "no-store"} if number % 3 == 0 else {}
            self.put(server, bucket, f"folder-{number % 7}/{number:03}", some_bytes(number * 7, number), **more)
        self.put(server, bucket, "empty", b"")
        self.put(server, bucket, "empty with metadata", b"", metadata={"is": "empty"})
        every = {"contentType": "text/x", "cacheControl": "max-age=5", "contentDisposition": "inline; filename=\"ä\"",
                 "contentLanguage": "de", "metadata": {"one": "1 2", "two": "a: b"}}
        self.put(server, bucket, "medium", some_bytes(3 * MIB + 1), **every)
        self.put(server, bucket, "large", some_bytes(26 * MIB + 5), **every)
        self.put(server, bucket, "eight", some_bytes(8 * MIB), **every)
        self.compose(server, bucket, "composed", [some_bytes(1000), some_bytes(70000, 2)], contentType="text/y")
        self.compose(server, bucket, "composed and large", [some_bytes(20 * MIB, 3), some_bytes(6 * MIB, 4)],
                     metadata={"pieces": "2"})
        packed = gzip.compress(b"words and words " * 100000)
        self.put(server, bucket, "packed", packed, contentEncoding="gzip", contentType="text/plain")
        self.put(server, bucket, "packed/bare", packed, contentEncoding="gzip")
        self.put(server, bucket, "packed/large", gzip.compress(some_bytes(25 * MIB)), contentEncoding="gzip")
        self.put(server, bucket, "ä/ö?#%2F + &", b"odd")

    def check(self, source, repository, target, target_url, same=ATTRIBUTES):
        """A clean repository, and the source's bytes out of it."""
        self.assertEqual(len(self.committed(repository)), 1)
        self.succeed("verify", repository, "--read")
        self.succeed("restore", repository, target_url)
        self.assert_same_objects(source, target, same)

    def faults_of(self, *servers):
        found = {}
        for server in set(servers):
            for kind, count in server.statistics()["faults"].items():
                found[kind] = found.get(kind, 0) + count
        return found


class Pairs(Gcs):
    """Each pair with another kind of store, and within one, without faults and with."""

    def ride(self, source_server, source_url, repository_server, repository_url, restored, restored_url, *plan,
             same=ATTRIBUTES):
        """Backup, verify and restore, all under the plan."""
        servers = {server for server in (source_server, repository_server, restored.origin) if server}
        for server in servers:
            server.reset_statistics()
            server.set_faults("seed 5", *plan)
        self.succeed("backup", source_url, repository_url, "--parallel", "16", "--memory", "64M")
        self.succeed("verify", repository_url, "--read")
        self.succeed("restore", repository_url, restored_url)
        if plan:
            self.assertGreater(sum(self.faults_of(*servers).values()), 20, "the plan did nothing")
        for server in servers:
            server.set_faults()
        if same is None:
            source = source_server.bucket("source")
            self.assertEqual(source.digests(), restored.digests())
        else:
            self.assert_same_objects(source_server.bucket("source"), restored, same)
        self.assertEqual(len(self.committed(repository_url)), 1)
        self.succeed("verify", repository_url, "--read")

    def each_way(self, pair):
        for name, plan in (("plain", []), ("faults", USUAL)):
            with self.subTest(name):
                pair(name, *plan)

    def test_inside_one(self):
        server = self.serve(buckets=("source",))
        self.fill(server)

        def pair(name, *plan):
            for bucket in (f"repository-{name}", f"restored-{name}"):
                server.store.make_bucket(bucket)
            self.ride(server, gs(server, "source"), server, gs(server, f"repository-{name}", "pre/fix"),
                      server.bucket(f"restored-{name}"), gs(server, f"restored-{name}"), *plan)
            counts = server.statistics()
            # Copies are made inside the store, in calls of a mebibyte.
            self.assertGreater(counts["objects.rewrite"], 150)
            self.assertEqual(counts.get("uploads.chunk", 0), 0)

        self.each_way(pair)

    def test_between_two(self):
        first, second = self.serve(buckets=("source",)), self.serve()
        self.fill(first)
        # With an MD5 they go in chunks from 64 MiB on.
        self.put(first, "source", "largest", some_bytes(66 * MIB), metadata={"chunks": "many"})

        def pair(name, *plan):
            for bucket in (f"repository-{name}", f"restored-{name}"):
                second.store.make_bucket(bucket)
            self.ride(first, gs(first, "source"), second, gs(second, f"repository-{name}"),
                      second.bucket(f"restored-{name}"), gs(second, f"restored-{name}"), *plan)
            # What was composed has an MD5 now, and still its bytes.
            self.assertGreater(second.statistics()["uploads.chunk"], 10)
            if plan:
                faults = self.faults_of(first, second)
                self.assertGreater(faults["partial"], 2, faults)
                self.assertEqual(faults["gone"], 1, faults)

        self.each_way(pair)

    def test_to_s3(self):
        first, second = self.serve(buckets=("source",)), self.serve()
        self.fill(first)

        def pair(name, *plan):
            for bucket in (f"repository-{name}", f"restored-{name}"):
                second.client.create_bucket(Bucket=bucket)
            self.ride(first, gs(first, "source"), second, second.url(f"repository-{name}"),
                      second.bucket(f"restored-{name}"), second.url(f"restored-{name}"), *plan)

        self.each_way(pair)

    def test_from_s3(self):
        first, second = self.serve(buckets=("source",)), self.serve()
        source = first.bucket("source")
        for number in range(100):
            source.put(f"folder-{number % 7}/{number:03}", some_bytes(number * 7, number), Metadata={"n": str(number)})
        source.put("empty", b"")
        source.put("large", some_bytes(26 * MIB), ContentType="image/x", CacheControl="no-store")
        for part_bytes in (5, 8, 16):
            source.put_parts(f"parts-of-{part_bytes}", some_bytes(33 * MIB, part_bytes), part_bytes * MIB,
                             Metadata={"kept": "yes"}, ContentLanguage="de")
        source.put_parts("parts-of-odd", some_bytes(21 * MIB), 5 * MIB + 1)

        def pair(name, *plan):
            for bucket in (f"repository-{name}", f"restored-{name}"):
                second.store.make_bucket(bucket)
            self.ride(first, first.url("source"), second, gs(second, f"repository-{name}"),
                      second.bucket(f"restored-{name}"), gs(second, f"restored-{name}"), *plan)

        self.each_way(pair)

    def test_from_and_to_a_directory(self):
        """A directory keeps no attributes."""
        first, second = self.serve(buckets=("source",)), self.serve()
        source = first.bucket("source")
        for number in range(60):
            source.put(f"folder-{number % 7}/{number:03}", some_bytes(number * 7, number))
        source.put("large", some_bytes(26 * MIB + 1))
        self.compose(first, "source", "composed", [some_bytes(9 * MIB, 1), some_bytes(9 * MIB, 2)])

        def pair(name, *plan):
            for bucket in (f"repository-{name}", f"restored-{name}", f"again-{name}"):
                second.store.make_bucket(bucket)
            folder = f"{self.folder}/{name}"
            self.ride(first, gs(first, "source"), None, f"file://{folder}/repository",
                      second.bucket(f"restored-{name}"), gs(second, f"restored-{name}"), *plan, same=None)
            self.succeed("copy", gs(first, "source"), f"file://{folder}/copy")
            self.ride(first, f"file://{folder}/copy", second, gs(second, f"repository-{name}"),
                      second.bucket(f"again-{name}"), gs(second, f"again-{name}"), *plan, same=None)

        self.each_way(pair)


class Changes(Gcs):
    """What happens to objects while they are looked at, and between two looks."""

    def setUp(self):
        super().setUp()
        self.first = self.serve(buckets=("source", "repository", "restored"))
        self.second = self.serve(buckets=("repository", "restored"))

    def meanwhile(self, server, operation, act, run):
        """Does it while the first such request is under way."""
        running = self.begin(*run)
        scenario.wait_until(lambda: server.statistics()["faults"]["slow"] > 0 or running.is_over(), 60, operation)
        act()
        return running.wait()

    def overwrite(self, repository, slow, *arguments):
        """Bytes of both are of one length, so that nothing but the generation tells them apart early."""
        old, new, key = some_bytes(20 * MIB, 1), some_bytes(20 * MIB, 2), "key"
        self.put(self.first, "source", key, old, metadata={"is": "old"})
        self.put(self.first, "source", "another", b"beside it")
        self.first.reset_statistics()
        self.first.set_faults(f"fault slow operation={slow} key={key} delay=1500 times=1")
        run = self.meanwhile(self.first, slow, lambda: self.put(self.first, "source", key, new, metadata={"is": "new"}),
                             ["backup", gs(self.first, "source"), repository, "--memory", "64M", "--json", *arguments])
        self.assertEqual(self.faults_of(self.first)["slow"], 1)
        self.first.set_faults()
        # What was listed is not there any more: what is there is taken, by this run or by the next.
        if arguments:
            self.assert_failed(run, FAILED, "could not be copied")
            self.assertEqual(self.committed(repository), [])
            self.succeed("backup", gs(self.first, "source"), repository)
        else:
            self.assertEqual((run.exit_code, run.json()["changed_objects"]), (OK, 1), run)
        self.succeed("verify", repository, "--read")
        self.succeed("restore", repository, gs(self.second, "restored"))
        self.assert_same_objects(self.first.bucket("source"), self.second.bucket("restored"))
        self.assertEqual(self.second.bucket("restored").head(key)["Metadata"], {"is": "new"})

    def test_written_over_while_it_is_read(self):
        self.overwrite(gs(self.second, "repository"), "objects.download")

    def test_written_over_while_it_is_read_strictly(self):
        self.overwrite(gs(self.second, "repository"), "objects.download", "--strict")

    def test_written_over_while_it_is_copied(self):
        self.overwrite(gs(self.first, "repository"), "objects.rewrite")

    def test_written_over_while_it_is_copied_strictly(self):
        self.overwrite(gs(self.first, "repository"), "objects.rewrite", "--strict")

    def test_metadata_alone(self):
        """Its generation and bytes stay: the metageneration tells."""
        for number in range(10):
            self.put(self.first, "source", f"key-{number}", some_bytes(100, number), metadata={"is": "old"})
        for repository, target in ((gs(self.first, "repository"), "restored"), (gs(self.second, "repository"), None)):
            with self.subTest(repository):
                value = "new" if target else "newest"
                self.succeed("backup", gs(self.first, "source"), repository)
                patched = self.first.store.patch("source", "key-3", {"metadata": {"is": value}})
                self.assertEqual(patched.status, 200, patched)
                told = self.succeed("backup", gs(self.first, "source"), repository, "--json").json()
                self.assertEqual(len(self.committed(repository)), 2)
                self.succeed("verify", repository, "--read")
                self.second.store.make_bucket(f"restored-{value}")
                self.succeed("restore", repository, gs(self.second, f"restored-{value}"))
                restored = self.second.bucket(f"restored-{value}")
                self.assert_same_objects(self.first.bucket("source"), restored)
                self.assertEqual(restored.head("key-3")["Metadata"], {"is": value}, told)

    def test_two_runs_at_once(self):
        """Names that others may write are decided by the store."""
        for number in range(50):
            self.put(self.first, "source", f"key-{number}", some_bytes(100, number))
        repository = gs(self.second, "repository")
        runs = [self.begin("backup", gs(self.first, "source"), repository) for _ in range(3)]
        ended = [run.wait() for run in runs]
        for run in ended:
            self.assertIn(run.exit_code, (OK, BUSY), run)
        good = sum(run.exit_code == OK for run in ended)
        self.assertGreaterEqual(good, 1)
        self.assertEqual(len(self.committed(repository)), good)
        self.succeed("verify", repository, "--read")
        self.succeed("restore", repository, gs(self.second, "restored"))
        self.assert_same_objects(self.first.bucket("source"), self.second.bucket("restored"))


class Bytes(Gcs):
    """Bytes that change on their way, or in the store."""

    def setUp(self):
        super().setUp()
        self.first = self.serve(buckets=("source", "restored"))
        self.second = self.serve(buckets=("repository", "restored"))
        for number in range(10):
            self.put(self.first, "source", f"small-{number}", some_bytes(1000, number))
        self.put(self.first, "source", "with metadata", some_bytes(70000), metadata={"a": "b"})
        self.put(self.first, "source", "large", some_bytes(9 * MIB))
        # Without an MD5 they go in chunks from 24 MiB on.
        self.compose(self.first, "source", "composed", [some_bytes(9 * MIB, 1), some_bytes(20 * MIB, 2)])

    def repository(self, at):
        return f"file://{self.folder}/repository" if at == "file" else gs(self.second, "repository")

    def test_flipped_as_they_are_read(self):
        keys = ["small-3", "large", "composed", "with%20metadata"]
        for at in ("file", "gs"):
            with self.subTest(at):
                self.first.reset_statistics()
                self.first.set_faults(*(f"fault flipped operation=objects.download key={key} times=1" for key in keys))
                self.succeed("backup", gs(self.first, "source"), self.repository(at))
                self.assertEqual(self.faults_of(self.first)["flipped"], len(keys))
                self.first.set_faults()
                self.succeed("verify", self.repository(at), "--read")
                self.succeed("restore", self.repository(at), gs(self.first, "restored"))
                self.assertEqual(self.first.bucket("source").digests(), self.first.bucket("restored").digests())
                for key in self.first.bucket("restored").list():
                    self.first.bucket("restored").delete(key)

    def test_garbled_as_they_are_written(self):
        """The store has the digest before it makes the object."""
        self.second.set_faults("fault garbled operation=objects.insert key=small times=2",
                               "fault garbled operation=uploads.chunk times=1 after=3")
        self.succeed("backup", gs(self.first, "source"), self.repository("gs"))
        self.assertEqual(self.faults_of(self.second)["garbled"], 3)
        self.second.set_faults()
        self.check(self.first.bucket("source"), self.repository("gs"), self.second.bucket("restored"),
                   gs(self.second, "restored"))

    def test_flipped_in_the_store(self):
        """No client can know as it writes; a verification that reads does."""
        self.second.set_faults("fault flipped operation=objects.insert key=small-3 times=1",
                               "fault flipped operation=uploads.chunk times=1 after=2")
        self.succeed("backup", gs(self.first, "source"), self.repository("gs"))
        self.assertEqual(self.faults_of(self.second)["flipped"], 2)
        self.second.set_faults()
        run = self.pbcopy("verify", self.repository("gs"), "--read")
        self.assertEqual(run.exit_code, DAMAGED, run)
        run = self.pbcopy("restore", self.repository("gs"), gs(self.first, "restored"))
        self.assertEqual(run.exit_code, DAMAGED, run)
        source, restored = self.first.bucket("source").digests(), self.first.bucket("restored").digests()
        self.assertEqual({key: source[key] for key in restored}, restored)

    def test_lost(self):
        self.second.set_faults("fault lost operation=objects.insert key=small-3 times=1")
        run = self.pbcopy("backup", gs(self.first, "source"), self.repository("gs"))
        self.second.set_faults()
        self.assertEqual(self.faults_of(self.second)["lost"], 1)
        if run.exit_code == OK:
            self.assertEqual(self.pbcopy("verify", self.repository("gs")).exit_code, DAMAGED)

    def test_sessions_that_are_lost_again_and_again(self):
        """A run that gets nowhere says so, and commits nothing."""
        self.second.set_faults("fault gone operation=uploads.chunk")
        run = self.pbcopy("backup", gs(self.first, "source"), self.repository("gs"))
        self.assertNotEqual(run.exit_code, OK)
        self.assertEqual(self.committed(self.repository("gs")), [])
        self.second.set_faults()
        self.succeed("backup", gs(self.first, "source"), self.repository("gs"))
        self.check(self.first.bucket("source"), self.repository("gs"), self.second.bucket("restored"),
                   gs(self.second, "restored"))

    def test_chunks_that_come_in_small_pieces(self):
        """Of each chunk a share is taken, and some break off."""
        self.second.set_faults("seed 3", "fault partial operation=uploads.chunk key=composed probability=0.7",
                               "fault reset operation=uploads.chunk probability=0.2",
                               "fault error503 operation=uploads.status probability=0.2")
        self.succeed("backup", gs(self.first, "source"), self.repository("gs"))
        self.assertGreater(self.faults_of(self.second)["partial"], 0)
        self.second.set_faults()
        self.check(self.first.bucket("source"), self.repository("gs"), self.second.bucket("restored"),
                   gs(self.second, "restored"))


class Logins(Gcs):
    """Tokens that end while a run is under way."""

    def setUp(self):
        super().setUp()
        self.first = self.serve("--gcs-token", "tests-only", buckets=("source", "restored"), log=True)
        self.second = self.serve("--gcs-token", "tests-only", buckets=("repository",))
        for server in (self.first, self.second):
            server.store.token = "tests-only"
        self.endpoints = google_endpoints.GoogleEndpoints()
        self.addCleanup(self.endpoints.stop)
        self.valid = []  # (token, until)
        self.lock = threading.Lock()
        issue = self.endpoints.issue

        def issue_and_let_in(*arguments):
            status, text = issue(*arguments)
            if status == 200:
                with self.lock:
                    self.valid.append((json.loads(text)["access_token"], time.monotonic() + self.endpoints.life_s))
                self.let_in()
            return status, text

        self.endpoints.issue = issue_and_let_in
        for name in ("source", "repository", "destination"):
            with open(f"{self.folder}/{name}.json", "w", encoding="ascii") as file:
                json.dump(self.endpoints.authorized_user(), file)
            os.chmod(f"{self.folder}/{name}.json", 0o600)
        self.logins = {f"PBCOPY_{name.upper()}_GOOGLE_CREDENTIALS": f"{self.folder}/{name}.json"
                       for name in ("source", "repository", "destination")}

    def let_in(self):
        with self.lock:
            left = [(token, until - time.monotonic()) for token, until in self.valid]
        text = "tests-only\n" + "".join(f"{token} {max(1, round(s))}\n" for token, s in left if s > 0)
        for server in (self.first, self.second):
            request = urllib.request.Request(server.endpoint + "/?origin-gcs-tokens", data=text.encode(), method="PUT")
            with urllib.request.urlopen(request, timeout=60):
                pass

    def fill_some(self):
        for number in range(40):
            self.put(self.first, "source", f"key-{number:02}", some_bytes(2000, number),
                     **({"metadata": {"n": str(number)}} if number % 2 else {}))
        self.put(self.first, "source", "large", some_bytes(26 * MIB))

    def finish(self, run):
        self.assertEqual(run.exit_code, OK, run)
        for secret in self.endpoints.secrets():
            self.assertNotIn(secret, run.stdout + run.stderr)
        self.assertEqual(self.endpoints.problems, [])
        repository = gs(self.second, "repository")
        self.succeed("verify", repository, "--read", **self.logins)
        self.succeed("restore", repository, gs(self.first, "restored"), **self.logins)
        self.assert_same_objects(self.first.bucket("source"), self.first.bucket("restored"))

    def test_short_lives(self):
        """Renewed before they end, so that nothing is refused."""
        self.fill_some()
        self.endpoints.life_s = 4
        for server in (self.first, self.second):
            server.set_faults("fault slow operation=objects.download delay=500",
                              "fault slow operation=uploads.chunk delay=2000")
        run = self.pbcopy("backup", gs(self.first, "source"), gs(self.second, "repository"), "--parallel", "2", "-v",
                          **self.logins)
        self.assertGreater(run.seconds, 8, run)
        self.assertGreater(len(self.endpoints.storage_tokens), 4)
        for server in (self.first, self.second):
            server.set_faults()
        self.endpoints.life_s = 3600
        self.finish(run)

    def test_revoked_under_way(self):
        """Refused with 401: another is fetched, and the request goes out again."""
        self.fill_some()
        for server in (self.first, self.second):
            server.set_faults("fault slow operation=objects.download delay=300",
                              "fault slow operation=uploads.chunk delay=1000")
        running = self.begin("backup", gs(self.first, "source"), gs(self.second, "repository"), "--parallel", "2",
                             **self.logins)
        for count in (5, 15, 30):
            scenario.wait_until(lambda: self.first.statistics().get("objects.download", 0) >= count
                                or running.is_over(), 60)
            self.assertFalse(running.is_over())
            with self.lock:
                self.valid.clear()
            self.let_in()
            time.sleep(1.2) # the provider asks once a second at most
        run = running.wait()
        for server in (self.first, self.second):
            server.set_faults()
        self.assertGreater(len(self.endpoints.storage_tokens), 4)
        self.finish(run)

    def test_refused_now_and_then(self):
        self.fill_some()
        for server in (self.first, self.second):
            server.set_faults("seed 1", "fault error401 probability=0.05")
        run = self.pbcopy("backup", gs(self.first, "source"), gs(self.second, "repository"), **self.logins)
        self.assertGreater(sum(self.faults_of(self.first, self.second).values()), 3)
        for server in (self.first, self.second):
            server.set_faults()
        self.finish(run)

    def test_without_rights(self):
        self.fill_some()
        run = self.pbcopy("backup", gs(self.first, "source"), gs(self.second, "repository"))
        self.assert_failed(run, REFUSED, hint="login")


if __name__ == "__main__":
    scenario.main()
