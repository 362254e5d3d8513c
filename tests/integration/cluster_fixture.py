"""The fixture of the cluster tests by itself: pachd, as it is simulated, undoes a suspend in the wrong order, stands
still after one in the right order, and a copy of what lives is found out by the check that the other tests lean on."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario
from pachyderm_fixture import chunk, chunk_key, copy_naively, disagreements


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
        # The same copy that the next test finds wrong is right now.
        other = self.postgres()
        copy_naively(here, other, "restored")
        self.assertEqual(disagreements(other, here.origin.bucket("restored")), [])

    def test_a_copy_of_what_lives_is_found_out(self):
        here = self.pachyderm(chunks=200)
        here.start_simulation(every_s=0.01)
        other = self.postgres()
        for _ in range(10):
            copy_naively(here, other, "restored")
            if disagreements(other, here.origin.bucket("restored")):
                break
        else:
            self.fail("ten naive copies of a cluster that writes were all consistent: the check finds nothing")
        # What lives agrees with itself, until a chunk has other bytes than its name says.
        here.stop_simulation()
        self.assertEqual(disagreements(here.postgres, here.bucket), [])
        key = chunk_key(chunk(1), 1)
        here.bucket.put(key, b"other bytes")
        self.assertEqual(disagreements(here.postgres, here.bucket), [key])


if __name__ == "__main__":
    scenario.main()
