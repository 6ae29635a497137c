"""The log: one line a record on standard error, fit for systemd's journal and for a person.

A line reads `program: event key=value key="quoted value"`; "warning:" and the like follow the program
where it matters, as in Postfix's log. Every value goes through postmask.display, so no mail can forge
a line. Under systemd the journal keeps the time and the priority; elsewhere a line begins with the
time, UTC.

DIAGNOSTICS
    A record that can't be written is lost in silence: a full disk or a closed terminal never stops
    mail. Nor does a journal or a pipe that isn't read: it is waited for once, a second; what comes then,
    until it is read again, is counted, and a line says how many "lines are missing here". A file on a disk
    that hangs is waited for: the kernel knows no write to it without a wait. An exception,
    caught or not, is one line too: its type and the innermost places it went through, and likewise what
    caused it. Its text may name somebody's mailbox and is left out.

STANDARDS
    sd-daemon(3) (priority prefixes), systemd.exec(5) (JOURNAL_STREAM), pipe(7) (what has room takes PIPE_BUF
    octets without a wait), ISO 8601.
"""

from __future__ import annotations

import datetime
import io
import logging
import os
import re
import select
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

from postmask.display import printable
from postmask.fault import fault

VALUE_LIMIT = 500
"""Characters of one value; a reason or a remote server's reply fits, a header field doesn't."""

OURS = ("postmask", "postmask_milter", "postmask_transport", "postmask_postfix", "__main__")
"""The loggers above all of ours."""

_MESSAGE_LIMIT = 4000
_PATIENCE = 1.0
"""Seconds that a reader has who was in time until now."""
_TO_QUOTE = re.compile('[ "=]')
_WORDS = {logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.CRITICAL: "fatal: "}
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def setup(
    program: str,
    level: str,
    *,
    environ: Mapping[str, str] = os.environ,
    stream: TextIO | None = None,
) -> None:
    """Send every record of the process, ours and the libraries', to the stream (standard error).

    program: as the lines begin. level: debug, info, warning or error, for our own records; libraries
    are heard from warning on.
    """
    out = stream or sys.stderr
    if isinstance(out, io.TextIOWrapper):  # else in the locale's charset, which the journal takes for no text
        out.reconfigure(encoding="utf-8", errors="backslashreplace")
    handler = _Handler(out)
    handler.setFormatter(_Formatter(program, journal=_is_journal(out, environ)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    sys.excepthook = lambda kind, error, trace: _uncaught(error)  # noqa: ARG005 (libmilter's callbacks too)
    threading.excepthook = lambda ended: _uncaught(ended.exc_value)


def line(logger: logging.Logger, level: int, event: str, /, **fields: object) -> None:
    """Write the canonical line of one unit of work. Fields that are None are left out."""
    if logger.isEnabledFor(level):
        logger.log(level, "%s", _Line(event, fields))


class _Line:
    """An event and its fields, put into words only if somebody writes it."""

    def __init__(self, event: str, fields: Mapping[str, object]) -> None:
        self._event = event
        self._fields = fields

    def __str__(self) -> str:
        words = [f"{name}={_value(value)}" for name, value in self._fields.items() if value is not None]
        return " ".join([printable(self._event), *words])


class _Formatter(logging.Formatter):
    def __init__(self, program: str, *, journal: bool) -> None:
        super().__init__()
        self._program = program
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if not isinstance(record.args, tuple) or not any(isinstance(arg, _Line) for arg in record.args):
            message = printable(message, _MESSAGE_LIMIT)  # a _Line has done that value by value
        if record.exc_info and record.exc_info[1]:
            message += f" error={_value(fault(record.exc_info[1]))}"
        return f"{self._lead(record)}{self._program}: {_WORDS.get(record.levelno, '')}{message}"

    def _lead(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>"
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z "


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._missing = 0
        self._poll = select.poll()
        try:
            self._poll.register(stream.fileno(), select.POLLOUT)
            self._may_wait = True
        except OSError:  # no file, but memory
            self._may_wait = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, unless nobody reads."""
        if self._may_wait and not self._poll.poll(0 if self._missing else _PATIENCE * 1000):
            self._missing += 1
            return
        if self._missing:
            said = {"levelno": logging.WARNING, "msg": "%d lines are missing here: nobody read them in time"}
            super().emit(logging.makeLogRecord({**said, "args": (self._missing,)}))
            self._missing = 0
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nobody is left who could be told."""


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
        case str() | bytes():
            text = printable(value, VALUE_LIMIT)
        case _:
            text = printable(str(value), VALUE_LIMIT)
    if text and not _TO_QUOTE.search(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _uncaught(error: BaseException | None) -> None:
    """In place of the interpreter's own words, which are a traceback with all texts."""
    logging.getLogger(__name__).critical("nobody foresaw this", exc_info=error)


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """JOURNAL_STREAM holds device and inode of the journal's socket; a redirected stream isn't it."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
