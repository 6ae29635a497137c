"""A word before the subject: shown once, whatever the subject is written in, and never to the contact."""

from __future__ import annotations

import email
import email.policy

import pytest

from postmask.message.headers import Field, make_field, split
from postmask.message.subject import prefixed, unprefixed

CASES = {
    "plain": b"Subject: hello\r\n",
    "empty": b"Subject:\r\n",
    "blank": b"Subject: \t \r\n",
    "no blank behind the colon": b"Subject:hello\r\n",
    "encoded": b"Subject: =?utf-8?q?h=C3=A9llo?=\r\n",
    "encoded, folded": b"Subject: =?utf-8?b?aMOpbGxv?=\r\n =?utf-8?b?IHdvcmxk?=\r\n",
    "folded": b"subject: hello\r\n\tworld\r\n",
    "folded at once": b"Subject:\r\n hello\r\n",
    "long": b"Subject: " + b"word " * 30 + b"\r\n",
    "as long as may be": b"Subject: " + b"x" * 989 + b"\r\n",
    "raw UTF-8": "Subject: héllo\r\n".encode(),
    "Latin-1": "Subject: héllo\r\n".encode("latin-1"),
    "damaged": b"Subject: =?utf-8?b?!!!?= =?x\r\n",
    "says something like it": b"Subject: Re: [SPAM] hello\r\n",
}
PREFIXES = ["[SPAM]", "***", "[Spam!] Vorsicht:", "[Ünï \U0001f40d]", "=?odd?=", "é" * 60]


def field(raw: bytes) -> Field:
    headers, _ = split(raw + b"\r\n")
    (found,) = headers.fields
    return found


def read(one: Field) -> str:
    """As a mail program shows it, by somebody else's code."""
    parsed = email.message_from_bytes(one.raw + b"\r\n", policy=email.policy.default)
    return str(parsed["subject"])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("raw", CASES.values(), ids=CASES)
def test_the_prefix_goes_before_all_else(raw: bytes, prefix: str) -> None:
    before = field(raw)
    after = prefixed(before, prefix)
    assert after.text.split() == f"{prefix} {before.text}".split()
    assert after.raw.endswith(before.raw.partition(b":")[2].lstrip())
    assert (after.name, after.key) == (before.name, before.key)
    assert all(len(line) <= 998 for line in after.raw.split(b"\r\n"))
    assert not any(line.strip() == b"" for line in after.raw.split(b"\r\n")[:-1])
    assert split(after.raw + b"\r\nx")[0].fields == [after]
    assert prefixed(after, prefix) is after, "only once"


@pytest.mark.parametrize("prefix", PREFIXES[:4])
@pytest.mark.parametrize("case", ["plain", "encoded", "encoded, folded", "folded", "long"])
def test_a_mail_program_shows_it(case: str, prefix: str) -> None:
    before = field(CASES[case])
    assert read(prefixed(before, prefix)).split() == f"{prefix} {read(before)}".split()


def test_one_that_has_it_stays() -> None:
    for raw in (b"Subject: [SPAM] hello\r\n", b"Subject: =?utf-8?q?=5BSPAM=5D_h=C3=A9llo?=\r\n"):
        assert prefixed(field(raw), "[SPAM]").raw == raw


def test_without_a_subject_there_is_one_then() -> None:
    assert prefixed(None, "[SPAM]").raw == b"Subject: [SPAM]\r\n"


LEFT = {
    "[SPAM] hello": "hello",
    "Re: [SPAM] hello": "Re: hello",
    "AW: Re: [SPAM]  hello": "AW: Re: hello",
    "Re[2]: Fwd: [SPAM] hello": "Re[2]: Fwd: hello",
    "Re(3): RE^2: [SPAM] hello": "Re(3): RE^2: hello",
    "Re : [SPAM] hello": "Re : hello",
    "回复\uff1a[SPAM] hello": "回复\uff1ahello",
    "Re: [SPAM] Re: [SPAM] hello": "Re: Re: hello",
    "Re: [SPAM] Re: hello [SPAM] filter": "Re: Re: hello [SPAM] filter",
    "Re: [SPAM]": "Re:",
    "[SPAM] [SPAM] hällo": "hällo",
}
AS_IT_IS = ("Re: hello [SPAM] x", "Note: [SPAM] x", "Re: [SPAM]x", "Re: [spam] x", "Re: x", "[list] [SPAM] x")


@pytest.mark.parametrize(("subject", "left"), LEFT.items(), ids=LEFT)
def test_it_goes_where_a_mail_program_leaves_it(subject: str, left: str) -> None:
    encoded = make_field("Subject", subject)
    assert unprefixed(encoded, "[SPAM]").text == left
    raw = field(f"Subject: {subject}\r\n".encode().replace(b" [", b"\r\n\t["))
    assert unprefixed(raw, "[SPAM]").text == left
    words = field(b"Subject: =?utf-8?q?" + quoted(subject) + b"?=\r\n")
    assert unprefixed(words, "[SPAM]").text == left


def quoted(text: str) -> bytes:
    return "".join(f"={octet:02X}" for octet in text.encode()).encode()


@pytest.mark.parametrize("subject", AS_IT_IS)
def test_it_stays_where_we_have_not_put_it(subject: str) -> None:
    before = field(f"Subject: {subject}\r\n".encode())
    assert unprefixed(before, "[SPAM]") is before
    assert unprefixed(before, "") is before


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("raw", CASES.values(), ids=CASES)
def test_what_was_put_there_is_taken_out_again(raw: bytes, prefix: str) -> None:
    before = field(raw)
    marked = prefixed(before, prefix)
    assert unprefixed(marked, prefix).text.split() == unprefixed(before, prefix).text.split()
    answer = make_field("Subject", f"Re: {marked.text}")
    assert unprefixed(answer, prefix).text.split()[1:] == unprefixed(before, prefix).text.split()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["Re:", "Re: x", "AW: Re:", ""])
def test_without_a_prefix_there_is_nothing_to_take(text: str) -> None:
    """And nothing to look for again and again."""
    subject = make_field("Subject", text)
    assert unprefixed(subject, "") is subject
