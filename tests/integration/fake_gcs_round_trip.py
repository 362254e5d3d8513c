"""The contract of all pairs (tests/support/store_contract.py) on fake-gcs-server: source, repository and destination.

It is not like Google's service in much (the docstring of gcs_servers.py). What pbcopy notices of that: a change of
metadata alone moves neither metageneration nor the time of the last change, so that no backup sees it. A resumable
upload that is asked where it stands ends there: such an object fails, or is moved once more, and is never taken for
whole. Rewrites pass conditions over, so that only what pbcopy looks at beforehand keeps damaged objects from being
restored."""

import contextlib
import os
import socket
import socketserver
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from fake_gcs_server import FakeGcsServer
from gcs_store import GcsStore
from places import FolderPlace, GcsPlace, S3Place
from scenario import some_bytes
from store_contract import Contract

MIB = 1 << 20


class CuttingFront:
    """A server's port that breaks connections off in the middle of what they send, so many times."""

    def __init__(self, port, cuts, after_bytes):
        self.cuts = cuts
        front = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection(("127.0.0.1", port)) as server:
                    threading.Thread(target=pass_on, args=(server, self.request), daemon=True).start()
                    pass_on(self.request, server, after_bytes, front)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # connections end in any way here

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def pass_on(reader, writer, after_bytes=0, front=None):
    passed = 0
    while piece := reader.recv(1 << 16):
        writer.sendall(piece)
        passed += len(piece)
        if front and front.cuts and passed > after_bytes:
            front.cuts -= 1
            break
    for end in (reader, writer):
        with contextlib.suppress(OSError):  # the other direction was first
            end.shutdown(socket.SHUT_RDWR)


class FakeGcsPlace(GcsPlace):
    """It takes every name. pbcopy sends none with a line end to any server."""

    def holds(self, key):
        return key in (".", "..") or super().holds(key)


class FakeGcsPairs(Contract):
    def setUp(self):
        super().setUp()
        self.server = FakeGcsServer()
        self.addCleanup(self.server.stop)

    def of_gcs(self, name):
        # A source has such names alone as Google's service has.
        place = GcsPlace if name == "source" else FakeGcsPlace
        return place(GcsStore(self.server.endpoint), name, notices_attributes=False)

    def of_s3(self, name):
        return S3Place(self.origin(), name)

    def of_file(self, name):
        return FolderPlace(os.path.join(self.folder, name))

    def test_inside(self):
        self.keep_contract(self.of_gcs("source"), self.of_gcs("repository"),
                           [self.of_gcs("restored"), self.of_file("restored")], self.of_gcs("copied"))

    def test_from_s3(self):
        self.keep_contract(self.of_s3("source"), self.of_gcs("repository"), [self.of_s3("restored")],
                           self.of_gcs("copied"))

    def test_into_s3(self):
        self.keep_contract(self.of_gcs("source"), self.of_s3("repository"), [self.of_gcs("restored")],
                           self.of_s3("copied"))

    def test_from_a_directory(self):
        self.keep_contract(self.of_file("source"), self.of_gcs("repository"), [self.of_file("restored")],
                           self.of_gcs("copied"))

    def test_into_a_directory(self):
        self.keep_contract(self.of_gcs("source"), self.of_file("repository"), [self.of_gcs("restored")],
                           self.of_file("copied"))

    def test_a_change_of_metadata_alone_does_not_show(self):
        """So that the backup says what the server does: nothing has changed."""
        source, repository = self.of_gcs("source"), self.of_gcs("repository")
        source.put("key", b"bytes", ContentType="text/x")
        self.succeed("backup", source.url, repository.url)
        source.change_attributes("key", ContentType="text/another")
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        self.assertEqual(told["snapshot"]["copied_objects"], 0)
        source.put("key", b"bytes", ContentType="text/another")
        told = self.succeed("backup", source.url, repository.url, "--json").json()
        self.assertEqual(told["snapshot"]["copied_objects"], 1)

    def test_uploads_that_break(self):
        source, destination = self.of_file("source"), self.of_gcs("destination")
        bodies = {"small": some_bytes(5 * MIB), "large": some_bytes(40 * MIB, 1), "larger": some_bytes(60 * MIB, 2)}
        for key, body in bodies.items():
            source.put(key, body)
        front = CuttingFront(int(self.server.address.split(":")[1]), 3, 3 * MIB)
        self.addCleanup(front.stop)
        url = destination.url.replace(self.server.endpoint, front.endpoint)
        for _ in range(6):  # where the machine is slow, requests are given up as well
            run = self.pbcopy("copy", source.url, url, "--json")
            failed = {each["key"] for each in run.json()["findings"]}
            self.assertEqual(run.exit_code, scenario.FAILED if failed else scenario.OK, run)
            for key in bodies.keys() - failed:
                self.assertTrue(destination.get(key) == bodies[key], key)
            if not failed:
                break
        self.assertEqual((failed, front.cuts), (set(), 0))


if __name__ == "__main__":
    scenario.main()
