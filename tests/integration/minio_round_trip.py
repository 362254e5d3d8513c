"""The round trip on MinIO, with 2,500 objects: each is a folder and a file there, and synchronised."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
import minio_server
import store_round_trip
from store_round_trip import Acceptance, Copy, Killed, Locked, Outage, Refused, Relay, StoreScenario, Versioned


class OddStore(StoreScenario):
    """What this store does in its own way."""

    def test_keys_that_it_refuses(self):
        """From a store that has them: each is named, and the run fails."""
        refused = ["a//b", "../above", "here/./x", "s" * 256]
        origin = self.origin(buckets=("source", "repository"))
        for key in ["good", *refused]:
            origin.bucket("source").put(key, key.encode())
        elsewhere = {"AWS_ACCESS_KEY_ID": origin.access_key, "AWS_SECRET_ACCESS_KEY": origin.secret_key}
        here = {f"PBCOPY_DESTINATION_{name}": self.store.credentials[f"AWS_{name}"]
                for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
        self.succeed("backup", origin.url("source"), origin.url("repository"), **elsewhere)
        for command, source in (("copy", "source"), ("restore", "repository")):
            with self.subTest(command):
                bucket, url = self.bucket(f"refused-{command}")
                run = self.pbcopy(command, origin.url(source), url, **elsewhere, **here)
                self.assertNotEqual(run.exit_code, scenario.OK, run)
                for key in refused:
                    self.assertIn(key, run.stderr, run)
                self.assertLessEqual(self.store.list(bucket).keys(), {"good"})


if __name__ == "__main__":
    store_round_trip.main(minio_server.MinioServer, objects=2500)
