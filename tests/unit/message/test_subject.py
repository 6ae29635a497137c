"""A word before the subject: shown once, whatever the subject is written in."""

from __future__ import annotations

import email
import email.policy

import pytest

from postmask.message.headers import Field, split
from postmask.message.subject import prefixed

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
