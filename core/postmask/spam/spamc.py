"""SpamAssassin's spamd: the SPAMC protocol, sans I/O.

A request has its exact length and is followed by a half-close; without either spamd waits for more
(a message without a final line end hung it for ever). An answer counts only with all the octets that
it announces.

spamd sees a message as it would lie in a mailbox: at SMTP time Postfix's own Received field isn't there
yet, so one is put before the message, and Return-Path in any case.

DIAGNOSTICS
    ERROR_STATUS with spamd's own code and words, or where it has learned nothing; NO_NUMBER for a score
    that is none, NONSENSE for what isn't SPAMC and for a verdict that contradicts its score, HUGE_ANSWER,
    HALF_ANSWER.

STANDARDS
    spamd/PROTOCOL of SpamAssassin 4.0, version 1.5. RFC 5321 §4.4 (Received, Return-Path).
"""

from __future__ import annotations

import email.utils
import re
from typing import NoReturn, TypeVar

from postmask.spam.engine import Facts, Question, Reader, crlf_ended, one_line
from postmask.spam.judgement import EngineError, Kind, Reason, Score, symbols

HEAD_LIMIT = 4_096
BODY_LIMIT = 65_536

T = TypeVar("T")

_VERSION = b"SPAMC/1.5"
_STATUS = re.compile(rb"SPAMD/[0-9]+\.[0-9]+ ([0-9]{1,4}) (.*)")
_SPAM = re.compile(r"(True|Yes|False|No) ; (\S{1,40}) / (\S{1,40})")
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_UNFIT_NAME = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_UNFIT_ADDRESS = re.compile(r"[\x00-\x20\x7f<>]")
_LEARNS_NOTHING = "it learned nothing: is Bayes on (use_bayes), and may its user write there (bayes_path)?"
_ROUNDING = 0.11
"""spamd decides by the exact score, and tells one digit after the point."""


class Spamd:
    """Questions for spamd. It knows no size limit of its own."""

    def check(self, content: bytes, facts: Facts) -> Question[Score]:
        """SYMBOLS: score, threshold and the names of the rules that hit, without the message."""
        trace = trace_fields(facts)
        return _question(b"SYMBOLS", crlf_ended(content), _ScoreReader(), trace=trace)

    def learn(self, content: bytes, kind: Kind) -> tuple[Question[bool], Question[bool]]:
        """TELL; spamd must have been started with --allow-tell.

        To forget it first: spamd has the same words for a message that it knows and for one that it
        can't learn from.
        """
        whole = crlf_ended(content)
        fields = b"Message-class: %s\r\nSet: local\r\n" % kind.encode()
        return (
            _question(b"TELL", whole, _DoneReader(), b"Remove: local\r\n"),
            _question(b"TELL", whole, _LearnedReader(), fields),
        )

    def ping(self) -> Question[bool]:
        """PING, which says nothing of free children."""
        return _question(b"PING", b"", _DoneReader())


def trace_fields(facts: Facts) -> bytes:
    """Return-Path, and the Received field that Postfix will write, in its form."""
    lines = []
    if facts.sender is not None and not _UNFIT_ADDRESS.search(facts.sender):
        lines.append(f"Return-Path: <{facts.sender}>")
    if not facts.traced and facts.client:
        address = f"IPv6:{facts.client}" if ":" in facts.client else facts.client
        came_from = f"{_name(facts.helo)} ({_name(facts.client_name)} [{_name(address)}])"
        lines.append(f"Received: from {came_from}")
        protocol = "ESMTPA" if facts.login else "ESMTP"
        lines.append(f"\tby {_name(facts.host)} (Postfix) with {protocol} id {_name(facts.queue_id)};")
        lines.append(f"\t{email.utils.formatdate(facts.at)}")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _name(text: str) -> str:
    return _UNFIT_NAME.sub("_", one_line(text, 255)) or "unknown"


def _question(
    command: bytes, content: bytes, reader: Reader[T], fields: bytes = b"", trace: bytes = b""
) -> Question[T]:
    head = b"%s %s\r\n%sContent-length: %d\r\n\r\n" % (command, _VERSION, fields, len(trace) + len(content))
    return Question((head + trace, content), reader, half_close=True)


