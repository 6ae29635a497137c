"""All checks of this node, put together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from postmask.cli import postfix_facts
from postmask.cli.checks import database, files, postfix, programs
from postmask.cli.checks.check import Check, Part
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes
from postmask.doctor.finding import Code, Finding, Severity


def all_checks(runtime: Runtime) -> Iterator[Check]:
    """Every check, in the order in which things depend on each other. Raises ConfigError."""
    file = runtime.settings.file
    yield Check("configuration", True, f"{file} is in order")
    for part in (*PARTS, *FINDINGS):
        yield from part.checks(runtime)


def _secrets(runtime: Runtime) -> Iterator[Finding]:
    from postmask.cli.doctor import secrets

    yield from secrets.made(runtime)
    yield from secrets.fingerprints(runtime)


def _attachment(runtime: Runtime) -> Iterator[Finding]:
    from postmask.cli.postfix import attach_request
    from postmask_postfix import commands
    from postmask_postfix.doctor import attachment, reading
    from postmask_postfix.doctor.codes import NOT_RUNNING

    directory = runtime.settings.postfix.config_dir
    if not postfix_facts.attached(directory):
        return
    # postfix(1) speaks to root alone.
    if os.geteuid() == 0 and not commands.is_running(directory):
        yield NOT_RUNNING.at("postfix")
    else:
        yield from attachment.lint(reading.attachment(attach_request(runtime)))


def _amiss(name: str, look: Callable[[Runtime], Iterator[Finding]], code: Code) -> Part:
    """Only what is amiss. Of secrets and database that can't be read their own parts tell."""

    def checks(runtime: Runtime) -> Iterator[Check]:
        from postmask.keys import KeyFileError
        from postmask.store.errors import StoreError

        with contextlib.suppress(KeyFileError, StoreError):
            for finding in look(runtime):
                if finding.code.severity is not Severity.NOTICE:
                    what = f"{finding.what.removesuffix('.')}. {finding.advice}"
                    yield Check(name, False, what, finding.code, finding.where)

    return Part(name, checks, code)


PARTS = (
    Part("keys", programs.keys, codes.KEYS),
    Part("database", database.database, codes.DATABASE),
    Part("drain", files.drain, codes.DRAINED),
    Part("replica", files.replica, codes.REPLICA),
    Part("spool", files.spool, codes.SPOOL),
    Part("disk", files.disks, codes.DISK),
    Part("programs", programs.programs, codes.PROGRAM),
    Part("postfix", postfix.postfix, codes.POSTFIX),
    Part("spam", programs.spam, codes.SPAM_ENGINE),
)
"""All that the doctor's group `node` looks at too, in the order in which things depend on each other."""

FINDINGS = (
    _amiss("keys", _secrets, codes.SECRETS),
    _amiss("postfix", _attachment, codes.POSTFIX),
)
"""What are checks of the doctor's own."""
