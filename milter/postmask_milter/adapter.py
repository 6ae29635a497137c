"""libmilter: the milters' sessions as pymilter wants them. The only module that imports Milter.

Each milter asks for the stages and macros that it uses, and for no right but the scan milter's to add a
header field. The alias milter has the connection, MAIL and RCPT, the scan milter all of a message.
Where Postfix needn't wait for an answer it is told so.

The listening socket is made by us and handed to libmilter as a descriptor (Debian's libmilter takes
"fd:N"), so that path length, mode and group are ours to decide.

DIAGNOSTICS
    SMFIS_CONTINUE for whatever is accepted or isn't ours, SMFIS_REJECT or SMFIS_TEMPFAIL with code,
    status and text for what is refused. An exception that gets past us continues the session: it could
    be about any of the host's mail. Callbacks without an answer raise none, lest Postfix take the next
    answer for another question's. MilterError: libmilter could not start, or could not go on; its own
    words are in the system's log.

STANDARDS
    Postfix MILTER_README, libmilter API (xxfi_negotiate, smfi_setreply, smfi_addheader).
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import Milter
import milter

from postmask.message.headers import Field
from postmask.verdict import Kind as VerdictKind
from postmask.verdict import Verdict, smtp_reply
from postmask_milter import alias, scan
from postmask_milter.alias import is_emulated


class MilterError(Exception):
    """libmilter gave up."""


_LAST_WORDS = 1.0
"""Seconds. A callback that has returned to libmilter still has its answer to write, which nobody tells us
of, and on a busy machine its thread may have to wait for its turn."""


class Running:
    """How many callbacks are at work: libmilter itself doesn't wait for them when it ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._returned = -math.inf

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._returned = time.monotonic()
            if not self._count:
                self._changed.notify_all()

    def drained(self, timeout: float) -> bool:
        """Wait until none is at work, at most that many seconds, and answers are written. True if so."""
        with self._changed:
            drained = self._changed.wait_for(lambda: not self._count, timeout)
            rest = self._returned + _LAST_WORDS - time.monotonic()
        time.sleep(max(0.0, rest))
        return drained


class _Connection(Milter.Base):
    """The callbacks of one connection from Postfix, which is one SMTP session."""

    actions = Milter.SETSYMLIST

    def negotiate(self, opts: list[int]) -> int:
        """The stages and macros that the callbacks name, and no other right than `actions`."""
        answer = super().negotiate(opts)
        opts[0] &= self.actions
        return answer

    def setsymlist(self, stage: int, *macros: str) -> None:
        """In place of pymilter's own, whose octets libmilter's side refuses.

        pymilter then gives up the whole negotiation without a word, and every message is sent here
        in full.
        """
        self._ctx.setsymlist(stage, " ".join(macros))

    def _reply(self, verdict: Verdict | None) -> int:
        if verdict is None or verdict.accepted:
            return Milter.CONTINUE
        code, status, text = smtp_reply(verdict)
        # libmilter takes the text for a format.
        self.setreply(str(code), status, text.replace("%", "%%"))
        return Milter.REJECT if verdict.kind is VerdictKind.REJECT else Milter.TEMPFAIL


class AliasMilter(_Connection):
    """The alias milter's: connection, MAIL without an answer, RCPT."""

    def __init__(self, answer: alias.Answer, running: Running) -> None:
        self._session = alias.Session(answer)
        self._running = running

    @Milter.symlist("i")
    def connect(self, hostname: str, family: int, hostaddr: object) -> int:  # noqa: ARG002
        """Let emulated sessions through."""
        if is_emulated(hostname, hostaddr):
            return Milter.ACCEPT
        self._session.connect(hostaddr)
        return Milter.CONTINUE

    @Milter.symlist("i")
    @Milter.noreply
    def envfrom(self, sender: str, *parameters: str) -> int:  # noqa: ARG002
        """MAIL: keep the sender."""
        self._session.mail(sender)
        return Milter.CONTINUE

    @Milter.symlist("i")
    def envrcpt(self, recipient: str, *parameters: str) -> int:  # noqa: ARG002
        """RCPT: the answer."""
        with self._running:
            return self._reply(self._session.rcpt(recipient, self.getsymval("i") or ""))


