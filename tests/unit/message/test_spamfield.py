"""X-Postmask-Spam."""

from __future__ import annotations

from postmask.message.evidence import SpamNote
from postmask.message.spamfield import spam_field

SPAM = SpamNote("spamd", 1.25, ("GTUBE", "BAYES_99"), 80)


def test_what_it_says() -> None:
    symbols = b"ratio=1.25 engine=spamd symbols=GTUBE, BAYES_99"
    assert spam_field(SPAM, marked=True).value == b"yes; " + symbols
    assert spam_field(SPAM, marked=False).value == b"no; " + symbols
    assert spam_field(SpamNote("rspamd", -0.5), marked=False).value == b"no; ratio=-0.50 engine=rspamd"
    unscanned = SpamNote(unscanned="spamd timeout")
    assert spam_field(unscanned, marked=False).value == b"unscanned; spamd timeout"


def test_it_says_who_asks_for_quarantine() -> None:
    scanned = spam_field(SpamNote("rspamd", 0.5), marked=True, quarantined=True)
    assert scanned.value == b"yes; dmarc=quarantine ratio=0.50 engine=rspamd"
    unscanned = spam_field(SpamNote(unscanned="spamd timeout"), marked=True, quarantined=True)
    assert unscanned.value == b"yes; dmarc=quarantine unscanned; spamd timeout"
    assert spam_field(None, marked=True, quarantined=True).value == b"yes; dmarc=quarantine"


def test_many_symbols_are_folded() -> None:
    note = SpamNote("spamd", 2.0, tuple(f"{number:0>64}" for number in range(64)))
    assert max(map(len, spam_field(note, marked=True).raw.split(b"\r\n"))) <= 78
