"""`postmask spam`: the engines that judge mail, and the switch that leaves them out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from postmask.cli.command import Noun
from postmask.cli.failure import CommandError
from postmask.cli.output import Column, moment
from postmask.cli.runtime import Runtime
from postmask.cli.since import duration_of

if TYPE_CHECKING:
    from postmask.spam.bypass import Bypass
    from postmask.spam.judgement import Scan

_ENGINES = (
    Column("name", "ENGINE"),
    Column("address", "ADDRESS"),
    Column("answers", "ANSWERS"),
    Column("milliseconds", "MS"),
    Column("problem", "PROBLEM"),
)
_FIGURES = (
    Column("program", "PROGRAM"),
    Column("name", "ENGINE"),
    Column("breaker", "BREAKER"),
    Column("in_flight", "IN FLIGHT"),
    Column("checks", "CHECKS"),
    Column("judged", "JUDGED"),
    Column("median_ms", "MEDIAN MS"),
    Column("failures", "FAILURES"),
    Column("last_failure", "LAST FAILURE"),
)


@click.group(cls=Noun, examples=("postmask spam status", "postmask spam bypass on --for 30m"))
def spam() -> None:
    """The spam check: its engines, one message's judgement, and the emergency switch."""


@spam.command("status", examples=("postmask spam status", "postmask spam status --json"))
@click.pass_obj
@click.pass_context
def status(ctx: click.Context, runtime: Runtime) -> None:
    """Ask each engine whether it answers, and show what the programs have had of them since they began.

    Exit status 69 if an engine doesn't answer.
    """
    from postmask.spam.opening import installed, probe
    from postmask.spam.publishing import published

    settings = runtime.settings
    engines = [probe(one, runtime.clock) for one in installed(settings)]
    programs = list(published(settings.spam.directory))
    switch = _described(_switch(runtime))
    if runtime.output.json:
        runtime.output.record({"engines": engines, "programs": programs, **switch})
    else:
        runtime.output.table(engines, _ENGINES, empty="no engine is configured (spam.engines)")
        rows = [{**one, "program": each["program"]} for each in programs for one in each["engines"]]
        if rows:
            runtime.output.say("")
            runtime.output.table(rows, _FIGURES, empty="")
        if switch["bypass"]:
            runtime.output.say(_in_words(switch))
    if not all(engine.answers for engine in engines):
        ctx.exit(os.EX_UNAVAILABLE)


@spam.command(
    "check",
    examples=(
        "postmask spam check message.eml",
        "postmask spam check --client 198.51.100.7 --sender bob@example.com message.eml --json",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--client", metavar="IP", default="", help="The SMTP client's address.")
@click.option("--helo", metavar="NAME", default="", help="What it called itself.")
@click.option("--sender", metavar="ADDRESS", help="The envelope sender.")
@click.option(
    "--recipient", "recipients", metavar="ADDRESS", multiple=True, help="An envelope recipient; repeatable."
)
@click.pass_obj
@click.pass_context
def check(
    ctx: click.Context,
    runtime: Runtime,
    file: str,
    client: str,
    helo: str,
    sender: str | None,
    recipients: tuple[str, ...],
) -> None:
    """Have a message judged (- is standard input), by the engines in their order, as the programs would.

    Spam or not, the exit status is 0; it is 69 if no engine has judged. The switch `bypass` and the
    programs' breakers don't matter here.
    """
    from postmask.clock import Deadline
    from postmask.spam.engine import Facts
    from postmask.spam.opening import open_scanner

    settings = runtime.settings
    if not settings.spam.engines:
        raise CommandError("no engine is configured; name them in spam.engines", os.EX_CONFIG)
    with click.open_file(file, "rb") as message:
        content = message.read()
    facts = Facts(
        client=client,
        helo=helo,
        sender=sender,
        recipients=recipients,
        host=settings.node.name,
        at=runtime.clock.now(),
        traced=not client,
    )
    scanner = open_scanner(settings, runtime.clock, bypassed=lambda: False)
    deadline = Deadline.after(runtime.clock, settings.spam.budget)
    scan = scanner.scan(content, facts, deadline)
    _show(runtime, scan)
    if scan.score is None:
        ctx.exit(os.EX_UNAVAILABLE)


@spam.group("bypass", cls=Noun, examples=("postmask spam bypass on --for 30m", "postmask spam bypass show"))
def bypass() -> None:
    """The emergency switch: while it is on, no program on this node asks an engine."""


@bypass.command("on", examples=("postmask spam bypass on --for 30m", "postmask spam bypass on"))
@click.option(
    "--for",
    "length",
    callback=duration_of,
    metavar="TIME",
    help="Ends by itself after that: 30m, 12h or 7d. [default: it is switched off]",
)
@click.pass_obj
def on(runtime: Runtime, length: float | None) -> None:
    """Leave the engines alone, from the next message on, in all programs.

    What comes meanwhile is treated as spam.when_unscanned says.
    """
    switch = _switch(runtime)
    switch.switch_on(math.inf if length is None else runtime.clock.now() + length)
    _tell(runtime, switch)


@bypass.command("off", examples=("postmask spam bypass off",))
@click.pass_obj
def off(runtime: Runtime) -> None:
    """Ask the engines again, from the next message on."""
    switch = _switch(runtime)
    switch.switch_off()
    _tell(runtime, switch)


@bypass.command("show", examples=("postmask spam bypass show",))
@click.pass_obj
def show(runtime: Runtime) -> None:
    """Say whether it is on, and until when."""
    _tell(runtime, _switch(runtime))


def _switch(runtime: Runtime) -> Bypass:
    from postmask.spam.bypass import Bypass

    return Bypass(runtime.settings.spam.directory, runtime.clock)


def _described(switch: Bypass) -> dict[str, Any]:
    """until: seconds since the epoch; None without an end, and if it isn't on."""
    until = switch.until()
    in_force = switch.in_force()
    return {"bypass": in_force, "until": until if in_force and math.isfinite(until) else None}


def _in_words(described: Mapping[str, Any]) -> str:
    if not described["bypass"]:
        return "off: the engines are asked"
    until = described["until"]
    end = "it is switched off" if until is None else moment(until)
    return f"on: no engine is asked until {end}"


def _tell(runtime: Runtime, switch: Bypass) -> None:
    described = _described(switch)
    if runtime.output.json:
        return runtime.output.record(described)
    runtime.output.say(_in_words(described))
    return None


def _show(runtime: Runtime, scan: Scan) -> None:
    score = scan.score
    record: dict[str, object] = {
        "spam": None if score is None else score.ratio >= 1,
        "engine": scan.engine or None,
        "score": score and score.score,
        "threshold": score and score.threshold,
        "ratio": score and round(score.ratio, 3),
        "symbols": score.symbols if score else (),
        "milliseconds": round(scan.milliseconds, 1),
        "attempts": scan.attempts,
    }
    if not runtime.output.json:
        record["attempts"] = [
            f"{attempt}{attempt.detail and f' ({attempt.detail})'}, {attempt.milliseconds:.0f} ms"
            for attempt in scan.attempts
        ]
    runtime.output.record(record)