class ScanMilter(_Connection):
    """The scan milter's: all of it, with answers at the connection, HELO, DATA and the end."""

    actions = Milter.SETSYMLIST | Milter.ADDHDRS

    def __init__(self, session: scan.Session, running: Running) -> None:
        self._session = session
        self._running = running

    @Milter.symlist("i")
    def connect(self, hostname: str, family: int, hostaddr: object) -> int:  # noqa: ARG002
        """Let emulated sessions through."""
        if is_emulated(hostname, hostaddr):
            return Milter.ACCEPT
        self._session.connect(hostname, hostaddr)
        return Milter.CONTINUE

    @Milter.symlist("i")
    def hello(self, hostname: str) -> int:
        """HELO, with an answer: pymilter raises where it isn't UTF-8."""
        self._session.hello(hostname)
        return Milter.CONTINUE

    @Milter.symlist("i", "{auth_authen}")
    @Milter.noreply
    def envfrom(self, sender: str, *parameters: str) -> int:
        """MAIL begins a message."""
        self._session.mail(sender, parameters, self._login())
        return Milter.CONTINUE

    @Milter.symlist("i")
    @Milter.noreply
    def envrcpt(self, recipient: str, *parameters: str) -> int:  # noqa: ARG002
        """RCPT: keep the recipient."""
        self._session.rcpt(recipient)
        return Milter.CONTINUE

    @Milter.symlist("i")
    def data(self) -> int:
        """DATA: what isn't all ours is let go."""
        with self._running:
            return Milter.CONTINUE if self._session.data() else Milter.ACCEPT

    @Milter.noreply
    def header(self, name: str, value: bytes) -> int:
        """A header field, octets as they are."""
        self._session.header(name, value)
        return Milter.CONTINUE

    @Milter.noreply
    def body(self, chunk: bytes) -> int:
        """A part of the body."""
        self._session.body(chunk)
        return Milter.CONTINUE

    @Milter.symlist("i")
    def eom(self) -> int:
        """The end of the message: evidence, or a refusal."""
        with self._running:
            outcome = self._session.end(self.getsymval("i") or "")
            if outcome.field is not None:
                self._add(outcome.field)
            return self._reply(outcome.refusal)

    def abort(self) -> int:
        """The message goes no further."""
        self._session.reset()
        return Milter.CONTINUE

    def _login(self) -> str:
        """The SASL login, "" for none; pymilter raises where it isn't UTF-8: such a one is nobody's here."""
        try:
            return self.getsymval("{auth_authen}") or ""
        except UnicodeDecodeError:
            return "\N{REPLACEMENT CHARACTER}"

    def header_bytes(self, name: str, value: bytes) -> int:
        """In place of pymilter's own, which would make text of the octets."""
        return self.header(name, value)

    def _add(self, field: Field) -> None:
        """Add a header field as it is: with P_HDR_LEADSPC blanks and folds are ours to say."""
        value = field.raw[len(field.key) + 1 :].rstrip(b"\r\n").replace(b"\r\n", b"\n")
        self.addheader(field.name, value.decode("ascii"))


Milter.enable_protocols(ScanMilter, Milter.P_HDR_LEADSPC)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our milters. name: for libmilter's log. session: a new connection's. whole: all callbacks."""

    name: str
    session: Callable[[], Milter.Base]
    actions: int
    whole: bool


def alias_milter(answer: alias.Answer, running: Running) -> Kind:
    """The alias milter with these answers."""
    return Kind("postmask-alias", lambda: AliasMilter(answer, running), AliasMilter.actions, whole=False)


def scan_milter(session: Callable[[], scan.Session], running: Running) -> Kind:
    """The scan milter with such sessions."""
    return Kind("postmask-scan", lambda: ScanMilter(session(), running), ScanMilter.actions, whole=True)


def serve(kind: Kind, listener: socket.socket) -> None:
    """Serve sessions on a listening socket; returns when libmilter ends. Raises MilterError.

    libmilter knows but one milter in a process. Its own answer to signals is not ours: see
    postmask_milter.signals.
    """
    try:
        _register(kind)
        milter.setconn(f"fd:{listener.fileno()}")
        milter.opensocket(False)
        milter.main()
    except milter.error as error:
        raise MilterError(str(error)) from error


def _register(kind: Kind) -> None:
    """Tell libmilter whose callbacks it is to run.

    pymilter's own runmilter() also registers the callbacks of the stages that we don't negotiate,
    and those that would enter Python at each end of message for nothing.
    """
    Milter.factory = kind.session
    milter.set_flags(kind.actions)
    milter.set_exception_policy(milter.CONTINUE)
    milter.set_connect_callback(Milter.connect_callback)
    milter.set_envfrom_callback(lambda context, *octets: context.getpriv().envfrom_bytes(*octets))
    milter.set_envrcpt_callback(lambda context, *octets: context.getpriv().envrcpt_bytes(*octets))
    milter.set_close_callback(Milter.close_callback)
    if not kind.whole:
        milter.register(kind.name, negotiate=Milter.negotiate_callback)
        return
    milter.set_helo_callback(lambda context, name: context.getpriv().hello(name))
    milter.set_header_callback(lambda context, name, octets: context.getpriv().header_bytes(name, octets))
    milter.set_body_callback(lambda context, octets: context.getpriv().body(octets))
    milter.set_eom_callback(lambda context: context.getpriv().eom())
    milter.set_abort_callback(lambda context: context.getpriv().abort())
    milter.register(
        kind.name, data=lambda context: context.getpriv().data(), negotiate=Milter.negotiate_callback
    )
