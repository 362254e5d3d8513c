"""The contract of all pairs (tests/support/store_contract.py) on fake-gcs-server, as source, repository and destination.

It is not Google's in much (the docstring of gcs_servers.py), of which pbcopy notices this: a change of metadata alone
moves neither metageneration nor the time of the last change, so that no backup sees it. A resumable upload that is asked
where it stands ends there: such an object fails, or is moved once more, and is never taken for whole."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from fake_gcs_server import FakeGcsServer
from gcs_store import GcsStore
from places import FolderPlace, GcsPlace, S3Place
from store_contract import Contract


class FakeGcsPairs(Contract):
    def setUp(self):
        super().setUp()
        self.server = FakeGcsServer()
        self.addCleanup(self.server.stop)

    def of_gcs(self, name):
        return GcsPlace(GcsStore(self.server.endpoint), name, notices_attributes=False)

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


if __name__ == "__main__":
    scenario.main()
