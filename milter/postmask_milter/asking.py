"""What the scan milter asks others about a message: the DNS, and the spam engines.

DIAGNOSTICS
    As in postmask.auth.authenticate and postmask.spam.scanner: none.
"""

from __future__ import annotations

from postmask.auth.authenticate import Peer, authenticate
from postmask.auth.dns import Dns
from postmask.auth.questions import REST, Questions
from postmask.authentication import Authentication
from postmask.breaker import Breaker
from postmask.clock import Clock, Deadline
from postmask.message.evidence import SpamNote
from postmask.message.headers import join
from postmask.spam.engine import Facts
from postmask.spam.note import note_of
from postmask.spam.scanner import Scanner
from postmask_milter.examiner import Authenticate, CheckSpam
from postmask_milter.scan import Message


def authenticator(dns: Dns, clock: Clock) -> Authenticate:
    """Asks this DNS, with one breaker for all messages."""
    breaker = Breaker(clock, REST)

    def ask(message: Message, deadline: Deadline, now: float) -> Authentication:
        peer = Peer(message.client.address, message.client.helo, message.sender)
        questions = Questions(dns, breaker, clock)
        return authenticate(message.headers, message.body, peer, questions, deadline, now)

    return ask


def spam_checker(scanner: Scanner, host: str, clock: Clock) -> CheckSpam:
    """Asks the engines. host: the name of the Postfix here, as far as they are told."""

    def check(message: Message, deadline: Deadline) -> SpamNote:
        facts = Facts(
            client=message.client.address,
            client_name=message.client.name,
            helo=message.client.helo,
            login=message.login,
            sender=message.sender,
            recipients=message.recipients,
            host=host,
            queue_id=message.queue_id,
            at=clock.now(),
            traced=False,
        )
        return note_of(scanner.scan(join(message.headers, message.body), facts, deadline))

    return check
