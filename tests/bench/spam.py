"""The benchmark of the spam check: what `make bench-spam` runs. See docs/performance.md.

    spam.py [--rounds N] [--messages N] [--json]

Two nodes side by side, by the lmtp door: one without an engine, one with a healthy engine that takes
0.2 s for a message (it is played). Messages come in 50 sessions, so at most 250 a second can be scanned.
Waiting must cost nothing but time: what counts is, within a round, the scanned flow in relation to the
unscanned one, or to those 250 where they are less.

DIAGNOSTICS
    As bench.py; 1 also when the ratio is less than its target, or when not all was scanned.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import load
from beginning import begin
from load import LostMailError
from ways import Way, postmask

from played_engine import PlayedEngine, played_engine

TARGET = 0.9
SESSIONS = 50
SECONDS = 0.2
WARM_UP = 100


@contextlib.contextmanager
def running() -> Iterator[tuple[Way, Way, PlayedEngine]]:
    """A node without an engine, and one with it."""
    with (
        tempfile.TemporaryDirectory(prefix="postmask-bench-") as plain,
        tempfile.TemporaryDirectory(prefix="postmask-bench-") as scanned,
        played_engine(SECONDS) as engine,
    ):
        for name in (plain, scanned):
            Path(name).chmod(0o755)
        with (
            postmask(Path(plain), "lmtp") as without,
            postmask(Path(scanned), "lmtp", engine=engine.place) as within,
        ):
            yield without, within, engine


def measure(without: Way, within: Way, rounds: int, messages: int) -> list[tuple[float, float]]:
    """Pairs of messages/s, unscanned and scanned; every other pair measured the other way round."""
    for way in (without, within):
        load.run(way, WARM_UP, SESSIONS)
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        before = load.run(without, messages, SESSIONS).rate if number % 2 == 0 else 0.0
        scanned = load.run(within, messages, SESSIONS).rate
        unscanned = before or load.run(without, messages, SESSIONS).rate
        pairs.append((unscanned, scanned))
        told = f"{unscanned:.0f}/s unscanned, {scanned:.0f}/s scanned"
        print(f"bench: round {number + 1} of {rounds}: {told}", file=sys.stderr, flush=True)
    return pairs


def figures(pairs: list[tuple[float, float]]) -> dict[str, object]:
    """Medians, and all ratios."""
    ratios = [scanned / min(unscanned, SESSIONS / SECONDS) for unscanned, scanned in pairs]
    return {
        "unscanned": round(median(unscanned for unscanned, _ in pairs), 1),
        "scanned": round(median(scanned for _, scanned in pairs), 1),
        "ratio": round(median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "met": median(ratios) >= TARGET,
    }


def table(found: dict[str, object]) -> str:
    """For people."""
    missed = "" if found["met"] else f"  MISSED {TARGET}"
    return (
        f"unscanned {found['unscanned']} messages/s, scanned {found['scanned']}: ratio {found['ratio']}"
        f" ({found['ratios']}){missed}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Throughput with an engine that takes 0.2 s a message.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--messages", type=int, default=400, help="messages a measurement (default 400)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    arguments = parser.parse_args()
    begin()
    try:
        with running() as (without, within, engine):
            found = figures(measure(without, within, arguments.rounds, arguments.messages))
            sent = WARM_UP + arguments.rounds * arguments.messages
            if engine.judged < sent:
                raise LostMailError(f"of {sent} messages {engine.judged} were scanned")
    except LostMailError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2) if arguments.json else table(found))
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