class _DoneReader:
    """Of an answer whose first line says it all."""

    def __init__(self) -> None:
        self._input = bytearray()

    def feed(self, octets: bytes) -> bool | None:
        """True once spamd has said that it is done."""
        self._input += octets
        return True if _status_line(self._input) else None

    def end(self) -> NoReturn:
        """Closed too early."""
        raise _cut_short(self._input)


class _LearnedReader(_DoneReader):
    """Of an answer that says as well whether anything was learned."""

    def feed(self, octets: bytes) -> bool | None:
        """True once spamd has said so."""
        if not super().feed(octets) or b"\r\n\r\n" not in self._input:
            return None
        if b"\r\nDidSet: local\r\n" not in self._input:
            raise EngineError(Reason.ERROR_STATUS, _LEARNS_NOTHING)
        return True


class _ScoreReader:
    """Of an answer with header fields and a list of symbols."""

    def __init__(self) -> None:
        self._input = bytearray()
        self._head: dict[str, str] = {}
        self._length = 0

    def feed(self, octets: bytes) -> Score | None:
        """The score, once all announced octets are there."""
        self._input += octets
        if not self._head and not self._take_head():
            return None
        if len(self._input) > self._length:
            raise EngineError(Reason.NONSENSE, "more than it announced")
        if len(self._input) < self._length:
            return None
        hit = self._input.decode("ascii", "replace").split(",")
        return _score(self._head.get("spam", ""), symbols(hit))

    def end(self) -> NoReturn:
        """Closed too early."""
        raise _cut_short(self._input, started=bool(self._head))

    def _take_head(self) -> bool:
        if not _status_line(self._input):
            return False
        head, separator, rest = self._input.partition(b"\r\n\r\n")
        if len(head) > HEAD_LIMIT:
            raise EngineError(Reason.HUGE_ANSWER, f"a header of more than {HEAD_LIMIT} octets")
        if not separator:
            return False
        for line in head.decode("ascii", "replace").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or name.lower() in self._head:
                raise EngineError(Reason.NONSENSE, line[:80])
            self._head[name.lower()] = value.strip(" ")
        length = self._head.get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            raise EngineError(Reason.NONSENSE, "no length announced")
        self._length = int(length)
        if self._length > BODY_LIMIT:
            raise EngineError(Reason.HUGE_ANSWER, f"{length} octets announced")
        self._input = rest
        return True


def _status_line(received: bytearray) -> bool:
    """Whether it is there, and says 0. Raises EngineError when it says anything else."""
    line, separator, _ = received.partition(b"\r\n")
    if len(line) > HEAD_LIMIT:
        raise EngineError(Reason.HUGE_ANSWER, f"a line of more than {HEAD_LIMIT} octets")
    if not separator:
        if not line.startswith(b"SPAMD/"[: len(line)]):
            raise EngineError(Reason.NONSENSE, _quoted(line))
        return False
    said = _STATUS.fullmatch(line)
    if said is None:
        raise EngineError(Reason.NONSENSE, _quoted(line))
    if int(said[1]):
        raise EngineError(Reason.ERROR_STATUS, _quoted(b"%s %s" % said.groups()))
    return True


def _score(field: str, hit: tuple[str, ...]) -> Score:
    told = _SPAM.fullmatch(field)
    if told is None:
        raise EngineError(Reason.NONSENSE, f"Spam: {field[:80]}")
    if not (_NUMBER.fullmatch(told[2]) and _NUMBER.fullmatch(told[3])):
        raise EngineError(Reason.NO_NUMBER, f"Spam: {field}")
    score = Score(float(told[2]), float(told[3]), hit)
    above = score.score - score.threshold
    if above < -_ROUNDING if told[1] in {"True", "Yes"} else above > _ROUNDING:
        raise EngineError(Reason.NONSENSE, f"contradicts itself: {field}")
    return score


def _cut_short(received: bytearray, *, started: bool = False) -> EngineError:
    if received or started:
        return EngineError(Reason.HALF_ANSWER, _quoted(received))
    return EngineError(Reason.HALF_ANSWER, "closed without an answer")


def _quoted(octets: bytes | bytearray) -> str:
    return bytes(octets[:80]).decode("ascii", "backslashreplace")
