"""The round trip on Ceph RGW, with 5,000 objects; and what this server does in its own way."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
import ceph_cluster
import store_round_trip
from store_round_trip import Acceptance, Copy, Killed, Locked, Outage, Refused, Relay, Runs, StoreScenario, Versioned
from store_objects import Planned


class OddStore(StoreScenario):
    """What this store does in its own way."""

    def test_control_characters_at_the_edges_of_pages(self):
        """Ceph 16 writes the last key of a page, and the one it begins after, into its answers as they are:
        such an answer is no XML where that key holds a control character."""
        characters = ["\x01", "\x1b", "\ufffe", "\uffff", "\r", "\t"]
        planned = [Planned(f"k{number:05}{characters[(number * number + number // 7) % 6]}", number % 50)
                   for number in range(999)]
        planned += [Planned(f"k{number:05}\x01", number % 50) for number in range(999, 1100)]
        source, sha256 = self.filled("edges", planned)
        _, repository = self.bucket("edges-repository")
        told = self.backup(source, repository)
        self.assertEqual(told["snapshot"]["copied_objects"], len(planned))
        self.assertEqual(self.backup(source, repository)["snapshot"]["copied_objects"], 0)
        self.assert_intact(repository, len(planned))
        bucket, url = self.bucket("edges-restored")
        self.told("restore", repository, url)
        found = self.workers.read(bucket, keys=list(sha256)) # boto3 cannot list this
        self.assertEqual({key: each.sha256 for key, each in found.items()}, sha256)

    def test_objects_that_change_during_a_backup(self):
        """Ceph 16 copies whatever is there, though another ETag was asked for. What a record says must be
        true of the bytes all the same."""
        planned = [Planned(f"changing/{number:04}", 64) for number in range(700)]
        source, _ = self.filled("changing", planned)
        bucket, repository = self.bucket("changing-repository")
        over = threading.Event()

        def change():
            generation = 0
            while not over.is_set():
                generation += 1
                self.workers.put("changing", [each._replace(generation=generation) for each in planned[::7]])

        changes = threading.Thread(target=change)
        changes.start()
        try:
            time.sleep(0.2)
            run = self.pbcopy("backup", source, repository, "--parallel", "4", "--json")
        finally:
            over.set()
            changes.join()
        self.assertIn(run.exit_code, (scenario.OK, scenario.FAILED), run)
        told = self.backup(source, repository) # nothing changes any more
        self.assertEqual(told["snapshot"]["objects"], 700)
        stored = {**self.store.list(bucket, "data/"), **self.store.list(bucket, "long/")}
        for identity in self.committed(repository):
            for record in self.records(repository, "--snapshot", identity):
                size, etag = stored[record.get("path") or f"data/{record['at']}/{record['key']}"]
                self.assertEqual((size, etag), (record["size"], record["etag"]), record)
                self.assertIn("etag", record["proof"], record)


if __name__ == "__main__":
    store_round_trip.main(ceph_cluster.CephCluster, objects=5000)
