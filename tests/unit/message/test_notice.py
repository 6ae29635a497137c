"""Our own messages, as any mail program reads them."""

from __future__ import annotations

from email import message_from_bytes, policy

from postmask.message.notice import build


def _build(subject: str = "A code", text: str = "The code is 123.\n") -> bytes:
    return build(
        sender="postmask@alias.test",
        recipient="owner@mailbox.test",
        subject=subject,
        text=text,
        at=1_799_056_800.0,
        message_id="<1@alias.test>",
    )


def test_a_plain_notice() -> None:
    data = _build()
    message = message_from_bytes(data, policy=policy.SMTP)
    assert message["from"].addresses[0].addr_spec == "postmask@alias.test"
    assert message["to"].addresses[0].addr_spec == "owner@mailbox.test"
    assert message["date"].datetime.timestamp() == 1_799_056_800
    assert message["auto-submitted"] == "auto-generated"
    assert message["message-id"] == "<1@alias.test>"
    assert message.get_content() == "The code is 123.\r\n"
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_a_notice_outside_ascii_and_with_long_lines() -> None:
    text = "Grüße\n" + "x" * 2000 + "\n.\n\nEnde"
    message = message_from_bytes(_build("Grüße", text), policy=policy.SMTP)
    assert message["subject"] == "Grüße"
    assert message.get_content().replace("\r\n", "\n") == text + "\n"
    assert max(map(len, _build("Grüße", text).split(b"\r\n"))) <= 998


def test_a_line_end_in_the_subject_makes_no_field() -> None:
    assert b"\r\nBcc:" not in _build("x\r\nBcc: evil@example.com")
