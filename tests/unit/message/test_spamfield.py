"""X-Postmask-Spam."""

from __future__ import annotations

import math

from postmask.message.evidence import SpamNote
from postmask.message.spamfield import spam_field

SPAM = SpamNote("spamd", 1.25, ("GTUBE", "BAYES_99"), 80)


def test_what_it_says() -> None:
    assert spam_field(SPAM).value == b"yes; ratio=1.25 engine=spamd symbols=GTUBE, BAYES_99"
    assert spam_field(SpamNote("rspamd", -0.5)).value == b"no; ratio=-0.50 engine=rspamd"
    assert spam_field(SpamNote(unscanned="spamd timeout")).value == b"unscanned; spamd timeout"


def test_the_mark_decides() -> None:
    assert spam_field(SPAM, 1.3).value.startswith(b"no; ratio=1.25")
    assert spam_field(SPAM, 1.25).value.startswith(b"yes; ")
    assert spam_field(SPAM, math.inf).value.startswith(b"no; ")


def test_many_symbols_are_folded() -> None:
    note = SpamNote("spamd", 2.0, tuple(f"{number:0>64}" for number in range(64)))
    assert max(map(len, spam_field(note).raw.split(b"\r\n"))) <= 78
