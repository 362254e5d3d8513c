"""No multipart upload stays behind: a run that is interrupted aborts what it began, and the next run of the source aborts
what one that was killed left."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import scenario
from scenario import CANCELLED, some_bytes

MIB = 1 << 20


class InterruptedUploads(scenario.Scenario):
    delay_ms = 700

    def stopped(self, number, stored_in, operation, *arguments):
        """A run that gets the signal once uploads are under way."""
        stored_in.set_faults(f"fault slow operation={operation} delay={self.delay_ms}")
        run = self.begin(*arguments)
        scenario.wait_until(lambda: stored_in.statistics()["uploads"] > 0 or run.is_over(), 60, "an upload begins")
        self.assertFalse(run.is_over())
        run.kill(number)
        ended = run.wait()
        stored_in.set_faults()
        return ended

    def servers(self):
        taken_from = self.origin(buckets=("source", "repository", "copied"))
        stored_in = self.origin(buckets=("repository", "copied"))
        for n in range(6):
            taken_from.bucket("source").put_parts(f"large+{n} %20&é", some_bytes(26 * MIB, n), 8 * MIB)
        return taken_from, stored_in

    def test_an_interrupted_run_aborts_them(self):
        taken_from, stored_in = self.servers()
        for number in (signal.SIGINT, signal.SIGTERM):
            for command, place in ("backup", "repository"), ("copy", "copied"):
                with self.subTest(command=command, number=number):
                    ended = self.stopped(number, stored_in, "UploadPart", command, taken_from.url("source"),
                                         stored_in.url(place))
                    self.assertEqual(ended.exit_code, CANCELLED, ended)
                    self.assertEqual(stored_in.statistics()["uploads"], 0, ended)
        with self.subTest("inside the store"):
            ended = self.stopped(signal.SIGINT, taken_from, "UploadPartCopy", "copy", taken_from.url("source"),
                                 taken_from.url("copied"))
            self.assertEqual(ended.exit_code, CANCELLED, ended)
            self.assertEqual(taken_from.statistics()["uploads"], 0)

    def test_parts_that_take_longer_than_a_run_waits(self):
        self.delay_ms = 20000
        taken_from, stored_in = self.servers()
        ended = self.stopped(signal.SIGINT, stored_in, "UploadPart", "copy", taken_from.url("source"),
                             stored_in.url("copied"))
        self.assertEqual(ended.exit_code, CANCELLED, ended)
        scenario.wait_until(lambda: stored_in.statistics()["uploads"] == 0, 5, "uploads are aborted")

    def test_the_next_run_aborts_those_of_a_killed_one(self):
        taken_from, stored_in = self.servers()
        killed = self.stopped(signal.SIGKILL, stored_in, "UploadPart", "backup", taken_from.url("source"),
                              stored_in.url("repository"))
        self.assertEqual(killed.exit_code, -signal.SIGKILL)
        foreign = stored_in.client.create_multipart_upload(Bucket="repository", Key="data/somebody-else")
        self.assertGreater(stored_in.statistics()["uploads"], 1)
        run = self.succeed("backup", taken_from.url("source"), stored_in.url("repository"), "--take-over")
        self.assertRegex(run.stderr, r"aborted multipart uploads that attempt \S+ left behind: \d")
        left = stored_in.client.list_multipart_uploads(Bucket="repository")["Uploads"]
        self.assertEqual([each["UploadId"] for each in left], [foreign["UploadId"]])
        self.succeed("verify", stored_in.url("repository"), "--read")


if __name__ == "__main__":
    scenario.main()
