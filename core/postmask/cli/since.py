"""Points in time as people write them: "30m", "12h", "7d" ago, or a date with or without a time."""

from __future__ import annotations

import datetime
import re

import click

from postmask.cli.command import runtime

_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class Since(click.ParamType[float]):
    """Converts to seconds since the epoch. What says no time zone is UTC."""

    name = "time"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises BadParameter."""
        if isinstance(value, float):
            return value
        ago = _AGO.fullmatch(value)
        if ago:
            assert ctx is not None
            return runtime(ctx).clock.now() - int(ago[1]) * _SECONDS[ago[2]]
        try:
            at = datetime.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 30m, 12h, 7d, or 2026-01-31", param, ctx)
        return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


SINCE = Since()
