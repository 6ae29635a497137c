"""An alias service for a test: a lab with a domain, a mailbox, DNS, and the talk with it.

Many tests share one service, so each makes aliases and mailboxes of its own (`service.alias()`) and
looks at the mail of those alone.
"""

from __future__ import annotations

import itertools
import re
import signal
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab import Delivered, Lab
from nameserver import Nameserver

DOMAIN = "alias.test"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Owned:
    """An alias with the one mailbox behind it."""

    alias: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the SMTP server answered: for each recipient, and after the dot (None: never got there)."""

    recipients: dict[str, str]
    end: str | None

    @property
    def queue_id(self) -> str:
        found = re.search(r"queued as (\S+)", self.end or "")
        assert found, f"not queued: {self}"
        return found[1]


class Service:
    """A lab that is an alias service. name: which door and database it stands for.

    add_domain: not so for a second node on the same database.
    """

    def __init__(self, name: str, running: Lab, nameserver: Nameserver, *, add_domain: bool = True) -> None:
        self.name = name
        self.lab = running
        self.nameserver = nameserver
        if add_domain:
            running.postmask("domain", "add", DOMAIN, "--postmaster", "postmaster@host.test")
        self.publish_keys()

    def restart(self, program: str) -> None:
        """As after a change of its settings."""
        self.lab.send_signal(program, signal.SIGKILL)
        self.lab.up()

    def publish_keys(self) -> None:
        """Put our DKIM keys into the DNS."""
        for name, value in self.dkim_records().items():
            self.nameserver.txt(name, value)

    def dkim_records(self) -> dict[str, str]:
        """Name → TXT value of our DKIM keys."""
        shown: list[dict[str, str]] = self.lab.postmask("domain", "dns", DOMAIN)
        return {
            record["name"].rstrip("."): record["value"]
            for record in shown
            if "._domainkey." in record["name"]
        }

    def alias(self, *options: str) -> Owned:
        """A new alias with a new, confirmed mailbox."""
        number = next(_numbers)
        owned = Owned(f"shop{number}@{DOMAIN}", f"me{number}@real.test")
        self.lab.postmask("mailbox", "add", owned.mailbox, "--verified")
        self.lab.postmask("alias", "add", owned.alias, "--to", owned.mailbox, *options)
        return owned

    def share(self, owned: Owned, *more: str) -> None:
        """Give the alias further mailboxes, new and confirmed."""
        for address in more:
            self.lab.postmask("mailbox", "add", address, "--verified")
        words = [word for address in (owned.mailbox, *more) for word in ("--to", address)]
        self.lab.postmask("alias", "edit", owned.alias, *words)

    def events(self, alias: str) -> list[dict[str, Any]]:
        """What the truth has recorded of an alias so far."""
        return list(self.lab.postmask("event", "list", "--alias", alias))

    def event_kinds(self, alias: str) -> list[str]:
        """Of what kinds that is."""
        return [event["kind"] for event in self.events(alias)]

    def rcpt(self, recipient: str) -> str:
        """What RCPT is answered; no message follows."""
        with self.lab.client() as session:
            session.mail("bob@example.com")
            return _reply(session.rcpt(recipient))

    def send(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        *,
        address: str = "198.51.100.7",
        name: str = "mail.example.com",
        login: str | None = None,
        options: Sequence[str] = (),
    ) -> Said:
        """One message in a session of its own, as a foreign client's."""
        with self.lab.client(address, name, login) as session:
            code, text = session.mail(sender, options)
            assert code == 250, text
            answers = {recipient: _reply(session.rcpt(recipient)) for recipient in recipients}
            if not any(answer.startswith("250") for answer in answers.values()):
                return Said(answers, None)
            try:
                return Said(answers, _reply(session.data(content)))
            except smtplib.SMTPDataError as error:
                return Said(answers, _reply((error.smtp_code, error.smtp_error)))

    def mail_for(self, recipient: str) -> list[Delivered]:
        """What the sink has for one envelope recipient."""
        return [mail for mail in self.lab.delivered() if recipient in mail.recipients]

    def await_mail_for(self, recipient: str, count: int = 1, seconds: float = 60.0) -> list[Delivered]:
        """At least so many messages for one envelope recipient."""
        what = f"{count} messages for {recipient}"
        self.lab.wait_for(lambda: len(self.mail_for(recipient)) >= count, what, seconds)
        return self.mail_for(recipient)

    def await_retried(self, recipient: str, count: int = 1, seconds: float = 60.0) -> list[Delivered]:
        """The same, with what waits tried again and again."""
        what = f"{count} messages for {recipient}"
        self.lab.wait_retrying(lambda: len(self.mail_for(recipient)) >= count, what, seconds)
        return self.mail_for(recipient)

    def await_done(self, queue_id: str, seconds: float = 60.0) -> None:
        """Until Postfix has nothing more to do for a message that it took."""
        self.lab.await_log(f"{queue_id}: removed", seconds)

    def queued(self, queue_id: str) -> dict[str, Any] | None:
        """A message that is still in the queue."""
        return next((entry for entry in self.lab.queue() if entry["queue_id"] == queue_id), None)

    def held(self) -> list[dict[str, Any]]:
        """What lies on hold."""
        return [entry for entry in self.lab.queue() if entry["queue_name"] == "hold"]


def _reply(answer: tuple[int, bytes]) -> str:
    code, text = answer
    return f"{code} {text.decode('utf-8', 'replace')}"
