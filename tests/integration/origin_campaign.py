"""Rounds of two to four runs of one source, which are stopped, woken, killed, take each other over and have clocks of
their own, while the source changes all the time and some of their writes arrive late. Each snapshot that is committed
must be whole, stay as it is, and restore to what the source was: each object as it was at some moment between the
start of the run that committed it and its end.

PB_CAMPAIGN_ROUNDS (30) and PB_CAMPAIGN_SEED (1) in the environment make it longer, and another one."""

import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import run_scenarios
import scenario
from late_proxy import LateProxy

KEYS = [f"folder-{number % 5}/{number:03}" for number in range(60)]
ROUND_S = 60


class Source:
    """The bucket, changed by a thread of its own, and what each key held when: (from, until, body or None for
    absent), by this machine's monotonic clock."""

    def __init__(self, bucket, seed):
        self.bucket, self.random = bucket, random.Random(seed)
        self.history = {key: [(time.monotonic(), None, None)] for key in KEYS}
        self.counter = 0
        for key in KEYS:
            self.change(key)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def change(self, key):
        self.counter += 1
        body = f"{key} {self.counter}".encode() if self.random.random() < 0.8 or self.counter <= len(KEYS) else None
        before = time.monotonic()
        if body is None:
            self.bucket.delete(key)
        else:
            self.bucket.put(key, body)
        after = time.monotonic()
        begun, _, held = self.history[key][-1]
        # Between `before` and `after` it may be either.
        self.history[key][-1] = (begun, after, held)
        self.history[key].append((before, None, body))

    def _run(self):
        while not self._ending.wait(self.random.uniform(0.05, 0.4)):
            self.change(self.random.choice(KEYS))

    def stop(self):
        self._ending.set()
        self._thread.join()

    def could_be(self, key, body, since, until):
        return any(held == body and begun <= until and (ended is None or ended >= since)
                   for begun, ended, held in self.history[key])


class Campaign(scenario.Scenario):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("PB_CAMPAIGN_SEED", "1"))
        self.rounds = int(os.environ.get("PB_CAMPAIGN_ROUNDS", "4" if scenario.is_sanitized() else "30"))
        self.can_skew = run_scenarios.elsewhere("true") is not None and not scenario.is_sanitized()
        if not self.can_skew:
            print("SKIP: clocks are not skewed here: it takes root, faketime and no sanitizer")
        self.counts = {}

    def count(self, name, number=1):
        self.counts[name] = self.counts.get(name, 0) + number

    def command(self, dice, *arguments):
        """(program and arguments) of a run, maybe of another machine with a clock of its own."""
        if not self.can_skew or dice.random() < 0.5:
            return None, arguments
        clock_s = dice.choice((-800, -200, -30, 30, 200, 800))
        return run_scenarios.elsewhere(scenario.PBCOPY, *arguments, clock_s=clock_s), arguments

    def begin_run(self, dice, source_url, repository_url):
        arguments = ["backup", source_url, repository_url, "--parallel", "4", "--unsigned-payload", "--json",
                     "--limit-requests", str(dice.choice((40, 100, 400)))]
        if dice.random() < 0.4:
            arguments.append("--take-over")
        elif dice.random() < 0.5:
            arguments.append("--no-wait")
        if dice.random() < 0.1:
            arguments.append("--full")
        command, arguments = self.command(dice, *arguments)
        self.count("runs")
        if command:
            self.count("runs of another machine")
        return self.begin(*arguments, command=command, grouped=True)

    def disturb(self, dice, runs):
        """Stops, wakes and kills until all are over. When each of them was seen to be so."""
        ended = {}
        deadline = time.monotonic() + ROUND_S
        while len(ended) < len(runs):
            time.sleep(dice.uniform(0.02, 0.3))
            for run in runs:
                if run not in ended and run.is_over():
                    ended[run] = time.monotonic()
            run = dice.choice(runs)
            what = dice.random()
            if run in ended:
                continue
            if time.monotonic() > deadline or what > 0.6:
                self.kill(run, signal.SIGCONT)
            elif what < 0.15:
                self.kill(run, signal.SIGSTOP)
                self.count("stopped")
            elif what < 0.2:
                self.kill(run, signal.SIGKILL)
                self.count("killed")
            if time.monotonic() > deadline + 200:
                self.fail("runs that do not end")
        return ended

    @staticmethod
    def kill(run, number):
        """A run of another machine has a process of faketime above it, and is the one that is meant."""
        try:
            os.killpg(run.pid, number)
        except ProcessLookupError:
            pass

    def check(self, source, repository_url, spans):
        """All snapshots that are there now."""
        for identity in self.committed(repository_url):
            if identity in self.checked:
                continue
            self.checked.add(identity)
            self.count("committed")
            since, until = spans[identity]
            held = self.contents(repository_url, identity)
            for key in KEYS:
                self.assertTrue(source.could_be(key, held.get(key), since, until),
                                f"{identity}: {key} is {held.get(key)}, history {source.history[key][-6:]}, "
                                f"run from {since} to {until}")
            self.assertEqual(set(held) - set(KEYS), set())
            self.kept[identity] = held

    def contents(self, repository_url, identity):
        name = f"restored-{len(self.checked)}-{time.monotonic_ns()}"
        self.server.client.create_bucket(Bucket=name)
        restored = self.server.bucket(name)
        self.succeed("restore", repository_url, self.server.url(name), "--snapshot", identity)
        return {key: restored.get(key) for key in restored.list()}

    def test_campaign(self):
        dice = random.Random(self.seed)
        self.server = self.origin("--page-size", "20", buckets=("source",))
        proxy = LateProxy(self.server.port, self.seed)
        self.addCleanup(proxy.stop)
        source = Source(self.server.bucket("source"), self.seed)
        self.addCleanup(source.stop)
        self.checked, self.kept = set(), {}
        repository_url = None
        for number in range(self.rounds):
            if number % 10 == 0:
                name = f"repository-{number}"
                self.server.client.create_bucket(Bucket=name)
                repository_url = self.server.url(name)
                through = repository_url.replace(f":{self.server.port}", f":{proxy.port}")
            begun = {}
            runs = []
            for _ in range(dice.randint(2, 4)):
                before = time.monotonic()  # it may list as soon as its process is there
                run = self.begin_run(dice, self.server.url("source"), through)
                begun[run] = before
                runs.append(run)
                time.sleep(dice.uniform(0, 0.6))
            ended = self.disturb(dice, runs)
            over = time.monotonic()
            spans = {}
            for run in runs:
                result = run.wait()
                self.count(f"exit code {result.exit_code}")
                self.assertIn(result.exit_code, (0, 1, 6, -signal.SIGKILL, 128 + signal.SIGKILL), result)
                if result.exit_code == 0:
                    spans[result.json()["snapshot"]["id"]] = (begun[run], ended[run])
            proxy.settle()
            for identity in self.committed(repository_url): # killed between its commit and its end
                spans.setdefault(identity, (min(begun.values()), over))
            self.check(source, repository_url, spans)
        for start in range(0, self.rounds, 10):
            url = self.server.url(f"repository-{start}")
            for identity in self.committed(url):
                self.succeed("verify", url, "--read", "--snapshot", identity)
                self.assertEqual(self.contents(url, identity), self.kept[identity], identity)
        self.count("writes that came late", proxy.late)
        self.count("changes of the source", source.counter)
        print(", ".join(f"{name}: {number}" for name, number in sorted(self.counts.items())))
        self.assertGreater(self.counts["committed"], self.rounds // 4)


if __name__ == "__main__":
    scenario.main()
