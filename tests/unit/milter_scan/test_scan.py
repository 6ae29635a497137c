"""One SMTP session as the scan milter sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from postmask.message.headers import Field, join
from postmask_milter.scan import NOTHING, Client, Message, Outcome, Session

ADDED = Outcome(Field(b"X: y\r\n", b"x"))


@dataclass
class Rig:
    """A session, and what it asked."""

    ours: bool = True
    limit: int = 1_000
    asked: list[tuple[str, ...]] = field(default_factory=list)
    examined: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = Session(self.all_ours, self.examine, self.limit)
        self.session.connect("mail.example.com", ("192.0.2.1", 4711))
        self.session.hello("helo.example.com")

    def all_ours(self, recipients: Sequence[str]) -> bool:
        self.asked.append(tuple(recipients))
        return self.ours

    def examine(self, message: Message) -> Outcome:
        self.examined.append(message)
        return ADDED

    def begin(self, *parameters: str, login: str = "") -> None:
        self.session.mail("<bob@example.com>", parameters, login)
        self.session.rcpt("<shop@alias.test>")

    def begin_data(self, *parameters: str, login: str = "") -> None:
        self.begin(*parameters, login=login)
        assert self.session.data()


def test_a_message_is_gathered_octet_by_octet() -> None:
    rig = Rig()
    rig.begin("SIZE=99", "body=8bitmime", "SMTPUTF8", login="jane")
    rig.session.rcpt("<other@alias.test>")
    assert rig.session.data()
    assert rig.asked == [("shop@alias.test", "other@alias.test")]
    rig.session.header("From", b" bob@example.com")
    rig.session.header("X-Odd", b"\tfirst\xff\n\tsecond\r\n\tthird")
    rig.session.body(b"one\r\n")
    rig.session.body(b"two")
    assert rig.session.end("4Q") is ADDED
    (message,) = rig.examined
    assert join(message.headers, message.body) == (
        b"From: bob@example.com\r\nX-Odd:\tfirst\xff\r\n\tsecond\r\n\tthird\r\n\r\none\r\ntwo"
    )
    assert [one.key for one in message.headers.fields] == [b"from", b"x-odd"]
    assert message.client == Client("192.0.2.1", "mail.example.com", "helo.example.com")
    assert (message.queue_id, message.login, message.sender) == ("4Q", "jane", "bob@example.com")
    assert (message.smtputf8, message.body_type) == (True, "8BITMIME")
    assert message.recipients == ("shop@alias.test", "other@alias.test")


@pytest.mark.parametrize(
    ("parameters", "body"), [((), ""), (("BODY=7BIT",), "7BIT"), (("BODY=BINARYMIME",), ""), (("BODY",), "")]
)
def test_what_mail_says_of_the_body(parameters: tuple[str, ...], body: str) -> None:
    rig = Rig()
    rig.begin_data(*parameters)
    rig.session.end("")
    assert rig.examined[0].body_type == body
    assert not rig.examined[0].smtputf8


def test_one_message_after_the_other() -> None:
    rig = Rig()
    for number, login in enumerate(("jane", "")):
        rig.begin_data(login=login)
        rig.session.header("Subject", b" %d" % number)
        rig.session.body(b"body %d" % number)
        rig.session.end(str(number))
    first, second = rig.examined
    assert (first.body, second.body) == (b"body 0", b"body 1")
    assert (first.login, second.login) == ("jane", "")
    assert len(second.recipients) == len(second.headers.fields) == 1
    assert second.client.helo == "helo.example.com"


def test_an_aborted_message_leaves_nothing() -> None:
    rig = Rig()
    rig.begin_data("SMTPUTF8")
    rig.session.body(b"gone")
    rig.session.reset()
    assert rig.session.end("4Q") is NOTHING
    rig.begin_data()
    rig.session.end("4R")
    assert (rig.examined[0].body, rig.examined[0].smtputf8) == (b"", False)
    assert rig.examined[0].recipients == ("shop@alias.test",)
    assert rig.session.end("4S") is NOTHING, "nor does one that has ended"


def test_what_is_not_ours_is_let_go_at_data() -> None:
    rig = Rig(ours=False)
    rig.begin()
    assert not rig.session.data()


def test_a_message_whose_data_nobody_told_is_let_through() -> None:
    """As by milter_protocol 2: whose it is was never asked, nor does the answer of the one before count."""
    rig = Rig()
    rig.begin_data()
    assert rig.session.end("4Q") is ADDED
    rig.begin()
    rig.session.body(b"foreign")
    assert rig.session.end("4R") is NOTHING
    assert [message.queue_id for message in rig.examined] == ["4Q"]


@pytest.mark.parametrize("parts", [[b"x" * 1_001], [b"x" * 600, b"x" * 600], [b"x" * 600] * 9])
def test_a_message_above_the_limit_is_not_kept(parts: list[bytes]) -> None:
    rig = Rig()
    rig.begin_data()
    rig.session.header("Subject", b" x")
    for part in parts:
        rig.session.body(part)
    rig.session.header("X-Trailing", b" y")
    draft = rig.session._draft
    assert (draft.fields, draft.chunks) == ([], [])
    assert rig.session.end("4Q") is NOTHING
    assert rig.examined == []
    rig.begin_data()
    assert rig.session.end("4R") is ADDED


def test_a_message_of_exactly_the_limit_is_examined() -> None:
    rig = Rig()
    rig.begin_data()
    rig.session.header("Subject", b" x")
    rig.session.body(b"y" * (1_000 - len(b"Subject: x\r\n")))
    assert rig.session.end("4Q") is ADDED


@pytest.mark.parametrize("address", [None, "/a/socket", ()])
def test_a_client_without_an_address(address: object) -> None:
    rig = Rig()
    rig.session.connect("unknown", address)
    rig.begin_data()
    rig.session.end("")
    assert rig.examined[0].client == Client("", "", "")
