"""libmilter: the alias milter's sessions as pymilter wants them. The only module that imports Milter.

Asked for are the connection, MAIL and RCPT, MAIL without a reply; no HELO, DATA, header or body, and
no right to change anything. Of the macros only the queue id.

The listening socket is made by us and handed to libmilter as a descriptor (Debian's libmilter takes
"fd:N"), so that path length, mode and group are ours to decide.

DIAGNOSTICS
    SMFIS_CONTINUE for whatever is accepted or isn't ours, SMFIS_REJECT or SMFIS_TEMPFAIL with code,
    status and text for a refused recipient. An exception that gets past us continues the session:
    it could be about any of the host's mail. MilterError: libmilter could not start, or could not
    go on; its own words are in the system's log.

STANDARDS
    Postfix MILTER_README, libmilter API (xxfi_negotiate, smfi_setreply).
"""

from __future__ import annotations

import socket
import threading

import Milter
import milter

from postmask.verdict import Kind, Verdict, smtp_reply
from postmask_milter.alias import Answer, Session, is_emulated

NAME = "postmask-alias"


class MilterError(Exception):
    """libmilter gave up."""


class Running:
    """How many callbacks are at work: libmilter itself doesn't wait for them when it ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            if not self._count:
                self._changed.notify_all()

    def drained(self, timeout: float) -> bool:
        """Wait until none is at work, at most that many seconds. True if none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, timeout)


class AliasMilter(Milter.Base):
    """The callbacks of one connection from Postfix, which is one SMTP session."""

    def __init__(self, answer: Answer, running: Running) -> None:
        self._session = Session(answer)
        self._running = running

    def negotiate(self, opts: list[int]) -> int:
        """The stages and macros that are named below; no right to change anything."""
        answer = super().negotiate(opts)
        opts[0] &= Milter.SETSYMLIST
        return answer

    def setsymlist(self, stage: int, *macros: str) -> None:
        """In place of pymilter's own, whose octets libmilter's side refuses.

        pymilter then gives up the whole negotiation without a word, and every message is sent here
        in full.
        """
        self._ctx.setsymlist(stage, " ".join(macros))

    @Milter.symlist("i")
    def connect(self, hostname: str, family: int, hostaddr: object) -> int:  # noqa: ARG002
        """Let emulated sessions through."""
        return Milter.ACCEPT if is_emulated(hostname, hostaddr) else Milter.CONTINUE

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
            verdict = self._session.rcpt(recipient, self.getsymval("i") or "")
            return self._reply(verdict)

    def _reply(self, verdict: Verdict | None) -> int:
        if verdict is None or verdict.accepted:
            return Milter.CONTINUE
        code, status, text = smtp_reply(verdict)
        # libmilter takes the text for a format.
        self.setreply(str(code), status, text.replace("%", "%%"))
        return Milter.REJECT if verdict.kind is Kind.REJECT else Milter.TEMPFAIL


def register(answer: Answer, running: Running) -> None:
    """Tell libmilter, which knows but one milter in a process, whose callbacks it is to run.

    pymilter's own runmilter() also registers the callbacks of the stages that we don't negotiate,
    and those that would enter Python at each end of message for nothing.
    """
    Milter.factory = lambda: AliasMilter(answer, running)
    milter.set_flags(milter.SETSYMLIST)
    milter.set_exception_policy(milter.CONTINUE)
    milter.set_connect_callback(Milter.connect_callback)
    milter.set_envfrom_callback(lambda context, *octets: context.getpriv().envfrom_bytes(*octets))
    milter.set_envrcpt_callback(lambda context, *octets: context.getpriv().envrcpt_bytes(*octets))
    milter.set_close_callback(Milter.close_callback)
    milter.register(NAME, negotiate=Milter.negotiate_callback)


def serve(listener: socket.socket) -> None:
    """Serve sessions on a listening socket; returns when libmilter ends. Raises MilterError.

    Its own answer to signals is not ours: see postmask_milter.signals.
    """
    try:
        milter.setconn(f"fd:{listener.fileno()}")
        milter.opensocket(False)
        milter.main()
    except milter.error as error:
        raise MilterError(str(error)) from error
