"""The DNS records of a domain: how they are written and compared."""

from __future__ import annotations

import pytest

from postmask.dnsrecords import DMARC, SPF, Published, Purpose, Record, compare, wanted

KEY = "v=DKIM1; k=rsa; p=" + "A" * 392


def record(purpose: Purpose) -> Record:
    return next(item for item in wanted("a.test", ["mx.a.test"], [("pm1", KEY)]) if item.purpose is purpose)


def test_all_records_in_order() -> None:
    records = wanted(
        "a.test", ["mx1.test", "mx2.test"], [("pm1", KEY), ("pm2", "v=DKIM1; k=ed25519; p=Zm9v")]
    )
    assert [item.line() for item in records] == [
        "a.test MX 10 mx1.test",
        "a.test MX 10 mx2.test",
        f"a.test TXT {SPF}",
        f"pm1._domainkey.a.test TXT {KEY}",
        "pm2._domainkey.a.test TXT v=DKIM1; k=ed25519; p=Zm9v",
        f"_dmarc.a.test TXT {DMARC}",
    ]


def test_zone_lines_split_long_strings_at_255_octets() -> None:
    line = record(Purpose.DKIM).zone_line()
    assert "\n" not in line
    name, *strings = line.split('"')
    assert name == "pm1._domainkey.a.test. IN TXT "
    pieces = strings[::2]
    assert [len(piece) for piece in pieces] == [255, len(KEY) - 255]
    assert "".join(pieces) == KEY
    assert record(Purpose.MX).zone_line() == "a.test. IN MX 10 mx.a.test."


@pytest.mark.parametrize(
    ("purpose", "published", "outcome"),
    [
        (Purpose.MX, [], Published.MISSING),
        (Purpose.MX, ["5 MX.a.test."], Published.FOUND),
        (Purpose.MX, ["5 other.test.", "20 mx.a.test."], Published.FOUND),
        (Purpose.MX, ["5 other.test."], Published.DIFFERENT),
        (Purpose.SPF, ["google-site-verification=x"], Published.MISSING),
        (Purpose.SPF, ["v=spf1 mx -all"], Published.FOUND),
        (Purpose.SPF, ["V=SPF1 ip4:192.0.2.1 +MX ~all"], Published.FOUND),
        (Purpose.SPF, ["v=spf1 a -all"], Published.DIFFERENT),
        (Purpose.SPF, ["v=spf1 mx -all", "v=spf1 a -all"], Published.DIFFERENT),
        (Purpose.SPF, ["v=spf10 mx -all"], Published.MISSING),
        (Purpose.DKIM, [], Published.MISSING),
        (Purpose.DKIM, [KEY.replace("; ", ";").replace("AAAA", "AA AA")], Published.FOUND),
        (Purpose.DKIM, [KEY.replace("k=rsa; ", "")], Published.FOUND),
        (Purpose.DKIM, [KEY[:-1]], Published.DIFFERENT),
        (Purpose.DKIM, ["v=DKIM1; p="], Published.DIFFERENT),
        (Purpose.DMARC, ["v=DMARC1; p=none; rua=mailto:x@y.test"], Published.FOUND),
        (Purpose.DMARC, ["v=spf1 -all"], Published.MISSING),
        (Purpose.DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], Published.DIFFERENT),
    ],
)
def test_compare(purpose: Purpose, published: list[str], outcome: Published) -> None:
    assert compare(record(purpose), published) is outcome
