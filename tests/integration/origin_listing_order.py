"""A store that lists in an order of its own, and pages that break the rules of a listing: what is backed up,
verified, restored and copied is right all the same, or the run fails and says why."""

import hashlib
import http.client
import http.server
import os
import random
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import DAMAGED, FAILED, USAGE, some_bytes

NOTE = "lists in an order of its own"
BOTH = ("--directory-order", "--directory-order=filter")


def bytewise(keys):
    return sorted(keys, key=lambda key: key.encode())


def mixed_keys(count, seed):
    """Keys of a few folders, in which a folder's name begins the names beside it."""
    dice = random.Random(seed)
    names = ("a", "b", "a-c", "a.d", "a b", "ab", "a0", "ä", "\U0001f600", "\ue000")
    keys = set()
    while len(keys) < count:
        keys.add("/".join(dice.choice(names) for _ in range(dice.randint(1, 4))) + f"{dice.randint(0, 99):02}")
    return keys


class Fast:
    """A bucket of an origin that checks no signatures: some thousand objects take no time."""

    def __init__(self, origin, name):
        self.origin, self.name = origin, name
        self.connection = http.client.HTTPConnection("127.0.0.1", origin.port)
        self._ask("PUT", "")

    def _ask(self, method, key, body=None):
        self.connection.request(method, f"/{self.name}/" + urllib.parse.quote(key), body)
        answer = self.connection.getresponse()
        got = answer.read()
        if answer.status // 100 != 2 and key:
            raise AssertionError(f"{method} {key}: {answer.status}")
        return got

    @property
    def url(self):
        return self.origin.url(self.name)

    def put_many(self, objects):
        for key, body in objects.items():
            self._ask("PUT", key, body)

    def get(self, key):
        return self._ask("GET", key)

    def delete(self, key):
        self._ask("DELETE", key)

    def list(self):
        return set(self.origin.bucket(self.name).list())

    def digests(self):
        return {key: hashlib.sha256(self.get(key)).hexdigest() for key in self.list()}


class Rewriting:
    """A proxy before an origin whose `rewrite` may change a listing: (target, keys of the page) -> bytes or None."""

    def __init__(self, origin, rewrite):
        outer = self
        self.origin, self.rewrite = origin, rewrite

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in ("connection", "content-length")}
                request = urllib.request.Request(outer.origin.endpoint + self.path, data=body, method=self.command,
                                                 headers=headers)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        status, got, told = answer.status, answer.read(), answer.headers
                except urllib.error.HTTPError as error:
                    status, got, told = error.code, error.read(), error.headers
                query = urllib.parse.urlsplit(self.path).query
                if self.command == "GET" and "list-type=2" in query and status == 200:
                    got = outer.rewrite(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), got)
                self.send_response_only(status)
                for name, value in told.items():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                length = told["Content-Length"] if self.command == "HEAD" else len(got)
                if status != 204:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(got)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *arguments):
                pass  # the client ended its run

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, bucket):
        return f"s3://{bucket}?endpoint=http://127.0.0.1:{self.server.server_port}&region=us-east-1"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def entries(page):
    return re.findall(rb"<Contents>.*?</Contents>", page, re.DOTALL)


