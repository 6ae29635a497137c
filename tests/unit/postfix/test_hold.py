"""What `postcat -e` prints, as of Postfix 3.7, and what is read of it."""

from __future__ import annotations

from postmask.holding import Envelope
from postmask_postfix.hold import parse_envelopes

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
