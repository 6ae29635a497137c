"""What is at work on the node: the master secrets, the programs, the spam engines."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli.checks.check import Check
from postmask.cli.output import counted
from postmask.cli.programs import listening, silence
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes


def keys(runtime: Runtime) -> Iterator[Check]:
    """Whether they can be read."""
    signing = runtime.keys.signing
    secrets = counted(len(runtime.keys.secrets), "secret", "secrets")
    yield Check("keys", True, f"{secrets}; that of {signing.created} signs")


def programs(runtime: Runtime) -> Iterator[Check]:
    """Whether each answers on its socket."""
    for program in listening(runtime.settings.sockets):
        trouble = silence(program)
        what = f"{program.path}: {trouble}" if trouble else f"answers on {program.path}"
        yield Check(program.name, not trouble, what, codes.PROGRAM)


def spam(runtime: Runtime) -> Iterator[Check]:
    """The engines, and the switch that leaves them out."""
    from postmask.spam.bypass import Bypass
    from postmask.spam.opening import installed, probe

    folder = runtime.settings.spam.directory
    engines = installed(runtime.settings)
    if engines and not folder.is_dir():
        what = f"there is no folder {folder} for the switch and the programs' figures"
        what += "; make it for their user, or see spam.directory"
        yield Check("spam", False, what, codes.SPAM_FOLDER)
    for one in engines:
        found = probe(one, runtime.clock)
        what = f"answers in {found.milliseconds:.0f} ms" if found.answers else found.problem
        yield Check("spam", found.answers, f"{one.name} at {one.place}: {what}", codes.SPAM_ENGINE, one.name)
    if Bypass(folder, runtime.clock).in_force():
        what = "no engine is asked; to end that: postmask spam bypass off"
        yield Check("spam", False, what, codes.SPAM_BYPASS)
