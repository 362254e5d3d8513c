"""What is measured: the table of scenarios. docs/internals/bench.md says how to read the figures."""

import fnmatch
from dataclasses import dataclass

GIB, MIB = 1 << 30, 1 << 20
# Peers get a part of the objects, so that a bench ends: figures are per unit.
ALL, FIFTH, FEW = "all", "fifth", "few"
SHARES = {ALL: 1, FIFTH: 5, FEW: 50}
QUICK_PEERS = {"s5cmd": FIFTH, "rclone": FIFTH, "mc": FEW, "awscli": FEW, "s3cmd": FEW}
SOLE = {"pbcopy": ALL}


@dataclass(frozen=True)
class Scenario:
    name: str
    work: str  # copy, relay, list, unchanged, verify, restore, backup, first-copy
    unit: str  # what figures are per: object, key, MiB, GiB
    count: int  # objects at --scale 1
    large_count: int = 0  # objects with --large; 0: the same
    size: int = 4096
    pattern: str = "flat"  # of the keys: flat, chunk (hash-named), tree
    latency_ms: int = 0  # of each answer of the store
    tls: bool = False
    parallel: int = 256
    clients: tuple = ()  # (client, share of the objects) in the order of their turns
    only_large: bool = False  # run with --large alone
    scales: bool = True  # whether --scale changes the count
    runs_max: int = 100

    def counts(self, scale, large):
        """{share: objects}"""
        count = self.large_count if large and self.large_count else self.count
        if self.scales:
            count = max(200, int(count * scale))
            return {share: max(min(count, 100), count // part) for share, part in SHARES.items()}
        return {share: count for share in SHARES}

    def units(self, objects):
        return objects * self.size / {"MiB": MIB, "GiB": GIB}.get(self.unit, self.size)

    @property
    def needs_origin(self):
        """Whether an endpoint of the user's will not do: it has one store and a latency of its own."""
        return bool(self.latency_ms or self.tls or self.work in ("relay", "first-copy"))


def _clients(*names, **shares):
    """pbcopy, then these peers with their usual share unless another is named."""
    return tuple({**SOLE, **{name: QUICK_PEERS[name] for name in names}, **shares}.items())


_COPIERS = _clients("s5cmd", "rclone", "mc", "awscli", "s3cmd")
_RELAYERS = _clients("rclone", "mc")
_LARGE_RELAYERS = _clients(rclone=ALL, mc=ALL, **{"pbcopy-crc32c": ALL})

SCENARIOS = (
    # Listing. Nothing is written: pbcopy's is a dry run into an empty bucket.
    Scenario("list-flat", "list", "key", 1_000_000, size=64, parallel=32, clients=_COPIERS),
    Scenario("list-hash", "list", "key", 1_000_000, size=64, parallel=32, pattern="chunk",
             clients=_clients("s5cmd", "rclone")),
    Scenario("list-tree", "list", "key", 1_000_000, size=64, parallel=32, pattern="tree",
             clients=_clients("s5cmd", "rclone")),
    Scenario("list-flat-20ms", "list", "key", 1_000_000, size=64, parallel=64, latency_ms=20, runs_max=1,
             clients=_clients("s5cmd", "rclone", "awscli", **{"pbcopy-sequential": ALL})),
    Scenario("list-flat-5m", "list", "key", 5_000_000, size=64, parallel=32, only_large=True, runs_max=1,
             clients=_clients("s5cmd", "rclone")),
    Scenario("list-hash-5m", "list", "key", 5_000_000, size=64, parallel=32, pattern="chunk", only_large=True,
             runs_max=1, clients=_clients()),
    Scenario("list-tree-5m", "list", "key", 5_000_000, size=64, parallel=32, pattern="tree", only_large=True,
             runs_max=1, clients=_clients()),
    # Copies inside one store: the store moves the bytes.
    Scenario("copy", "copy", "object", 100_000, clients=_COPIERS),
    Scenario("copy-20ms", "copy", "object", 100_000, latency_ms=20, runs_max=2,
             clients=_clients("s5cmd", "rclone")),
    Scenario("copy-tls", "copy", "object", 100_000, tls=True, runs_max=2, clients=_clients("s5cmd", "rclone")),
    Scenario("copy-20ms-tls", "copy", "object", 100_000, latency_ms=20, tls=True, runs_max=1,
             clients=_clients()),
    # From one store to another, through the client.
    Scenario("relay-4k", "relay", "object", 100_000, clients=_RELAYERS),
    Scenario("relay-4k-20ms", "relay", "object", 100_000, latency_ms=20, runs_max=2, clients=_clients("rclone")),
    Scenario("relay-4k-tls", "relay", "object", 100_000, tls=True, clients=_clients("rclone")),
    Scenario("relay-1m", "relay", "MiB", 2_000, 10_000, size=MIB, parallel=64, clients=_RELAYERS),
    Scenario("relay-1m-20ms", "relay", "MiB", 2_000, 10_000, size=MIB, parallel=64, latency_ms=20, runs_max=1,
             clients=_clients("rclone")),
    Scenario("relay-1m-tls", "relay", "MiB", 2_000, 10_000, size=MIB, parallel=64, tls=True,
             clients=_clients("rclone")),
    Scenario("relay-1g", "relay", "GiB", 2, 8, size=GIB, parallel=8, scales=False, clients=_LARGE_RELAYERS),
    Scenario("relay-1g-tls", "relay", "GiB", 2, 8, size=GIB, parallel=8, tls=True, scales=False, runs_max=2,
             clients=_clients(rclone=ALL, **{"pbcopy-crc32c": ALL})),
    # Whole workflows.
    Scenario("unchanged", "unchanged", "object", 1_000_000, size=64, clients=_clients("s5cmd", "rclone")),
    Scenario("verify-read", "verify", "object", 100_000, clients=_clients()),
    Scenario("verify-read-1m", "verify", "MiB", 2_000, 10_000, size=MIB, parallel=64, clients=_clients()),
    Scenario("restore", "restore", "object", 100_000, clients=_clients()),
    Scenario("backup-5m", "backup", "object", 5_000_000, size=64, only_large=True, runs_max=1,
             clients=_clients()),
    # How soon, and how idle. The two waits belong together: what one costs more than the other is waiting.
    Scenario("first-copy", "first-copy", "object", 1_000_000, size=64, latency_ms=20, runs_max=1,
             clients=_clients(s5cmd=ALL, rclone=ALL)),
    Scenario("wait-0ms", "copy", "object", 1_024, parallel=64, scales=False,
             clients=_clients(s5cmd=ALL, rclone=ALL)),
    Scenario("wait-500ms", "copy", "object", 1_024, parallel=64, latency_ms=500, scales=False, runs_max=1,
             clients=_clients(s5cmd=ALL, rclone=ALL)),
)


def chosen(patterns, large):
    """Those that a pattern names (all where there is none); a name that fits nothing is an error."""
    for pattern in patterns:
        if not any(fnmatch.fnmatch(each.name, pattern) for each in SCENARIOS):
            raise LookupError(f"no scenario is called {pattern}; there are: "
                              + " ".join(each.name for each in SCENARIOS))
    return [each for each in SCENARIOS
            if (not patterns or any(fnmatch.fnmatch(each.name, pattern) for pattern in patterns))
            and (large or not each.only_large)]
