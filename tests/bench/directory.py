"""The benchmark of a large directory: what `make bench-directory` runs. See docs/performance.md.

    directory.py [--aliases N] [--rounds N] [--rcpts N] [--json]

Two nodes, each on a Postgres database of its own, one with a thousand aliases and one with a million.
Both make their first copy; then RCPTs of aliases taken at random are measured in pairs, one node right
after the other: what counts is the ratio within a pair. The same for the look-ups alone, in this process,
without Postfix and gate around them.

DIAGNOSTICS
    Exit status 0: the targets are met. 1: one is not. 77: not root. RuntimeError: an alias was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import rcpt
from beginning import begin
from sqlalchemy import text

import postgres
import replicas
from lab import lab
from postgres import Cluster
from postmask.clock import SystemClock
from postmask.config import load
from postmask.directory.lookup import Found
from postmask.directory.opening import open_directory
from postmask.store.engine import make_engine
from truth import Truth, made

SMALL, LARGE = 1_000, 1_000_000
COPY_SECONDS = 120.0
RATIO = 1.5
_PATIENCE = 600.0

_ALIASES = """
INSERT INTO alias (id, account_id, address, domain, state, when_disabled, created)
SELECT number, account.id, 'a' || number || '@alias.test', 'alias.test', 'active', 'reject', 1
FROM account, generate_series(1, :count) AS number
"""
_MAILBOXES = """
INSERT INTO alias_mailbox (alias_id, mailbox_id, account_id)
SELECT alias.id, mailbox.id, mailbox.account_id FROM alias, mailbox
WHERE mailbox.address = 'bob@real.test' AND alias.id <= :count
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. copied: seconds from its start to the first copy in use. octets: the copy's size."""

    aliases: int
    smtp: str
    copied: float
    octets: int
    look_up: Callable[[str], object]

    def some(self, count: int) -> list[str]:
        """So many of its aliases, at random."""
        return [f"a{random.randint(1, self.aliases)}@alias.test" for _ in range(count)]


def _say(said: str) -> None:
    print(f"bench: {said}", file=sys.stderr, flush=True)


def furnish(truth: Truth, aliases: int) -> None:
    """Give it so many: a1@alias.test and so on."""
    truth.furnish()
    with truth.engine.begin() as connection:
        for statement in (_ALIASES, _MAILBOXES):
            connection.execute(text(statement), {"count": aliases})


@contextlib.contextmanager
def node(directory: Path, cluster: Cluster, aliases: int) -> Iterator[Node]:
    """A node whose database has so many aliases."""
    url = cluster.fresh()
    begun = time.monotonic()
    with made(url) as truth:
        furnish(truth, aliases)
    _say(f"{aliases} aliases made in {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    with lab(directory / str(aliases), door="lmtp", database=url) as running:
        settings = load(running.config)
        if not replicas.await_current(settings.replica.directory, make_engine(url), _PATIENCE):
            raise RuntimeError(f"no copy of {aliases} aliases within {_PATIENCE:.0f} s")
        copied = time.monotonic() - begun
        running.postmask("postfix", "sync")
        octets = sum(path.stat().st_size for path in settings.replica.directory.glob("directory.*.db"))
        _say(f"the first copy of {aliases} aliases took {copied:.1f} s, {octets / 1e6:.0f} MB")
        asked = open_directory(settings, None, SystemClock())
        yield Node(aliases, running.described["smtp"], copied, octets, asked.alias)


def look_up(one: Node, addresses: Sequence[str]) -> list[float]:
    """Milliseconds of each look-up."""
    times = []
    for address in addresses:
        begun = time.perf_counter()
        answer = one.look_up(address)
        times.append((time.perf_counter() - begun) * 1000)
        if not isinstance(answer, Found):
            raise RuntimeError(f"{address}: {answer}")
    return times


def through_postfix(one: Node, addresses: Sequence[str]) -> list[float]:
    """Milliseconds of each RCPT."""
    return rcpt.milliseconds(one.smtp, addresses)


WAYS = {"RCPT": through_postfix, "look-up": look_up}


def measure(small: Node, large: Node, rounds: int, count: int) -> dict[str, list[tuple[float, float]]]:
    """Way → pairs of medians in ms: small, large; every other pair measured the other way round."""
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(-1, rounds):
        for name, way in WAYS.items():
            order = (small, large) if number % 2 == 0 else (large, small)
            taken = {one.aliases: median(way(one, one.some(count))) for one in order}
            # The first round warms up.
            if number >= 0:
                pairs[name].append((taken[small.aliases], taken[large.aliases]))
    return pairs


def figures(small: Node, large: Node, pairs: dict[str, list[tuple[float, float]]]) -> dict[str, object]:
    """All figures."""
    ways: dict[str, object] = {}
    for name, taken in pairs.items():
        ratios = [large_ms / small_ms for small_ms, large_ms in taken]
        ways[name] = {
            "small_ms": round(median(small_ms for small_ms, _ in taken), 3),
            "large_ms": round(median(large_ms for _, large_ms in taken), 3),
            "ratio": round(median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
        }
    return {
        "aliases": [small.aliases, large.aliases],
        "first_copy_seconds": [round(small.copied, 1), round(large.copied, 1)],
        "replica_mb": [round(small.octets / 1e6, 1), round(large.octets / 1e6, 1)],
        "ways": ways,
        "met": large.copied <= COPY_SECONDS
        and median(large_ms / small_ms for small_ms, large_ms in pairs["RCPT"]) <= RATIO,
    }


def table(found: dict[str, object]) -> str:
    """For people."""
    small, large = found["aliases"]  # type: ignore[misc]
    seconds, sizes = found["first_copy_seconds"], found["replica_mb"]
    lines = [
        f"first copy: {seconds[1]} s for {large} aliases ({sizes[1]} MB), {seconds[0]} s for {small}; "  # type: ignore[index]
        f"target {COPY_SECONDS:.0f} s"
    ]
    ways: dict[str, dict[str, object]] = found["ways"]  # type: ignore[assignment]
    lines += [
        f"{name:8} {one['small_ms']} ms with {small}, {one['large_ms']} ms with {large}: "
        f"ratio {one['ratio']}, of the rounds {one['ratios']}"
        for name, one in ways.items()
    ]
    return "\n".join([*lines, f"target of RCPT's ratio {RATIO}: {'met' if found['met'] else 'MISSED'}"])


def main() -> int:
    parser = argparse.ArgumentParser(description="A directory of a million aliases beside one of a thousand.")
    parser.add_argument("--aliases", type=int, default=LARGE, help=f"of the large one (default {LARGE})")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--rcpts", type=int, default=300, help="RCPTs a measurement (default 300)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    arguments = parser.parse_args()
    begin()
    with (
        tempfile.TemporaryDirectory(prefix="postmask-bench-") as name,
        postgres.running() as cluster,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        with (
            node(directory, cluster, SMALL) as small,
            node(directory, cluster, arguments.aliases) as large,
        ):
            found = figures(small, large, measure(small, large, arguments.rounds, arguments.rcpts))
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
