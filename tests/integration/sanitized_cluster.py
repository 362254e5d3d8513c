"""One backup, one restore and one failure of a whole cluster: short enough to run under the sanitizers, too."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario


class Short(ClusterScenario):
    def test_there_and_back(self):
        here = self.pachyderm(chunks=300, workers=1)
        here.start_simulation()
        there, namespace = self.postgres(), self.new_namespace("again")
        there.create("pachyderm", "dex")
        self.backup(here)
        # One that is interrupted in the window leaves nothing undone, and nothing leaks.
        run = self.begin("backup", "--config", self.configuration(here), **self.environment())
        scenario.wait_until(here.is_suspended, 120, "the window", poll_s=0.1)
        time.sleep(1)
        run.kill(signal.SIGTERM)
        self.assert_failed(run.wait(), scenario.CANCELLED, "nothing was committed")
        self.assertTrue(here.is_scaled_up())
        self.succeed("verify", here.origin.url("repository"), "--database", "--identity", self.identity)
        self.restore(here, namespace, there)
        self.assert_agrees(there, here.origin.bucket("restored"))
        self.succeed("doctor", "--config", self.configuration(here), **self.environment())


if __name__ == "__main__":
    scenario.main()
