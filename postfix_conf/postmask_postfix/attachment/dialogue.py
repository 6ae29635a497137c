"""Talks SMTP with a listener, as any client would, and tells what it answers to whom. No mail is sent.

    Answers: for each recipient a code and text; how far it went otherwise

DIAGNOSTICS
    Whatever goes wrong is an answer too: "unreachable", "hung up", "no answer in time".

STANDARDS
    RFC 5321, RFC 3207 STARTTLS, the PROXY protocol (version 1).
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from postmask.daemon import connect_unix
from postmask_postfix.attachment.listeners import Listener
from postmask_postfix.domains import FOREIGN

UNREACHABLE = "unreachable"
"""How the answer begins where nobody takes the connection."""

_FAREWELL = "421"
_FULL = "452 4.5.3"
"""The session has had as many recipients as it may (smtpd_recipient_limit)."""
_SECONDS = 60.0
_LONGEST = 2048
_AT_ONCE = 8
_IN_A_SESSION = 6
"""Recipients; smtpd hangs up on clients that ask for many in vain, a stressed one after a single one."""

Answers: TypeAlias = dict[str, str]
"""Recipient → what it was answered: "250 2.1.5 Ok"; "" → what stopped the talk before any was asked."""


class Stopped(Exception):  # noqa: N818 (an answer)
    """The talk came to an end; the message is what ended it."""


def ask_all(listeners: Sequence[Listener], recipients: Sequence[str]) -> dict[str, Answers]:
    """What each listener answers, by its name."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        told = list(threads.map(lambda listener: ask(listener, recipients), listeners))
    return {listener.name: answers for listener, answers in zip(listeners, told, strict=True)}


def ask(listener: Listener, recipients: Sequence[str]) -> Answers:
    """What one listener answers."""
    answers: Answers = {}
    while waiting := [recipient for recipient in recipients if recipient not in answers]:
        known = len(answers)
        try:
            _session(listener, waiting[:_IN_A_SESSION], answers)
        except (Stopped, OSError) as error:
            if len(answers) == known:
                answers[""] = ended(error)
                break
    return answers


def ended(error: Stopped | OSError) -> str:
    """In words, by what a talk came to its end."""
    if isinstance(error, Stopped):
        return str(error)
    return "no answer in time" if isinstance(error, TimeoutError) else f"hung up ({error.strerror or error})"


def _session(listener: Listener, recipients: Sequence[str], answers: Answers) -> None:
    with Talk(listener) as talk:
        talk.begin()
        talk.say("MAIL FROM:<>")
        refused = talk.reply()
        for recipient in recipients:
            if refused.startswith("2"):
                talk.say(f"RCPT TO:<{recipient}>")
                answer = talk.reply()
                if answer.startswith(_FAREWELL):
                    raise Stopped(answer)
                if answer.startswith(_FULL) and recipient != recipients[0]:
                    break
                answers[recipient] = answer
            else:
                answers[recipient] = refused
        talk.say("QUIT")


class Talk:
    """One connection; TLS without asking who is there, for it is this host."""

    def __init__(self, listener: Listener) -> None:
        self._tls = listener.tls
        try:
            self._socket = _connect(listener)
        except (OSError, ValueError) as error:
            raise Stopped(f"{UNREACHABLE} ({getattr(error, 'strerror', None) or error})") from error
        self._reader = self._socket.makefile("rb")
        if listener.proxied:
            self.say("PROXY UNKNOWN" if not listener.host else _proxy_line(self._socket))
        if listener.tls:
            self.encrypt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._socket.close()

    def begin(self) -> None:
        """Up to MAIL, with TLS where it is offered."""
        self.expect("220")
        features = self.greet()
        if not self._tls and "STARTTLS" in features:
            self.say("STARTTLS")
            self.expect("220")
            self.encrypt()
            self.greet()

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._reader.close()
        self._socket = context.wrap_socket(self._socket)
        self._reader = self._socket.makefile("rb")

    def say(self, line: str) -> None:
        self._socket.sendall(f"{line}\r\n".encode())

    def reply(self) -> str:
        """The last line of a reply."""
        return self._lines()[-1]

    def expect(self, code: str) -> list[str]:
        """The lines of a reply that must have this code."""
        lines = self._lines()
        if not lines[-1].startswith(code):
            raise Stopped(lines[-1])
        return lines

    def greet(self) -> set[str]:
        """Say EHLO; what is offered."""
        self.say("EHLO localhost")
        return {line[4:].partition(" ")[0].upper() for line in self.expect("250")[1:]}

    def _lines(self) -> list[str]:
        lines: list[str] = []
        while not lines or lines[-1][3:4] == "-":
            line = self._reader.readline(_LONGEST).decode("utf-8", "replace").rstrip()
            if not line:
                raise Stopped("hung up")
            lines.append(line)
        return lines


def _connect(listener: Listener) -> socket.socket:
    if not listener.host:
        return connect_unix(Path(listener.port), _SECONDS)
    port = int(listener.port) if listener.port.isdecimal() else socket.getservbyname(listener.port, "tcp")
    return socket.create_connection((listener.host, port), _SECONDS)


def _proxy_line(connection: socket.socket) -> str:
    family = "TCP6" if connection.family is socket.AF_INET6 else "TCP4"
    (here, port), (there, other) = connection.getsockname()[:2], connection.getpeername()[:2]
    return f"PROXY {family} {here} {there} {port} {other}"


def kind(answer: str) -> str:
    """The class of an answer: 2, 4 or 5; a talk that broke off is a class of its own."""
    return answer[0] if re.match(r"[245]\d\d", answer) else "broken"


def complaints(listener: Listener, before: Answers, after: Answers, ours: Mapping[str, bool]) -> list[str]:
    """What is wrong with a listener's answers after attaching. ours: whether a recipient is one of ours."""
    found = []
    if "" in after and kind(after[""]) != kind(before.get("", "250")):
        found.append(f"{listener.name} was fine and now: {after['']}")
    for recipient, answer in after.items():
        if not recipient:
            continue
        then = before.get(recipient, "")
        if kind(answer) == "5" and kind(then) == "5" and answer[:3] == then[:3]:
            continue
        if ours[recipient]:
            if listener.gated and (kind(answer) not in "45" or _is_trouble(answer)):
                found.append(f"{listener.name} answers {answer!r} for {recipient}, which has no alias")
        elif kind(answer) != kind(then) and not _is_in_time(recipient, then, answer):
            found.append(f"{listener.name} answered {then!r} for {recipient}, and now {answer!r}")
    return found


def _is_in_time(recipient: str, then: str, now: str) -> bool:
    """Whether what was put off may be taken now for a reason of the site's own: a greylist's time is up, the
    address has been verified meanwhile."""
    return kind(then) == "4" and kind(now) == "2" and recipient != FOREIGN


def _is_trouble(answer: str) -> bool:
    return bool(re.search(r"(?i)server configuration|temporary lookup failure", answer))
