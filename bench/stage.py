"""The stage of one scenario: its stores and buckets, what must be there before, and the proof that a run did
all of its work. A run that did not raises Failed."""

import contextlib
import math
import os
import sys

import measure
import origins
import peers
from measure import Failed
from scenarios import ALL

_PREPARED = {"unchanged", "verify", "restore"}


class Stage:
    def __init__(self, scenario, bench):
        """`bench` has build, folder, scale, large, endpoint and clients."""
        self.scenario, self.bench = scenario, bench
        self.counts = scenario.counts(bench.scale, bench.large)
        self.shares = {name: share for name, share in scenario.clients if name in bench.clients}
        self.one = None
        self._buckets = {}  # share: source bucket
        self._prepared = {}  # client: what was made before the measuring
        self._own = []  # buckets to be dropped at the end

    # ---- stores ----

    def _origin(self, fills=()):
        return origins.Origin(os.path.join(self.bench.build, "bin", "origin"), self.bench.folder, fills,
                              latency_ms=self.scenario.latency_ms, tls=self.scenario.tls)

    def _fills(self):
        for share in sorted(set(self.shares.values())):
            yield share, f"source-{share}:{self.counts[share]}:{self.scenario.size}:{self.scenario.pattern}"

    def __enter__(self):
        fills = dict(self._fills())
        try:
            if self.bench.endpoint:
                self._fill_endpoint(fills)
            else:
                self.one = self._origin(fills.values())
                self._buckets = {share: f"source-{share}" for share in fills}
            for name in self.shares:
                self._prepare(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for bucket in self._own:
            try:
                self.one.drop_bucket(bucket)
            except Exception as error:  # what is left there must be known; the others are tried all the same
                print(f"bucket {bucket} is left at {self.one.endpoint}: {error}", file=sys.stderr)
        if self.one:
            self.one.stop()

    def _fill_endpoint(self, fills):
        """pbcopy brings what a local origin makes up."""
        self.one = origins.Endpoint(self.bench.endpoint)
        maker = origins.Origin(os.path.join(self.bench.build, "bin", "origin"), self.bench.folder, fills.values())
        try:
            for share in fills:
                self._buckets[share] = self._bucket()
                self._run_pbcopy("relay", maker, f"source-{share}", self._buckets[share])
                self._must_hold(self.one, self._buckets[share], self.counts[share])
        finally:
            maker.stop()

    def _bucket(self):
        bucket = self.one.new_bucket()
        self._own.append(bucket)
        return bucket

    # ---- before the measuring ----

    def _run_pbcopy(self, work, source, source_bucket, destination_bucket):
        job = peers.Job(work, source, source_bucket, self.one, destination_bucket, self.scenario.parallel,
                        self.scenario.size, self.bench.folder)
        # Two stores, two keys: an origin's and the user's.
        more = {f"PBCOPY_{side}_{name}": value for side, store in (("SOURCE", source), ("DESTINATION", self.one))
                for name, value in (("ACCESS_KEY_ID", store.access_key), ("SECRET_ACCESS_KEY", store.secret_key))}
        command = self.bench.clients["pbcopy"].command(job)
        measure.run(command, {**peers.base_environment(job), **(more if work == "relay" else {})}, self.bench.folder)

    def _prepare(self, name):
        if self.scenario.work not in _PREPARED:
            return
        share = self.shares[name]
        self._prepared[name] = self._bucket()
        ours = name.startswith("pbcopy")
        self._run_pbcopy("backup" if ours else "copy", self.one, self._buckets[share], self._prepared[name])
        if not ours:
            self._must_hold(self.one, self._prepared[name], self.counts[share])

    # ---- one run ----

    @contextlib.contextmanager
    def job(self, name):
        """A job for this client, with a destination of its own. A relay's is in a fresh store, so that no
        run finds the memory of those before."""
        work, share = self.scenario.work, self.shares[name]
        two = self._origin() if work == "relay" else self.one
        bucket = None
        try:
            source = self._buckets[share]
            if work == "unchanged":
                destination = self._prepared[name]
            else:
                source = self._prepared.get(name, source)
                destination = bucket = two.new_bucket()
            yield peers.Job(work, self.one, source, two, destination, self.scenario.parallel,
                            self.scenario.size, self.bench.folder)
        finally:
            if two is not self.one:
                two.stop()
            elif bucket:
                two.drop_bucket(bucket)

    def measure(self, name, job):
        """(sample, seconds from start to the first copy request or None), once it is proven that all was done."""
        client = self.bench.clients[name]
        env = {**peers.base_environment(job), **client.environment(job)}
        objects = self.counts[self.shares[name]]
        if isinstance(job.source, origins.Origin):
            job.source.reset_statistics()
        if self.scenario.work == "first-copy":
            def copies_begun():
                return job.source.statistics()["CopyObject"] > 0
            sample = measure.run(client.command(job), env, self.bench.folder, until=copies_begun)
            first_utc_ms = job.source.statistics()["first_utc_ms"].get("CopyObject")
            if not first_utc_ms:
                raise Failed(f"{name}: no copy was asked for")
            return sample, first_utc_ms / 1000 - sample.started_utc_s
        sample = measure.run(client.command(job), env, self.bench.folder)
        try:
            self._prove(name, job, objects, client.counted(job, sample.stdout))
        except Failed as failure:
            raise Failed(f"{self.scenario.name}: {name}: {failure}") from failure
        return sample, None

    # ---- proofs ----

    def _must_hold(self, store, bucket, objects):
        found, wanted = store.held(bucket), (objects, objects * self.scenario.size)
        if found != wanted:
            raise Failed(f"(objects, bytes) at the destination are {found}, not {wanted}")

    def _prove(self, name, job, objects, counted):
        work = self.scenario.work
        if work in ("copy", "relay", "restore"):
            self._must_hold(job.destination, job.destination_bucket, objects)
        elif counted is None:
            if name.startswith("pbcopy") or work != "unchanged":
                raise Failed("told no count")
        elif counted != objects:
            raise Failed(f"counted {counted} objects, not {objects}")
        if isinstance(job.source, origins.Origin):
            self._prove_requests(name, work, objects, job.source.statistics())

    def _prove_requests(self, name, work, objects, told):
        pages = told["ListObjects"] + told["ListObjectsV2"]
        copies = told["CopyObject"] + told["UploadPartCopy"]
        listings = 2 if work == "unchanged" and not name.startswith("pbcopy") else 1  # a peer has no manifest
        if work == "restore":
            listings = 0  # it goes by the manifest, and the destination is empty
        if pages < listings * math.ceil(objects / 1000):
            raise Failed(f"{pages} pages of listings are too few for {objects} objects")
        if work in ("copy", "restore", "backup") and copies < objects:
            raise Failed(f"{copies} copies inside the store, not {objects}")
        if work == "unchanged" and copies:
            raise Failed(f"{copies} objects were copied again")
        if work in ("verify", "relay") and told["bytes_out"] < objects * self.scenario.size:
            raise Failed(f"{told['bytes_out']} bytes were read, too few")


def units_of(scenario, stage, name):
    return scenario.units(stage.counts[stage.shares.get(name, ALL)])
