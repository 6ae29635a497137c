"""Times as people write them: "30m", "12h", "7d", "90s" (ago, or long), or a date with or without a time."""

from __future__ import annotations

import datetime
import re

import click

from postmask.cli.command import runtime

_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(
    ctx: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    value: str | None,
) -> float | None:
    """An option's value as seconds since the epoch, 0 for all before; what says no time zone is UTC.

    Raises BadParameter.
    """
    if value is None:
        return None
    ago = _SPAN.fullmatch(value)
    if ago:
        return max(0.0, runtime(ctx).clock.now() - int(ago[1]) * _SECONDS[ago[2]])
    try:
        at = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; write 30m, 12h, 7d, or 2026-01-31") from None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp())


def duration_of(
    ctx: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    value: str | None,
) -> float | None:
    """An option's value as a number of seconds. Raises BadParameter."""
    if value is None:
        return None
    long = _SPAN.fullmatch(value)
    if not long or not int(long[1]):
        raise click.BadParameter(f"{value!r} is no length of time; write 30m, 12h or 7d")
    return float(int(long[1]) * _SECONDS[long[2]])
