"""Each pair of source and repository that there is, of S3, Google Cloud Storage and a directory, keeps one contract
(tests/support/store_contract.py), and is restored into each of the three. S3 and Google's JSON API are two servers, so
that nothing of one is seen through the other."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from gcs_store import GcsStore
from places import FolderPlace, GcsPlace, S3Place
from store_contract import Contract

KINDS = ("s3", "gcs", "file")


class StorePairs(Contract):
    def setUp(self):
        super().setUp()
        self.s3 = self.origin("--page-size", "70")
        self.gcs = self.origin("--page-size", "70", "--gcs-rewrite-bytes", "6M", signed=False)

    def place(self, kind, name, gcs=None):
        if kind == "s3":
            return S3Place(self.s3, name)
        if kind == "gcs":
            return GcsPlace(GcsStore((gcs or self.gcs).endpoint), name)
        return FolderPlace(os.path.join(self.folder, name))

    def test_gcs_into_another_gcs(self):
        """Of two servers neither copies from the other: every byte passes through pbcopy."""
        another = self.origin("--page-size", "70", signed=False)
        self.keep_contract(self.place("gcs", "source"), self.place("gcs", "repository", another),
                           [self.place("gcs", "restored")], self.place("gcs", "copied", another))

    def check(self, source, repository):
        destinations = [self.place(kind, f"restored-{kind}") for kind in KINDS]
        self.keep_contract(self.place(source, "source"), self.place(repository, "repository"), destinations,
                           self.place(repository, "copied"))


def of_pair(source, repository):
    return lambda self: self.check(source, repository)


for from_kind in KINDS:
    for to_kind in KINDS:
        setattr(StorePairs, f"test_{from_kind}_into_{to_kind}", of_pair(from_kind, to_kind))


if __name__ == "__main__":
    scenario.main()