class ListingOrder(scenario.Scenario):
    def store(self, *arguments):
        return self.origin(*arguments, signed=False)

    def assert_noted(self, run):
        self.assertEqual(run.stderr.count(NOTE), 1, run)

    def snapshot_keys(self, url):
        return [record["key"] for record in self.records(url)]

    def assert_intact(self, url, source, destination):
        """The newest snapshot of the repository is the source, and restores as it."""
        self.assertEqual(self.snapshot_keys(url), bytewise(source.list()))
        self.assertEqual(self.succeed("verify", url, "--json").json()["objects"], len(source.list()))
        self.succeed("verify", url, "--read")
        for key in destination.list():
            destination.delete(key)
        run = self.succeed("restore", url, destination.url, "--json")
        self.assertEqual(run.json()["written_objects"], len(source.list()))
        self.assertEqual(destination.digests(), source.digests())

    def test_five_new_keys_in_a_folder(self):
        """The folder a/ comes before a-00000: the range up to a-00848 sees a/new0, and is not over."""
        for order in BOTH:
            with self.subTest(order):
                store, plain = self.store(order), self.store()
                source, again = Fast(store, "source"), Fast(plain, "again")
                url = Fast(plain, "repository").url
                source.put_many({f"a-{i:05}": some_bytes(10, i) for i in range(2600)})
                first = self.succeed("backup", source.url, url, "--json").json()
                self.assertEqual(first["snapshot"]["objects"], 2600)
                source.put_many({f"a/new{i}": some_bytes(10, -i) for i in range(5)})
                scratch = os.path.join(self.folder, f"scratch{order[-6:]}")
                os.mkdir(scratch)
                arguments = ("backup", source.url, url, "--scratch", scratch)
                dry = self.succeed(*arguments, "--dry-run", "--json").json()
                self.assertEqual((dry["snapshot"]["objects"], dry["gone_objects"]), (2605, 0))
                run = self.succeed(*arguments, "--json")
                self.assert_noted(run)
                self.assertIn(scratch, run.stderr)
                second = run.json()
                self.assertEqual(second["gone_objects"], 0)
                self.assertEqual(second["snapshot"]["objects"], 2605)
                self.assertEqual(second["snapshot"]["copied_objects"], 5)
                self.assert_intact(url, source, again)
                # The next run knows; and what is deleted then is gone.
                source.delete("a-00001")
                source.delete("a/new3")
                store.reset_statistics()
                third = self.succeed(*arguments, "--json").json()
                self.assertEqual((third["gone_objects"], third["snapshot"]["objects"]), (2, 2603))
                self.assertEqual(third["snapshot"]["copied_objects"], 0)
                self.assertEqual(store.statistics()["ListObjectsV2"], 3)
                self.assertEqual(os.listdir(scratch), [])

    def test_all_ends_on_such_a_store(self):
        """Small pages and many ranges; source, repository and destination of the same kind."""
        for order in BOTH:
            with self.subTest(order):
                store = self.store(order, "--page-size", "10")
                source, again, copied = Fast(store, "source"), Fast(store, "again"), Fast(store, "copied")
                repository = Fast(store, "repository")
                url = repository.url
                keys = mixed_keys(600, order)
                source.put_many({key: some_bytes(20, key) for key in keys})
                run = self.succeed("backup", source.url, url)
                self.assertIn(NOTE, run.stderr)
                self.assert_intact(url, source, again)
                # Some go, some come, some change.
                some = bytewise(keys)
                for key in some[::7]:
                    source.delete(key)
                # A repository that remembers it is sorted from the start.
                mark = repository.get("pbcopy.json")
                self.assertIn(b'"ordered_listing":false', mark)
                run = self.succeed("verify", url, "--json")
                self.assert_noted(run)
                self.assertEqual(run.json()["objects"], len(keys))
                source.put_many({key: some_bytes(20, "new" + key) for key in mixed_keys(100, "more")})
                source.put_many({key: some_bytes(21, "other" + key) for key in some[1::50]})
                run = self.succeed("backup", source.url, url, "--json")
                self.assertEqual(run.json()["gone_objects"], len(set(some) - source.list()))
                self.assert_intact(url, source, again)
                # Copies: a whole one, one of what is new.
                arguments = ("copy", source.url, copied.url, "--json")
                self.assertEqual(self.succeed(*arguments, "--dry-run").json()["copied_objects"], len(source.list()))
                self.assertEqual(copied.list(), set())
                told = self.succeed(*arguments).json()
                self.assertEqual((told["copied_objects"], told["unchanged_objects"]), (len(source.list()), 0))
                self.assertEqual(copied.digests(), source.digests())
                source.put_many({"a/fresh": some_bytes(20)})
                told = self.succeed(*arguments).json()
                self.assertEqual((told["copied_objects"], told["extra_objects"]), (1, 0))
                self.assertEqual(copied.digests(), source.digests())
                # What the listing of the repository does not show is missing, nothing else.
                lost = next(record for record in self.records(url) if record["key"].startswith("a"))
                repository.delete(f"data/{lost['at']}/{lost['key']}")
                run = self.pbcopy("verify", url, "--json")
                self.assert_failed(run, DAMAGED)
                self.assertEqual([each["finding"] for each in run.json()["findings"]], ["missing"])

    def test_a_repository_that_was_in_order(self):
        """verify begins again when it finds the disorder, and counts nothing twice."""
        store = self.store("--directory-order", "--page-size", "10")
        source, repository = Fast(store, "source"), Fast(store, "repository")
        source.put_many({key: some_bytes(20, key) for key in mixed_keys(300, 5)})
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        mark = repository.get("pbcopy.json")
        folder = f"data/{told['snapshot']['id']}"
        repository.put_many({
            "pbcopy.json": mark.replace(b'"ordered_listing":false', b'"ordered_listing":true'),
            f"{folder}/a-orphan": b"x", f"{folder}/a/orphan": b"x", f"{folder}/b/orphan": b"x"})
        self.assertNotEqual(repository.get("pbcopy.json"), mark)
        run = self.succeed("verify", repository.url, "--json")
        self.assert_noted(run)
        self.assertEqual((run.json()["objects"], run.json()["orphans"]), (300, 3))

    def test_restore_leaves_other_bytes_alone(self):
        """Objects of the destination that its listing shows too late are not written over."""
        plain, store = self.store(), self.store("--directory-order", "--page-size", "100")
        source, destination = Fast(plain, "source"), Fast(store, "destination")
        repository = Fast(plain, "repository").url
        names = [f"a-{i:04}" for i in range(400)] + [f"a/{i}" for i in range(5)]
        source.put_many({name: b"right" for name in names})
        self.succeed("backup", source.url, repository)
        destination.put_many({name: b"other" for name in names[::3] + ["a/4"]})
        before = destination.digests()
        run = self.pbcopy("restore", repository, destination.url, "--json")
        self.assert_failed(run, FAILED, says="differ")
        self.assertEqual(run.json()["differing_objects"], len(before))
        after = destination.digests()
        self.assertEqual({key: after[key] for key in before}, before)
        self.assertEqual(len(after), len(names))
        self.succeed("restore", repository, destination.url, "--overwrite")
        self.assertEqual(destination.digests(), source.digests())

    def test_resumed(self):
        """Parts that a run stored before it was killed are checked where they end, too."""
        for order in BOTH:
            with self.subTest(order):
                store, plain = self.store(order, "--page-size", "20"), self.store()
                source, again = Fast(store, "source"), Fast(plain, "again")
                url = Fast(plain, "repository").url
                source.put_many({key: some_bytes(30, key) for key in mixed_keys(600, 3)})
                plain.set_faults("fault slow delay=20 operation=PutObject")
                plain.reset_statistics()
                running = self.begin("backup", source.url, url)
                scenario.wait_until(lambda: plain.statistics()["PutObject"] > 300 or running.is_over())
                running.kill()
                running.wait()
                plain.set_faults()
                run = self.succeed("backup", source.url, url)
                self.assert_noted(run)
                self.assert_intact(url, source, again)

    def rewritten(self, rewrite, keys):
        """The source behind a proxy; and the repository."""
        store = self.store("--page-size", "40")
        Fast(store, "source").put_many({key: some_bytes(10, key) for key in keys})
        proxy = Rewriting(store, rewrite)
        self.addCleanup(proxy.stop)
        return proxy.url("source"), Fast(store, "repository").url

    def test_pages_that_break_the_rules(self):
        """Each is sorted, and nothing is lost or there twice."""
        keys = [f"k{i:04}" for i in range(400)]

        def repeats(query, page):
            return page.replace(entries(page)[0], entries(page)[0] * 2, 1) if entries(page) else page

        def goes_back(query, page):
            found = entries(page)
            return page.replace(found[-1], found[-1] + found[0]) if len(found) > 1 else page

        def changes_order(query, page):
            found = entries(page)
            if query.get("continuation-token", "").endswith("9") and len(found) > 1:
                return page.replace(b"".join(found), b"".join(reversed(found)))
            return page

        def outside(query, page):
            found = entries(page)
            if query.get("start-after") and found:
                return page.replace(found[0], re.sub(rb"<Key>.*?</Key>", b"<Key>k0000</Key>", found[0]) + found[0])
            return page

        for rewrite in (repeats, goes_back, changes_order, outside):
            with self.subTest(rewrite.__name__):
                source, repository = self.rewritten(rewrite, keys)
                self.assert_noted(self.succeed("backup", source, repository))
                self.assertEqual(self.snapshot_keys(repository), keys)
                self.assertEqual(self.succeed("verify", repository, "--json").json()["objects"], 400)

    def test_a_key_that_is_skipped_between_ranges(self):
        """The range up to the first cut never shows the key behind it: the ranges do not fit."""
        keys = [f"k{i:04}" for i in range(400)]

        def skips(query, page):
            """A page from a place leaves out what comes first; the range before has seen it."""
            found = entries(page)
            return page.replace(found[0], b"") if query.get("start-after") and found else page

        source, repository = self.rewritten(skips, keys)
        self.assert_noted(self.succeed("backup", source, repository))
        self.assertEqual(self.snapshot_keys(repository), keys)

    def test_a_listing_that_never_ends(self):
        """It is in disorder, and in one sequence its last page leads to its second one."""
        second = {}

        def circle(query, page):
            if query.get("start-after"):
                return re.sub(rb"<Key>k", b"<Key>a", page)
            token = re.search(rb"<NextContinuationToken>(.*?)<", page)
            if token:
                second.setdefault("token", token[1])
                return page
            return page.replace(b"<IsTruncated>false<", b"<IsTruncated>true<").replace(
                b"<KeyCount>", b"<NextContinuationToken>" + second["token"] + b"</NextContinuationToken><KeyCount>")

        source, repository = self.rewritten(circle, [f"k{i:03}" for i in range(400)])
        self.fail_with(FAILED, "backup", source, repository, says=("lead to themselves", "source"))
        self.assertEqual(self.committed(repository), [])

    def test_scratch(self):
        """Where there is no folder, or no room in it, the error says so before anything is lost."""
        store, plain = self.store("--directory-order"), self.store()
        source = Fast(store, "source")
        source.put_many({f"a-{i:04}": b"x" for i in range(1200)} | {"a/b": b"x"})
        repository = Fast(plain, "repository").url
        arguments = ("backup", source.url, repository, "--scratch")
        self.fail_with(USAGE, *arguments, os.path.join(self.folder, "nowhere"), says="nowhere")
        file = os.path.join(self.folder, "file")
        with open(file, "w", encoding="ascii"):
            pass
        self.fail_with(USAGE, *arguments, file, says="file")
        full = os.path.join(self.folder, "full")
        os.mkdir(full)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", full], capture_output=True,
                          check=False).returncode:
            self.skipTest("a tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", full], check=True)
        self.fail_with(FAILED, *arguments, full, says=("no space left", full), hint="--scratch")
        self.assertEqual(self.committed(repository), [])


if __name__ == "__main__":
    scenario.main()
