"""The fixture of the cluster tests by itself: pachd, as it is simulated, undoes a suspend in the wrong order, stands
still after one in the right order, and a copy of what lives is found out by the check that the other tests lean on."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
from pachyderm_fixture import disagreements


class Fixture(ClusterScenario):
    def test_order_of_a_suspend(self):
        here = self.pachyderm(chunks=200)
        here.start_simulation()
        # The workers first: pachd brings them back.
        self.cluster.scale(here.namespace, "deployments", "pachw", 0)
        self.cluster.scale(here.namespace, "replicationcontrollers", "pipeline-0-v1", 0)
        scenario.wait_until(here.is_scaled_up, 30, "pachd scales its workers up again", poll_s=0.2)
        # pachd first: all stays down, and nothing is written any more.
        self.cluster.scale(here.namespace, "deployments", "pachd", 0)
        scenario.wait_until(lambda: not self.cluster.pods(here.namespace, app="pachd"), 60, "pachd to go", poll_s=0.2)
        self.cluster.scale(here.namespace, "deployments", "pachw", 0)
        for number in range(here.workers):
            self.cluster.scale(here.namespace, "replicationcontrollers", f"pipeline-{number}-v1", 0)
        scenario.wait_until(lambda: not self.cluster.pods(here.namespace, app="pachw")
                            and not self.cluster.pods(here.namespace, component="worker"), 60, "all to go", poll_s=0.2)
        time.sleep(1)
        before = here.written()
        time.sleep(1.5)
        self.assertEqual(here.written(), before)
        self.assertEqual(disagreements(here.postgres, here.bucket), [])

    def test_a_copy_of_what_lives_is_found_out(self):
        here = self.pachyderm(chunks=200)
        here.start_simulation(every_s=0.01)
        other = self.postgres()
        for _ in range(10):
            # The naive way: the bucket, and then the database, with everything running.
            copied = here.bucket.list("chunk/")
            time.sleep(1)
            needed = here.postgres.psql("pachyderm", "SELECT 'chunk/'||encode(chunk_id,'hex')||'.'||lpad(to_hex(gen),16,'0')"
                                        " FROM storage.chunk_objects WHERE uploaded AND NOT tombstone").split()
            if any(key not in copied for key in needed):
                break
        else:
            self.fail("ten naive copies of a cluster that writes were all consistent: the check finds nothing")
        other.create("pachyderm")


if __name__ == "__main__":
    scenario.main()
