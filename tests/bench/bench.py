"""The benchmark: what `make bench` runs. See docs/performance.md.

    bench.py [--quick] [--rounds N] [--messages N] [--seconds N] [--json]

Four ways of a message (see ways.py) run side by side, each on a Postfix of its own, and are measured
in turns, so that whatever else this machine does meets them alike. On a busy machine fewer rounds are
made than asked for, so that the run ends in time. Needs root, as Postfix does.

DIAGNOSTICS
    Exit status 0: all messages arrived, the figures stand on standard output, whether or not they
    meet their targets. 1: a message didn't arrive, or arrived twice; no figures. 77: not root.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import figures
import load
import rcpt
from beginning import begin
from load import LostMailError, Round
from ways import Way, all_ways

WARM_UP = 60
RCPTS = 100
QUICK = (2, 150)


def measure(
    ways: Sequence[Way], rounds: int, messages: int, seconds: float
) -> tuple[figures.Rounds, dict[str, list[float]]]:
    """The rounds: each way once in each, every round beginning with another one.

    No round is begun, but for the first, that would probably end after that many seconds.
    """
    begun = time.monotonic()
    _say("warming up")
    for way in ways:
        load.run(way, WARM_UP)
    measured: dict[str, list[Round]] = {way.name: [] for way in ways}
    named = {way.name: way for way in ways}
    times: dict[str, list[float]] = {"without": [], "with": []}
    first = time.monotonic()
    for number in range(rounds):
        passed = time.monotonic() - first
        if number and time.monotonic() + passed / number > begun + seconds:
            _say("no time for another round")
            break
        for way in (*ways[number % len(ways) :], *ways[: number % len(ways)]):
            measured[way.name].append(load.run(way, messages))
        times["without"] += rcpt.milliseconds(named["relay"].smtp, [named["relay"].recipient] * RCPTS)
        times["with"] += rcpt.milliseconds(named["lmtp"].smtp, [named["lmtp"].recipient] * RCPTS)
        rates = ", ".join(f"{name} {taken[-1].rate:.0f}/s" for name, taken in measured.items())
        _say(f"round {number + 1} of {rounds}: {rates}")
    return measured, times


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Throughput and CPU of Postmask, beside the limit.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--messages", type=int, default=300, help="messages a way and round (default 300)")
    parser.add_argument(
        "--seconds", type=float, default=140.0, help="for all rounds; then no other is begun (default 140)"
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds of 150 messages: for a first look")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    begin()
    rounds, messages = QUICK if arguments.quick else (arguments.rounds, arguments.messages)
    try:
        with all_ways() as ways:
            titles = {way.name: way.title for way in ways}
            found = figures.figures(*measure(ways, rounds, messages, arguments.seconds))
    except LostMailError as error:
        _say(str(error))
        return 1
    print(json.dumps(found, indent=2) if arguments.json else figures.table(found, titles))
    return 0


if __name__ == "__main__":
    sys.exit(main())
