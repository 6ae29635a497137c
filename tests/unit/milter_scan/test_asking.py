"""What the scan milter asks others, and what it makes of their answers."""

from dns_data import DnsData
from postmask.authentication import Spf
from postmask.clock import Deadline, ManualClock
from postmask.message.evidence import SpamNote
from postmask.message.headers import split
from postmask.spam.engine import Facts
from postmask.spam.judgement import Scan
from postmask.spam.scanner import Scanner
from postmask_milter.asking import authenticator, spam_checker
from postmask_milter.scan import Client, Message

CLOCK = ManualClock()
HEADERS, BODY = split(b"From: bob@example.com\r\n\r\nno end of line")
MESSAGE = Message(
    queue_id="4Q",
    client=Client("192.0.2.1", "mail.example.com", "helo.example.com"),
    login="jane",
    sender="bob@example.com",
    smtputf8=False,
    body_type="",
    recipients=("shop@alias.test",),
    headers=HEADERS,
    body=BODY,
)


def test_who_is_authenticated() -> None:
    dns = DnsData(txts={"example.com": [b"v=spf1 ip4:192.0.2.1 -all"], "helo.example.com": [b"v=spf1 -all"]})
    found = authenticator(dns, CLOCK)(MESSAGE, Deadline.after(CLOCK, 10), CLOCK.now())
    assert (found.spf.result, found.spf.domain) == (Spf.PASS, "example.com")
    assert (found.helo.result, found.helo.domain) == (Spf.FAIL, "helo.example.com")


def test_the_engines_get_the_whole_message_and_all_that_is_known() -> None:
    asked: list[tuple[bytes, Facts]] = []

    class Listening(Scanner):
        def scan(self, content: bytes, facts: Facts, deadline: Deadline) -> Scan:
            asked.append((content, facts))
            return super().scan(content, facts, deadline)

    scanner = Listening([], CLOCK, lambda: False)
    note = spam_checker(scanner, "mx1.example", CLOCK)(MESSAGE, Deadline.after(CLOCK, 10))
    assert note == SpamNote(unscanned="no engine")
    ((content, facts),) = asked
    assert content == b"From: bob@example.com\r\n\r\nno end of line"
    assert facts == Facts(
        client="192.0.2.1",
        client_name="mail.example.com",
        helo="helo.example.com",
        login="jane",
        sender="bob@example.com",
        recipients=("shop@alias.test",),
        host="mx1.example",
        queue_id="4Q",
        at=CLOCK.now(),
        traced=False,
    )
