"""The Reinjector against Postfix's own re-injection and hold listeners."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab
from postmask.clock import Deadline, SystemClock
from postmask.reinjection.submit import Outcome, Refused, Reinjector, Submitted

CLOCK = SystemClock()
HEADER = (
    b"From: a@alias.test\r\nTo: m@home.example\r\n"
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n"
)
MESSAGE = HEADER + b"\r\nhello\r\n"


@pytest.fixture
def reinjector(pipe_lab: Lab) -> Iterator[Reinjector]:
    made = Reinjector(Path(pipe_lab.described["sockets"]["reinject"]), CLOCK)
    yield made
    made.close()


def submit(reinjector: Reinjector, data: bytes = MESSAGE, **options: object) -> Outcome:
    arguments = {"sender": "b@alias.test", "recipients": ["m@home.example"], "ident": "k1", **options}
    return reinjector.submit(data=data, deadline=Deadline.after(CLOCK, 30), **arguments)  # type: ignore[arg-type]


def sent(running: Lab, outcome: Outcome) -> None:
    assert isinstance(outcome, Submitted)
    assert re.fullmatch(r"[0-9A-Za-z]{6,}", outcome.queue_id)
    running.await_log(f"{outcome.queue_id}: to=<")
    running.await_empty_queue()


def test_a_message(pipe_lab: Lab, reinjector: Reinjector) -> None:
    before = len(pipe_lab.delivered())
    outcome = submit(reinjector, ident="0f" * 32)
    sent(pipe_lab, outcome)
    assert isinstance(outcome, Submitted)
    line = pipe_lab.await_log(f"{outcome.queue_id}: client=")
    assert f"orig_queue_id={'0f' * 32}" in line
    (mail,) = pipe_lab.delivered()[before:]
    assert (mail.sender, mail.recipients) == ("b@alias.test", ("m@home.example",))
    assert mail.content[mail.content.index(b"From: a@") :] == MESSAGE


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        (b"", b""),
        (b".\r\n..\r\n...\r\n. \r\n", b".\r\n..\r\n...\r\n. \r\n"),
        (b"x" * 998 + b"\r\n", b"x" * 998 + b"\r\n"),
        (bytes([*range(1, 10), 11, 12, *range(14, 256)]) + b"\r\n",) * 2,
        (b"no line end", b"no line end\r\n"),
        # Postfix ends lines at bare LF. What looks like an end and commands is neither.
        (b"a\n.\nb\n.\r\nMAIL FROM:<x@y>\r\n\n.\n", b"a\r\n.\r\nb\r\n.\r\nMAIL FROM:<x@y>\r\n\r\n.\r\n"),
    ],
)
def test_octets(pipe_lab: Lab, reinjector: Reinjector, body: bytes, arrives: bytes) -> None:
    before = len(pipe_lab.delivered())
    sent(pipe_lab, submit(reinjector, HEADER + b"\r\n" + body))
    (mail,) = pipe_lab.delivered()[before:]
    assert mail.content[mail.content.index(b"From: a@") :] == HEADER + b"\r\n" + arrives


def test_twenty_megabytes(pipe_lab: Lab, reinjector: Reinjector) -> None:
    data = MESSAGE + b"".join(b".%076d\r\n" % number for number in range(250_000))
    before = len(pipe_lab.delivered())
    sent(pipe_lab, submit(reinjector, data))
    (mail,) = pipe_lab.delivered()[before:]
    assert mail.content[mail.content.index(b"From: a@") :] == data


def test_one_connection_carries_many(pipe_lab: Lab, reinjector: Reinjector) -> None:
    before = len(pipe_lab.delivered())
    greeted = re.compile(r"reinject/smtpd\[\d+\]: connect from")
    connects = len(greeted.findall(pipe_lab.log()))
    assert all(isinstance(submit(reinjector), Submitted) for _ in range(200))
    pipe_lab.await_mail(before + 200)
    assert len(greeted.findall(pipe_lab.log())) - connects == 3
    assert "too many errors" not in pipe_lab.log()


def test_many_threads(pipe_lab: Lab, reinjector: Reinjector) -> None:
    before = len(pipe_lab.delivered())
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: submit(reinjector, ident=str(number)), range(100)))
    ids = {outcome.queue_id for outcome in outcomes if isinstance(outcome, Submitted)}
    assert len(ids) == 100
    pipe_lab.await_mail(before + 100)


def test_several_recipients_and_utf8(pipe_lab: Lab, reinjector: Reinjector) -> None:
    before = len(pipe_lab.delivered())
    recipients = ["one@home.example", "jürgen@home.example"]
    sent(pipe_lab, submit(reinjector, recipients=recipients, smtputf8=True, sender=""))
    mails = pipe_lab.delivered()[before:]
    assert sorted(recipient for mail in mails for recipient in mail.recipients) == sorted(recipients)
    assert {mail.sender.strip("<>") for mail in mails} == {""}
    assert {"SMTPUTF8" in mail.mail_options for mail in mails} == {True}


@pytest.mark.parametrize("local", ['"a b"', '"q\\"x"', "${x}", "a=b", "x" * 64])
def test_hostile_addresses(pipe_lab: Lab, reinjector: Reinjector, local: str) -> None:
    before = len(pipe_lab.delivered())
    sent(pipe_lab, submit(reinjector, recipients=[f"{local}@home.example"]))
    assert pipe_lab.delivered()[before].recipients == (f"{local}@home.example",)


def test_refusals(pipe_lab: Lab, reinjector: Reinjector) -> None:
    outcome = submit(reinjector, MESSAGE + b"x\r\n" * 20_000_000)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.status) == (552, "5.3.4")
    outcome = submit(reinjector, recipients=["a@home.example", "-x@home.example"])
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.status) == (501, "5.1.3")
    assert isinstance(submit(reinjector), Submitted)
    pipe_lab.await_empty_queue()


@pytest.mark.parametrize("verb", ["reload", "stop"])
def test_kept_connections_die_with_postfix(pipe_lab: Lab, reinjector: Reinjector, verb: str) -> None:
    before = len(pipe_lab.delivered())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: submit(reinjector), range(20)))
    pipe_lab.run("postfix", "-c", str(pipe_lab.postfix), verb)
    if verb == "stop":
        outcome = submit(reinjector)
        assert isinstance(outcome, Refused)
        assert outcome.status == "4.4.1"
        pipe_lab.up()
    assert all(isinstance(submit(reinjector), Submitted) for _ in range(20))
    pipe_lab.await_mail(before + 40)


def test_the_hold_listener(pipe_lab: Lab) -> None:
    hold = Reinjector(Path(pipe_lab.described["sockets"]["hold"]), CLOCK)
    outcome = submit(hold)
    assert isinstance(outcome, Submitted)
    where = {entry["queue_id"]: entry["queue_name"] for entry in pipe_lab.queue()}
    assert where[outcome.queue_id] == "hold"
    pipe_lab.run("postsuper", "-c", str(pipe_lab.postfix), "-d", outcome.queue_id)
    hold.close()
