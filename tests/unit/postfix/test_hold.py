"""What `postcat -e` prints, as of Postfix 3.7, and what is read of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.holding import Envelope
from postmask_postfix import commands
from postmask_postfix.commands import PostfixError
from postmask_postfix.hold import Gone, HoldQueue, parse_envelopes

ONE = """\
*** ENVELOPE RECORDS hold/182132B6433 ***
message_size:           10246             754               1               8           10246               1
message_arrival_time: Fri Nov 27 08:01:05 2026
create_time: Fri Nov 27 08:01:05 2026
named_attribute: log_ident=abab
named_attribute: rewrite_context=remote
named_attribute: ret_flags=2
sender: x=y@alias.test
named_attribute: encoding=8bit
named_attribute: log_client_name=localhost
named_attribute: log_client_address=127.0.0.1
named_attribute: log_helo_name=log_ident=forged
named_attribute: client_address=127.0.0.1
named_attribute: notify_flags=4
named_attribute: dsn_orig_rcpt=rfc822;jose@real.test
original_recipient: jose@real.test
recipient: jose@real.test
*** MESSAGE CONTENTS hold/182132B6433 ***
*** HEADER EXTRACTED hold/182132B6433 ***
named_attribute: encoding=8bit
*** MESSAGE FILE END hold/182132B6433 ***
"""
OTHER = f"""\
*** ENVELOPE RECORDS 4gXyZ12Abc ***
message_size:             300             500               2               0             300
sender: {""}
named_attribute: log_client_name=unknown
named_attribute: log_client_address=198.51.100.7
named_attribute: log_helo_name=mail.example.com
named_attribute: client_address=127.0.0.1
recipient: a: b@real.test
recipient: josé@real.test
*** MESSAGE CONTENTS 4gXyZ12Abc ***
*** HEADER EXTRACTED 4gXyZ12Abc ***
*** MESSAGE FILE END 4gXyZ12Abc ***
"""


def test_one() -> None:
    (found,) = parse_envelopes(ONE, {"182132B6433": 5.0})
    assert found == Envelope(
        "182132B6433", "x=y@alias.test", ("jose@real.test",), 5.0, 10_246, "abab", smtputf8=True
    )


def test_several_with_the_null_sender_and_no_flags() -> None:
    _, found = parse_envelopes(ONE + OTHER, {})
    client = (("ADDR", "198.51.100.7"), ("HELO", "mail.example.com"))
    recipients = ('"a: b"@real.test', "josé@real.test")
    assert found == Envelope("4gXyZ12Abc", "", recipients, 0.0, 300, client=client)


def test_an_address_that_looks_like_the_next_message() -> None:
    text = ONE.replace("x=y@alias.test", "*** ENVELOPE RECORDS 4gXyZ12Abc ***@x.test")
    (found,) = parse_envelopes(text, {})
    assert (found.queue_id, found.recipients) == ("182132B6433", ("jose@real.test",))
    assert found.sender == '"*** ENVELOPE RECORDS 4gXyZ12Abc ***"@x.test'


def test_a_client_by_ipv6_is_named_as_xforward_wants_it() -> None:
    (found,) = parse_envelopes(OTHER.replace("198.51.100.7", "2001:db8::7"), {})
    assert dict(found.client)["ADDR"] == "IPV6:2001:db8::7"


def test_of_the_flags_one_asks_for_smtputf8() -> None:
    (found,) = parse_envelopes(ONE.replace("10246               1\n", "10246               2\n"), {})
    assert not found.smtputf8


def test_nothing() -> None:
    assert list(parse_envelopes("", {})) == []


class Postfix:
    """Its commands, played, with one message on hold and one that is on its way. broken: postcat's fault."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.broken = False
        monkeypatch.setattr(commands, "run", self.run)
        monkeypatch.setattr(commands, "octets", lambda *words: self.run(*words).encode())

    def run(self, name: str, _option: str, _folder: str, *words: str) -> str:
        self.calls.append((name, *words))
        if name == "postqueue":
            line = (
                '{"queue_id": "%s", "queue_name": "%s", "arrival_time": 5, "sender": "", "recipients": []}\n'
            )
            return line % ("182132B6433", "hold") + line % ("4gXyZ12Abc", "active")
        if name == "postcat" and (self.broken or "4gXyZ12Abc" in words):
            raise PostfixError("postcat: fatal: open queue file")
        return ONE if "-e" in words else "Subject: s\n\nbody\n\n\n"


def test_what_is_on_its_way_is_never_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been released by hand since it was looked at."""
    postfix = Postfix(monkeypatch)
    HoldQueue(Path("/nowhere")).delete(["Q1", "Q2"])
    assert postfix.calls == [("postsuper", "-d", "Q1", "-d", "Q2", "hold")]


def test_only_what_is_on_hold_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    postfix = Postfix(monkeypatch)
    (found,) = HoldQueue(Path("/nowhere")).envelopes()
    assert (found.queue_id, found.arrived) == ("182132B6433", 5.0)
    assert ("postcat", "-q", "-e", "182132B6433") in postfix.calls


def test_one_that_leaves_meanwhile_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Postfix(monkeypatch)
    queue = HoldQueue(Path("/nowhere"))
    monkeypatch.setattr(queue, "_arrived", iter([{"182132B6433": 5.0, "4gXyZ12Abc": 6.0}, {}]).__next__)
    assert [one.queue_id for one in queue.envelopes()] == ["182132B6433"]


def test_what_can_not_be_read_is_not_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    postfix = Postfix(monkeypatch)
    postfix.broken = True
    queue = HoldQueue(Path("/nowhere"))
    with pytest.raises(PostfixError, match="open queue file") as failed:
        queue.envelopes()
    assert not isinstance(failed.value, Gone)
    with pytest.raises(PostfixError, match="open queue file") as failed:
        queue.content("182132B6433")
    assert not isinstance(failed.value, Gone)
    with pytest.raises(Gone, match="4gXyZ12Abc isn't on hold any more"):
        queue.content("4gXyZ12Abc")


def test_the_lines_of_a_message_are_all_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that covers them would be broken."""
    Postfix(monkeypatch)
    queue = HoldQueue(Path("/nowhere"))
    assert queue.content("182132B6433") == b"Subject: s\r\n\r\nbody\r\n\r\n\r\n"
