"""What a backup needs goes away while the cluster is suspended: it waits, or it gives up; either way the cluster is scaled
up again."""

import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from cluster_scenario import ClusterScenario


class Outage(ClusterScenario):
    def in_the_window(self, function):
        """Runs it in a thread, which is returned, once a database is being dumped: nothing writes any more. That dump
        goes on when the function ends, or removes the file whose path it is given."""
        held = os.path.join(self.folder, "held")
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{held}-once")
        self.program("pg_dump", f'[[ $1 == --version || $1 == --schema-only ]] || ! mkdir {held}-once 2>/dev/null || touch {held}\n'
                                f'while [[ $1 != --version && $1 != --schema-only && -e {held} ]]; do sleep 0.1; done\nexec "$REAL" "$@"')

        def work():
            scenario.wait_until(lambda: os.path.exists(held), 60, "the window", poll_s=0.05)
            try:
                function(held)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(held)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def test_an_api_server_that_is_away_for_a_while(self):
        here = self.pachyderm(chunks=50, workers=1)

        def hangs(_):
            self.cluster.hang_api_server()
            time.sleep(12)
            self.cluster.wake_api_server()

        def is_gone(_):
            self.cluster.stop_api_server()
            time.sleep(12)
            self.cluster.start_api_server()

        # It waits for the API server, and then nothing was amiss: the backup is good.
        for outage in (hangs, is_gone):
            thread = self.in_the_window(outage)
            try:
                run = self.backup(here, "-v")
            finally:
                thread.join()
            self.assertFalse(here.is_suspended())
            self.assertTrue(here.is_scaled_up())
            scenario.wait_until(here.is_up, 60, "all to run again", poll_s=0.3)
        self.assertIn("tried again", run.stderr)
        self.succeed("verify", here.origin.url("repository"), "--database", "--identity", self.identity)

    def test_an_api_server_that_is_away_for_long(self):
        here = self.pachyderm(chunks=50, workers=1)

        def work(held):
            self.cluster.stop_api_server()
            os.remove(held)  # the dumps are done long before it is back
            time.sleep(80)
            self.cluster.start_api_server()

        thread = self.in_the_window(work)
        try:
            self.fails(here, scenario.UNREACHABLE, "refused", hint="cluster-info")
        finally:
            thread.join()
        self.backup(here)

    def test_a_database_that_goes_away(self):
        here = self.pachyderm(chunks=50, workers=1)
        thread = self.in_the_window(lambda _: here.postgres.halt())
        try:
            self.fails(here, scenario.UNREACHABLE, "refused")
        finally:
            thread.join()
            here.postgres.start()
        self.backup(here)


if __name__ == "__main__":
    scenario.main()
