"""The benchmark of a database in trouble: what `make bench-database` runs. See docs/performance.md.

    database.py [--rounds N] [--messages N] [--json]

Messages to a known alias, by the lmtp door, with Postgres healthy and in each of the outages (see
outages.py), in pairs, one right after the other: what counts is the ratio within a pair. After each
outage the node is given the time to tell the database what it learned, so that none pays for another.

DIAGNOSTICS
    As bench.py; 1 also when a ratio is less than its target.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import load
from beginning import begin
from load import LostMailError
from ways import Way, postmask

import postgres
from outages import OUTAGES, Brittle, outages

TARGET = 0.9
WARM_UP = 100


@contextlib.contextmanager
def running() -> Iterator[tuple[Way, Brittle]]:
    """Postmask on a Postgres that can be made to fail."""
    with (
        tempfile.TemporaryDirectory(prefix="postmask-bench-") as name,
        postgres.running() as cluster,
        outages(cluster, cluster.fresh()) as brittle,
    ):
        Path(name).chmod(0o755)
        with postmask(Path(name), "lmtp", brittle.url) as way:
            yield way, brittle


def measure(way: Way, brittle: Brittle, rounds: int, messages: int) -> dict[str, list[tuple[float, float]]]:
    """Outage → pairs of messages/s: healthy, in the outage; every other pair measured the other way round."""
    load.run(way, WARM_UP)
    # In an outage the events wait in the spool, as they must.
    unsettled = replace(way, settled=lambda: True)
    pairs: dict[str, list[tuple[float, float]]] = {how: [] for how in OUTAGES}
    for number in range(rounds):
        for how in OUTAGES:
            before = load.run(way, messages).rate if number % 2 == 0 else 0.0
            with brittle.out(how):
                during = load.run(unsettled, messages).rate
            load.await_settled(way)
            pairs[how].append((before or load.run(way, messages).rate, during))
        told = ", ".join(f"{how} {taken[-1][1] / taken[-1][0]:.2f}" for how, taken in pairs.items())
        print(f"bench: round {number + 1} of {rounds}: {told}", file=sys.stderr, flush=True)
    return pairs


def figures(pairs: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, object]]:
    """Outage → medians, and all ratios."""
    found: dict[str, dict[str, object]] = {}
    for how, taken in pairs.items():
        ratios = [during / healthy for healthy, during in taken]
        found[how] = {
            "healthy": round(median(healthy for healthy, _ in taken), 1),
            "rate": round(median(during for _, during in taken), 1),
            "ratio": round(median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
            "met": median(ratios) >= TARGET,
        }
    return found


def table(found: dict[str, dict[str, object]]) -> str:
    """For people."""
    lines = [f"{'Postgres is':12}{'messages/s':>12}{'healthy':>10}{'ratio':>8}  ratios of the rounds"]
    lines += [
        f"{how:12}{one['rate']:12}{one['healthy']:10}{one['ratio']:8}  {one['ratios']}"
        + ("" if one["met"] else f"  MISSED {TARGET}")
        for how, one in found.items()
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Throughput with the database in trouble.")
    parser.add_argument("--rounds", type=int, default=6, help="rounds (default 6)")
    parser.add_argument("--messages", type=int, default=200, help="messages a measurement (default 200)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    arguments = parser.parse_args()
    begin()
    try:
        with running() as (way, brittle):
            found = figures(measure(way, brittle, arguments.rounds, arguments.messages))
    except LostMailError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0 if all(one["met"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
