"""RCPT through a real Postfix: gate and milter, each alone and both."""

import pytest

from milter_lab import LISTENERS, MilterLab, wait_for

ANSWERS = {
    "shop@alias.test": (250, "2.1.5"),
    "Shop+detail@Alias.Test": (250, "2.1.5"),
    "nosuch@alias.test": (550, "5.1.1"),
    "off-reject@alias.test": (550, "5.2.1"),
    "off-unknown@alias.test": (550, "5.1.1"),
    "off-defer@alias.test": (450, "4.2.1"),
    "off-discard@alias.test": (250, "2.1.5"),
    "user@sub.alias.test": (550, "5.1.2"),
    "postmaster@alias.test": (250, "2.1.5"),
    "user@elsewhere.test": (250, "2.1.5"),
    '"a b"@alias.test': (250, "2.1.5"),
    '"a@b"@alias.test': (250, "2.1.5"),
    '"no such"@alias.test': (550, "5.1.1"),
}


@pytest.mark.parametrize("listener", LISTENERS)
def test_each_recipient_gets_its_own_answer(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as client:
        client.docmd("MAIL FROM:<bob@sender.test>")
        given = {recipient: client.docmd(f"RCPT TO:<{recipient}>") for recipient in ANSWERS}
    # What lies below a domain of ours may be the host's; Postfix knows, and asks the gate alone.
    alone = {"user@sub.alias.test": (250, "2.1.5")} if listener == "milter" else {}
    assert {
        recipient: (code, text.split()[0].decode()) for recipient, (code, text) in given.items()
    } == ANSWERS | alone


@pytest.mark.parametrize("listener", LISTENERS)
def test_texts_are_ours_and_whole(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as client:
        client.docmd("MAIL FROM:<bob@sender.test>")
        code, text = client.docmd("RCPT TO:<nosuch@alias.test>")
    assert code == 550
    assert text.endswith(b"no such address here")


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_blocked_sender_is_refused_for_ours_alone(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as client:
        client.docmd("MAIL FROM:<blocked@sender.test>")
        assert client.docmd("RCPT TO:<shop@alias.test>")[0] == 550
        assert client.docmd("RCPT TO:<user@elsewhere.test>")[0] == 250
        client.docmd("RSET")
        client.docmd("MAIL FROM:<>")
        assert client.docmd("RCPT TO:<shop@alias.test>")[0] == 250


@pytest.mark.parametrize("listener", LISTENERS)
def test_internationalised_addresses(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as client:
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL FROM:<bob@sender.test> SMTPUTF8")[0] == 250
        assert client.docmd("RCPT TO:<bücher@alias.test>")[0] == 250
        assert client.docmd("RCPT TO:<zürich@alias.test>")[0] == 550


@pytest.mark.parametrize("listener", LISTENERS)
def test_a_message_for_accepted_recipients_goes_through(lab: MilterLab, listener: str) -> None:
    with lab.smtp(listener) as client:
        refused = client.sendmail(
            "bob@sender.test",
            ["shop@alias.test", "nosuch@alias.test", "user@elsewhere.test"],
            b"Subject: two of three\r\n\r\nhello\r\n",
        )
    assert list(refused) == ["nosuch@alias.test"]


def test_several_messages_of_one_session_keep_their_own_sender(lab: MilterLab) -> None:
    with lab.smtp("milter") as client:
        for sender, code in (
            ("bob@sender.test", 250),
            ("blocked@sender.test", 550),
            ("bob@sender.test", 250),
        ):
            client.docmd(f"MAIL FROM:<{sender}>")
            assert client.docmd("RCPT TO:<shop@alias.test>")[0] == code
            client.docmd("RSET")


def test_a_client_introduced_by_xclient_is_judged_even_without_a_port(lab: MilterLab) -> None:
    with lab.smtp("milter") as client:
        code, _ = client.docmd("XCLIENT ADDR=203.0.113.9 NAME=localhost LOGIN=me@real.test")
        assert code == 220
        client.ehlo("client.test")
        client.docmd("MAIL FROM:<bob@sender.test>")
        assert client.docmd("RCPT TO:<nosuch@alias.test>")[0] == 550
        assert client.docmd("RCPT TO:<shop@alias.test>")[0] == 250


@pytest.mark.parametrize(("listener", "code"), [("both", 451), ("gate", 451)])
def test_a_directory_that_breaks_is_a_deferral_of_ours(lab: MilterLab, listener: str, code: int) -> None:
    with lab.smtp(listener) as client:
        client.docmd("MAIL FROM:<bob@sender.test>")
        assert client.docmd("RCPT TO:<broken@alias.test>")[0] == code
        assert client.docmd("RCPT TO:<user@elsewhere.test>")[0] == 250


def test_local_submission_leaves_nothing_in_the_maildrop(lab: MilterLab) -> None:
    done = lab.sendmail("me@host.test", "nosuch@alias.test", "local@elsewhere.test")
    assert done.returncode == 0, done.stderr
    for recipient in ("nosuch@alias.test", "local@elsewhere.test"):
        wait_for(lambda: f"to=<{recipient}>, relay=none" in lab.postfix_log())  # noqa: B023  called at once
    wait_for(lambda: not list((lab.instance.queue / "maildrop").iterdir()))


def test_one_log_line_an_answer_and_no_word_of_senders_or_foreign_recipients(lab: MilterLab) -> None:
    with lab.smtp() as client:
        client.docmd("MAIL FROM:<secret-sender@sender.test>")
        for recipient in ("shop@alias.test", "off-reject@alias.test", "user@quiet.test"):
            client.docmd(f"RCPT TO:<{recipient}>")
    wait_for(lambda: "recipient=off-reject@alias.test" in lab.log())
    lines = [line for line in lab.log().splitlines() if " rcpt " in line]
    assert "secret-sender" not in lab.log()
    assert "quiet.test" not in lab.log()
    assert "verdict=reject status=5.2.1" in lines[-1]


def test_refusals_of_known_aliases_are_recorded_once(lab: MilterLab) -> None:
    with lab.smtp() as client:
        client.docmd("MAIL FROM:<bob@sender.test>")
        for recipient in ("off-reject@alias.test", "nosuch@alias.test", "shop@alias.test"):
            client.docmd(f"RCPT TO:<{recipient}>")
    refusals = lab.sockets / "refusals"
    wait_for(lambda: refusals.exists() and refusals.read_text())
    assert refusals.read_text() == "5.2.1 off-reject@alias.test bob@sender.test\n"
