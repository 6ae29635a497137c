"""Rspamd: its HTTP interface, sans I/O (h11 does the HTTP).

A check goes to a normal worker (/checkv2), a report to the controller (/learnham, /learnspam) with its
password. Envelope and client go along as header fields, since the message doesn't bear them yet.

DIAGNOSTICS
    ERROR_STATUS for any status but 200; NO_NUMBER for NaN, infinite and missing scores; NOT_SCANNED
    where Rspamd says that it has skipped the message without finding it to be spam; NONSENSE for what
    isn't HTTP or not the JSON we know; HUGE_ANSWER, HALF_ANSWER.

STANDARDS
    Rspamd's protocol documentation (/checkv2, request header fields); RFC 9112, RFC 8259.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar

import h11

from postmask.spam.engine import Facts, Question, crlf_ended, one_line
from postmask.spam.judgement import EngineError, Kind, Reason, Score, symbols

HEAD_LIMIT = 16_384
BODY_LIMIT = 1_048_576

_RECIPIENTS = 100
"""More of them tell Rspamd nothing, and it limits the header."""

_OK = frozenset({200})
_LEARNED = frozenset({200, 204, 208})
"""204: it sees no reason to learn from it. 208: learned before."""

T = TypeVar("T")


class Rspamd:
    """Questions for Rspamd. password: the controller's; "" for none."""

    def __init__(self, password: str = "") -> None:
        self._password = password

    def check(self, content: bytes, facts: Facts) -> Question[Score]:
        """The score with Rspamd's own reject threshold, and the symbols, the weightiest first."""
        return self._question("POST", "/checkv2", _score, crlf_ended(content), _fields(facts))

    def learn(self, content: bytes, kind: Kind) -> tuple[Question[bool]]:
        """Of the controller. What it has learned before, or sees no reason to learn, isn't an error."""
        return (self._question("POST", f"/learn{kind}", _done, crlf_ended(content), good=_LEARNED),)

    def ping(self) -> Question[bool]:
        """Whether a worker answers."""
        return self._question("GET", "/ping", _done)

    def _question(
        self,
        method: str,
        target: str,
        understand: Callable[[bytes], T],
        content: bytes = b"",
        fields: Iterable[tuple[str, str]] = (),
        good: frozenset[int] = _OK,
    ) -> Question[T]:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        # h11 refuses to send what could be taken for another field or request.
        common = [("Host", "rspamd"), ("Connection", "close"), ("Content-Length", str(len(content)))]
        if self._password:
            common.append(("Password", self._password))
        headers = [(name.encode(), value.encode("utf-8", "replace")) for name, value in (*common, *fields)]
        head = connection.send(h11.Request(method=method, target=target, headers=headers))
        connection.send_with_data_passthrough(h11.Data(data=content))
        connection.send(h11.EndOfMessage())
        assert head is not None
        return Question((head, content), _Reader(connection, understand, good))


def _fields(facts: Facts) -> Iterator[tuple[str, str]]:
    known = (
        ("IP", facts.client),
        ("Helo", facts.helo),
        ("Hostname", facts.client_name),
        ("User", facts.login),
        ("From", "" if facts.sender is None else f"<{facts.sender}>"),
        *(("Rcpt", f"<{recipient}>") for recipient in facts.recipients[:_RECIPIENTS]),
        ("Queue-Id", facts.queue_id),
        ("MTA-Name", facts.host),
    )
    return ((name, one_line(value)) for name, value in known if value)


class _Reader(Generic[T]):
    def __init__(
        self, connection: h11.Connection, understand: Callable[[bytes], T], good: frozenset[int]
    ) -> None:
        self._connection = connection
        self._good = good
        self._understand = understand
        self._body = bytearray()
        self._begun = False
        self._status = 0

    def feed(self, octets: bytes) -> T | None:
        """What the body says, once it is whole."""
        self._begun = self._begun or bool(octets)
        return self._take(octets) if octets else None

    def end(self) -> T:
        """An answer without a length isn't whole: nobody could tell."""
        raise EngineError(
            Reason.HALF_ANSWER, "in the middle of it" if self._begun else "closed without an answer"
        )

    def _check(self, response: h11.Response) -> None:
        self._status = response.status_code
        if self._status not in self._good:
            raise EngineError(Reason.ERROR_STATUS, f"HTTP {self._status}")
        fields = dict(response.headers)
        if self._status != 204 and not {b"content-length", b"transfer-encoding"} & {*fields}:
            raise EngineError(Reason.NONSENSE, "no length announced")
        # h11 has seen to it that it is a number.
        if int(fields.get(b"content-length", b"0")) > BODY_LIMIT:
            raise _huge()

    def _take(self, octets: bytes) -> T | None:
        try:
            self._connection.receive_data(octets)
            while True:
                event = self._connection.next_event()
                match event:
                    case h11.Response():
                        self._check(event)
                    case h11.Data():
                        self._body += event.data
                        if len(self._body) > BODY_LIMIT:
                            raise _huge()
                    case h11.EndOfMessage():
                        # Rspamd gives even a 204 a body.
                        if self._connection.trailing_data[0] and self._status != 204:
                            raise EngineError(Reason.NONSENSE, "more than it announced")
                        return self._understand(bytes(self._body))
                    case h11.InformationalResponse():
                        pass
                    case _:
                        return None
        except h11.RemoteProtocolError as error:
            if "too long" in str(error):
                raise _huge() from None
            raise EngineError(Reason.NONSENSE, str(error)[:200]) from None


def _huge() -> EngineError:
    return EngineError(Reason.HUGE_ANSWER, "more than fits an answer")


def _done(_body: bytes) -> bool:
    return True


def _score(body: bytes) -> Score:
    answer = _json(body)
    hit = answer.get("symbols", {})
    if not isinstance(hit, dict):
        raise EngineError(Reason.NONSENSE, "no symbols")
    names = sorted(hit, key=lambda name: (-abs(_weight(hit[name])), name))
    score = Score(_number(answer, "score"), _number(answer, "required_score"), symbols(names))
    # Its own shortcuts, GTUBE is one, are marked as skipped too, and have a score.
    if answer.get("is_skipped") is not False and score.ratio < 1:
        raise EngineError(Reason.NOT_SCANNED)
    return score


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body.decode("utf-8", "replace"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise EngineError(Reason.NONSENSE, "not JSON") from None
    if not isinstance(answer, dict):
        raise EngineError(Reason.NONSENSE, "no JSON object")
    return answer


def _no_number(text: str) -> NoReturn:
    raise EngineError(Reason.NO_NUMBER, text)


def _number(answer: Mapping[str, Any], key: str) -> float:
    value = answer.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12:
        raise EngineError(Reason.NO_NUMBER, f"{key}: {str(value)[:80]}")
    return float(value)


def _weight(symbol: Any) -> float:
    value = symbol.get("score") if isinstance(symbol, dict) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if usable else 0.0  # type: ignore[arg-type] # usable says that it is one
