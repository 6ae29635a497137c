"""From rounds to figures: medians, spreads and ratios, as a table or as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from load import Round

TARGETS = {"lmtp": 0.5, "pipe": 0.3}
"""Least part of the limit's messages/s."""

Rounds = Mapping[str, Sequence[Round]]
"""Way → its rounds, in the order of the run: the n-th of each belong together."""


def figures(rounds: Rounds, rcpt: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """All figures. rcpt: "with" and "without" gate and milter → milliseconds."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 1),
        },
        "ways": {way: _way(way, rounds) for way in rounds},
        "rcpt_ms": {name: round(median(times), 2) for name, times in rcpt.items()},
    }


def _way(way: str, rounds: Rounds) -> dict[str, Any]:
    rates = [one.rate for one in rounds[way]]
    ratios = [one.rate / limit.rate for one, limit in zip(rounds[way], rounds["limit"], strict=True)]
    cpu_ratios = [
        _total(limit) / _total(one) for one, limit in zip(rounds[way], rounds["limit"], strict=True)
    ]
    programs = rounds[way][0].cpu
    found: dict[str, Any] = {
        "rate": round(median(rates), 1),
        "rates": [round(rate, 1) for rate in rates],
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "cpu_ms": {name: round(median(one.cpu[name] for one in rounds[way]), 2) for name in programs},
        "cpu_ms_total": round(median(map(_total, rounds[way])), 2),
        "cpu_ratio": round(median(cpu_ratios), 3),
    }
    if way in TARGETS:
        found["target"] = TARGETS[way]
        found["met"] = found["ratio"] >= TARGETS[way]
    return found


def _total(one: Round) -> float:
    return sum(one.cpu.values())


def table(found: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """For people."""
    rate, ratio = f"{'messages/s':>10}  {'(spread)':13}", f"{'of the limit':>12}  {'(spread)':13}"
    lines = [f"{'':34}{rate}{ratio}{'by CPU':>6}  CPU ms/message"]
    lines += [_line(titles[way], one) for way, one in found["ways"].items()]
    rcpt = found["rcpt_ms"]
    lines += [
        "",
        f"RCPT, median: {rcpt['without']} ms without gate and milter, {rcpt['with']} ms with them",
        *(_target(titles[way], one) for way, one in found["ways"].items() if "target" in one),
    ]
    machine = found["machine"]
    lines.append(
        f"{machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']},"
        f" load average at the end {machine['load']}"
    )
    return "\n".join(lines)


def _line(title: str, way: Mapping[str, Any]) -> str:
    rates, ratios = way["rates"], way["ratios"]
    cpu = ", ".join(f"{name} {ms:.1f}" for name, ms in way["cpu_ms"].items())
    spread = f"({min(rates):.0f}-{max(rates):.0f})"
    ratio_spread = f"({min(ratios):.2f}-{max(ratios):.2f})"
    return (
        f"{title:34}{way['rate']:10.0f}  {spread:13}{way['ratio']:12.2f}  {ratio_spread:13}"
        f"{way['cpu_ratio']:6.2f}  {way['cpu_ms_total']:.1f} = {cpu}"
    )


def _target(title: str, way: Mapping[str, Any]) -> str:
    word = "met" if way["met"] else "MISSED"
    return f"{title}: {way['ratio']:.2f} of the limit, target {way['target']:.1f}: {word}"
