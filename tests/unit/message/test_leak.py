"""The leak check: found in every disguise, replaced where text is, reported where it can't be."""

from __future__ import annotations

import base64
import binascii
import datetime
import gzip
import io
import quopri
import time
import zipfile
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from postmask.message.finder import Finder, ReverseAliases, replace
from postmask.message.headers import Headers, split
from postmask.message.leak import MAX_UNPACKED, LeakResult, check
from postmask.message.packed import unpacked

_SECRETS = {
    "owner@mailbox.test": "shop@alias.test",
    "bob.reverse@alias.test": "bob@example.com",
    "never@x.test": None,
}


def _check(data: bytes, reverse: ReverseAliases | None = None) -> LeakResult:
    headers, body = split(data)
    return check(headers, body, _SECRETS, reverse)


def _again(kind: str) -> str:
    return f"part 0 ({kind}): an address that is encoded once more, as in a key or a link"


def _part(content: bytes, kind: str = "text/plain", encoding: str = "7bit", header: bytes = b"") -> bytes:
    fields = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n".encode()
    return header + fields + b"\r\n" + content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"owner@mailbox.test", b"shop@alias.test"),
        (b"<OWNER@Mailbox.Test>", b"<shop@alias.test>"),
        (b"to owner@mailbox.test.", b"to shop@alias.test."),
        (b"mailto:owner%40mailbox.test?x", b"mailto:shop%40alias.test?x"),
        (b"owner&#64;mailbox&#46;test", b"shop@alias.test"),
        (b"owner&#x40;mailbox.test", b"shop@alias.test"),
        (b"owner&commat;mailbox&period;test", b"shop@alias.test"),
        (b"owner at mailbox.test", b"shop@alias.test"),
        (b"owner (at) mailbox.test", b"shop@alias.test"),
        (b"owner+tag@mailbox.test", b"shop@alias.test"),
        (b"_owner@mailbox.test_", b"_shop@alias.test_"),
        (b"?u=owner%2Btag%40mailbox.test&y", b"?u=shop%40alias.test&y"),
        (b"owner&#43;tag@mailbox.test", b"shop@alias.test"),
        (b"'owner@mailbox.test'", b"'shop@alias.test'"),
        (b"x=owner@mailbox.test&y", b"x=shop@alias.test&y"),
        (b"%3Aowner@mailbox.test", b"%3Ashop@alias.test"),
        (b"\\nowner@mailbox.test", b"\\nshop@alias.test"),
        (b"-owner@mailbox.test", b"-shop@alias.test"),
        (b"owner@mailbox.test.pdf", b"shop@alias.test.pdf"),
        (b"bob.reverse@alias.test", b"bob@example.com"),
        (b"owner@mailbox.test owner@mailbox.test", b"shop@alias.test shop@alias.test"),
        (b"owner @ mailbox.test", b"shop@alias.test"),
        ("owner+tag\uff20mailbox.test".encode(), b"shop@alias.test"),
        (b"owner at mailbox dot test", b"shop@alias.test"),
        (b'<"owner"@mailbox.test>', b"<shop@alias.test>"),
        (b"&quot;owner+tag&quot;@mailbox.test", b"shop@alias.test"),
        (b"'\"owner@mailbox.test\"'", b"'\"shop@alias.test\"'"),
        (b"<bounce+owner=mailbox.test@list.test>", b"<bounce+shop=alias.test@list.test>"),
        (b"bounces-7-owner+tag=mailbox.test@list.test", b"bounces-7-shop=alias.test@list.test"),
        (b"data%3D1%257Cowner%2540mailbox.test%257C", b"data%3D1%257Cshop%2540alias.test%257C"),
        (b"?text=write+to+owner%40mailbox.test", b"?text=write+to+shop%40alias.test"),
        (b"\\u003cowner@mailbox.test\\u003e", b"\\u003cshop@alias.test\\u003e"),
        (b"\\u003cowner\\u0040mailbox.test\\u003e", b"\\u003cshop\\u0040alias.test\\u003e"),
        (b"<owner\\@mailbox.test>", b"<shop\\@alias.test>"),
        (b"{\\rtf1 owner\\'40mailbox.test}", b"{\\rtf1 shop\\'40alias.test}"),
        (b"Delivered-To: 12-owner@mailbox.test", b"Delivered-To: shop@alias.test"),
        (b"Delivered-To: mailbox.test-owner@mailbox.test", b"Delivered-To: shop@alias.test"),
        (b"the-owner@mailbox.test", b"the-owner@mailbox.test"),
        (b"owner@mailbox.test0", b"owner@mailbox.test0"),
        (b"flowner@mailbox.test", b"flowner@mailbox.test"),
        (b"the.owner=mailbox.test", b"the.owner=mailbox.test"),
        (b'"the owner"@mailbox.test', b'"the owner"@mailbox.test'),
        (b"the.owner@mailbox.test", b"the.owner@mailbox.test"),
        (b"owner@mailbox.tests", b"owner@mailbox.tests"),
        (b"owner@mailbox.test.example", b"owner@mailbox.test.example"),
        (b"owner and mailbox.test", b"owner and mailbox.test"),
    ],
)
def test_disguises(text: bytes, expected: bytes) -> None:
    result = _check(b"Subject: x\r\n\r\n" + text + b"\r\n")
    assert result.body == expected + b"\r\n"
    assert result.unreplaceable == ()
    assert result.replaced == text.lower().count(b"owner" if expected != text else b"\0") or b"bob" in text


def test_a_clean_message_is_the_same_objects() -> None:
    headers, body = split(b"Subject: x\r\n\r\nnothing here\r\n")
    result = check(headers, body, _SECRETS)
    assert result.body is body
    assert result.headers == headers
    assert result.replaced == 0


@pytest.mark.parametrize(
    "charset", ["utf-8", "iso-8859-1", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp500"]
)
def test_base64_text_in_any_charset(charset: str) -> None:
    text = "Grüße von owner@mailbox.test\r\n" * 20
    data = _part(base64.encodebytes(text.encode(charset)), f"text/plain; charset={charset}", "base64")
    result = _check(data)
    assert result.unreplaceable == ()
    assert result.replaced == 20
    assert base64.b64decode(result.body).decode(charset) == text.replace(
        "owner@mailbox.test", "shop@alias.test"
    )
    assert max(map(len, result.body.split(b"\r\n"))) <= 76
    assert b"\n" not in result.body.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("charset", "before"),
    [("iso-2022-jp", "メール"), ("shift_jis", "ア"), ("big5", "乙"), ("gb18030", "丄"), ("cp949", "갂")],
)
def test_an_address_behind_a_character_that_ends_in_the_octet_of_a_letter(charset: str, before: str) -> None:
    content = f"{before}owner@mailbox.test\r\n".encode(charset)
    assert content[content.index(b"owner") - 1 :][:1].isalpha()
    result = _check(_part(content, f"text/plain; charset={charset}", "8bit"))
    assert result.body.decode(charset) == f"{before}shop@alias.test\r\n"


def test_quoted_printable_text() -> None:
    text = "Grüße von owner@mailbox.test, \t\n.\nFrom x\n" + "ö" * 100 + "\n"
    encoded = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
    result = _check(_part(encoded, "text/plain", "quoted-printable"))
    decoded = quopri.decodestring(result.body.replace(b"\r\n", b"\n")).decode()
    assert decoded == text.replace("owner@mailbox.test", "shop@alias.test")
    assert b"\n" not in result.body.replace(b"\r\n", b"")
    assert max(map(len, result.body.split(b"\r\n"))) <= 76


def test_other_parts_keep_their_octets() -> None:
    other = _part(b"YWJj\r\n ZGVm  \r\n=\r\n", "text/plain; charset=utf-8", "base64")
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + other + b"--b  \r\n"
        b"\r\nowner@mailbox.test\r\n--b--\r\nepilogue"
    )
    result = _check(data)
    assert result.body == split(data)[1].replace(b"owner@mailbox.test", b"shop@alias.test")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_part(b"owner@mailbox.test", "application/octet-stream"), "isn't edited"),
        (_part(base64.encodebytes(b"x owner@mailbox.test y"), "application/pdf", "base64"), "isn't edited"),
        (_part(b"begin 644 x\r\n", "text/plain", "x-uuencode"), "unknown transfer encoding"),
        (_part(b"never@x.test"), "nothing may stand for"),
        (_part(b"x", 'text/plain; name="=?utf-8?q?owner=40mailbox=2Etest?="'), "encoded word"),
        (_part(b"--owner@mailbox.test\r\n\r\nx\r\n--owner@mailbox.test--\r\n",
               'multipart/mixed; boundary="owner@mailbox.test"'), "boundary"),
        (_part(b"--b\r\n" + _part(b"--owner@mailbox.test\r\n\r\nx\r\n--owner@mailbox.test--\r\n",
               'multipart/mixed; boundary="owner@mailbox.test"') + b"--b--\r\n",
               "multipart/mixed; boundary=b"), "boundary"),
    ],
)  # fmt: skip
def test_what_can_not_be_replaced_is_reported(data: bytes, reason: str) -> None:
    result = _check(data)
    assert any(reason in text for text in result.unreplaceable), result.unreplaceable
    assert not any("owner" in text for text in result.unreplaceable)


def test_too_many_parts_are_reported() -> None:
    result = _check(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000)
    assert result.unreplaceable


def test_too_deep_is_reported() -> None:
    data = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(30)
    )
    assert _check(data).unreplaceable


def test_the_last_gate_sees_what_no_part_showed() -> None:
    """Base64 that is none: the decoded part is empty, the octets still say it."""
    result = _check(_part(b"@@@@ owner@mailbox.test", "image/png", "base64"))
    assert "the finished body still holds an address" in result.unreplaceable


def test_header_fields() -> None:
    headers, _ = split(
        b"Subject: =?utf-8?q?f=C3=BCr_owner=40mailbox=2Etest?=\r\nX: owner@mailbox.test\r\n\r\n"
    )
    result = check(headers, b"", _SECRETS)
    assert [field.text for field in result.headers.fields] == ["für shop@alias.test", "shop@alias.test"]
    assert result.unreplaceable == ()


def test_an_address_folded_in_a_file_name() -> None:
    data = _part(
        b"x", header=b"Content-Disposition: attachment;\r\n filename*=utf-8''owner%40mailbox.test.txt\r\n"
    )
    result = _check(data)
    assert b"utf-8''shop%40alias.test.txt" in result.headers.to_bytes()


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_an_international_domain_in_both_spellings(charset: str) -> None:
    finder = Finder({"o@xn--dmin-moa0i.test": "s@alias.test"})
    for text in (
        "o@dömäin.test", "O@DÖMÄIN.TEST", "o@xn--dmin-moa0i.test", "O@XN--DMIN-moa0i.test",
        "o@d%C3%B6m%c3%a4in.test", "o@do%CC%88ma%cc%88in.test", "O@DO%CC%88MA%cc%88IN.TEST",
    ):  # fmt: skip
        data = f"to {text}!".encode(charset)
        assert replace(data, finder.hits(data)) == b"to s@alias.test!"


def test_a_local_part_that_must_be_quoted() -> None:
    finder = Finder({"the owner@mailbox.test": "shop@alias.test"})
    data = b'From: "the owner"@mailbox.test, \\"The Owner\\"@mailbox.test'
    assert replace(data, finder.hits(data)) == b"From: shop@alias.test, shop@alias.test"


_TOKEN = "a2b3c4d5" * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<bob-at-example-com.{_TOKEN}@alias.test>", "<bob@example.com>"),
        (f"bob-at-example-com.{_TOKEN}%40alias.test".upper(), "bob%40example.com"),
        (f"x{_TOKEN}@alias.test", f"x{_TOKEN}@alias.test"),
        (f"other.{_TOKEN}@elsewhere.test", f"other.{_TOKEN}@elsewhere.test"),
        (f"unknown.{_TOKEN[::-1]}@alias.test", f"unknown.{_TOKEN[::-1]}@alias.test"),
        (f"to bob-at-example-com.{_TOKEN}@alias.test.", "to bob@example.com."),
        (f"--bob-at-example-com.{_TOKEN}@alias.test--", "--bob@example.com--"),
        (f"{'h' * 39}.{_TOKEN}@alias.test", "long@example.com"),
    ],
)
def test_reverse_aliases_that_were_not_named(text: str, expected: str) -> None:
    real = {
        f"bob-at-example-com.{_TOKEN}@alias.test": "bob@example.com",
        f"{'h' * 39}.{_TOKEN}@alias.test": "long@example.com",
    }.get
    finder = Finder({}, real)
    data = text.encode()
    assert replace(data, finder.hits(data)).decode() == expected


def test_what_is_compressed_in_a_form_of_its_own_is_not_looked_into() -> None:
    """What a search can't see is the sender's to know: it goes out as it is."""
    data = _part(base64.encodebytes(zlib.compress(b"owner@mailbox.test" * 10)), "application/zip", "base64")
    assert _check(data).unreplaceable == ()


def _document(**members: str | bytes) -> bytes:
    """As Word, Excel and LibreOffice write them."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.xml", content)
    return written.getvalue()


_COMMENTED = '<w15:presenceInfo w15:providerId="AD" w15:userId="S::owner@mailbox.test::0a1b"/>'
_IN_RUNS = "<w:p><w:r><w:t>own</w:t></w:r><w:r><w:t>er@mailbox.test</w:t></w:r></w:p>"
_IN_UTF_16 = b"<feff006f0077006e006500720040006d00610069006c0062006f0078002e0074006500730074>"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", _document(document="<w:p/>" * 500, people=_COMMENTED)),
        ("a.docx", _document(document=_IN_RUNS)),
        ("a.zip", _document(letter=_document(people=_COMMENTED))),
        ("a.zip", _document(folder=_document(letter=_document(people=_COMMENTED)))),
        ("a.zip", _document(letter="x").replace(b"x.xml", b"x" * 5) + _document(people=_COMMENTED)),
        ("a.gz", gzip.compress(b"From: owner@mailbox.test\n" * 3)),
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<</Author " + _IN_UTF_16 + b">>"),
        (
            "a.pdf",
            b"%PDF-1.7\nstream\r\n" + zlib.compress(b"/URI (mailto:owner@mailbox.test)") + b"\nendstream",
        ),
        ("a.pdf", b"%PDF-1.7\nstream\nx\nendstream\nstream\n" + zlib.compress(_IN_UTF_16) + b"\nendstream"),
    ],
    ids=[
        "comment",
        "runs",
        "within",
        "within that",
        "second",
        "gzip",
        "hexadecimal",
        "stream",
        "hexadecimal in a stream",
    ],
)
def test_an_address_in_a_compressed_file_is_reported(name: str, content: bytes) -> None:
    """Who commented on a document, who made it: the programs write it there, and nobody sees it."""
    sent = _part(base64.encodebytes(content), f'application/octet-stream; name="{name}"', "base64")
    expected = ("part 0 (application/octet-stream): an address in a compressed file",)
    assert _check(sent).unreplaceable == expected
    headers, body = split(sent)
    assert check(headers, body, {"other@mailbox.test": None}).unreplaceable == ()


def test_a_bomb_costs_little_and_what_is_behind_it_is_not_searched() -> None:
    bomb = _document(first="x" * 100_000_000, people=_COMMENTED)
    start = time.process_time()
    result = _check(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"".join(b"--b\r\n" + _part(base64.encodebytes(bomb), "image/png", "base64") for _ in range(20))
    )
    assert time.process_time() - start < 3
    assert result.unreplaceable == ()


@pytest.mark.parametrize("encoded", [False, True])
def test_bombs_cost_no_more_together(encoded: bool) -> None:
    """One in a part that is encoded as a whole counts too. Behind them there is no room for a document."""
    bomb = _part(base64.encodebytes(_document(first="x" * 40_000_000)), "image/png", "base64")
    document = _part(base64.encodebytes(_document(people=_COMMENTED)), "image/png", "base64")
    if encoded:
        bomb = _part(base64.encodebytes(bomb), "message/rfc822", "base64")
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    assert _check(head + document).unreplaceable
    assert _check(head + bomb + b"--b\r\n" + document).unreplaceable == ()


def test_what_is_hardly_an_archive_costs_little() -> None:
    member = b"PK\x03\x04" + bytes(4) + b"\x08\0" + bytes(20) + b"\0\0\0\xff\xff" * 10
    start = time.process_time()
    assert list(unpacked(member * 100_000, MAX_UNPACKED)) == []
    assert time.process_time() - start < 3


def test_the_strings_of_a_page_are_one_text() -> None:
    """A page has thousands, and each text costs a search."""
    page = b"%PDF-1.7\nstream\r\n" + zlib.compress(b"<0012 004a0055> Tj <123456789abcd> Tj " * 3000)
    (_, strings) = unpacked(page, MAX_UNPACKED)
    assert strings == b"\n".join([b"\0\x12\0J\0U"] * 3000)


def test_bounce_addresses_are_asked_for() -> None:
    bounce = "a2b3c4d5" * 6 + "e6f7g"
    finder = Finder({}, {f"{bounce}@alias.test": "shop@alias.test"}.get)
    for text, expected in (
        (f"Return-Path: <{bounce.upper()}@alias.test>.", "Return-Path: <shop@alias.test>."),
        (f"Return-Path: <{bounce}@other.test>", f"Return-Path: <{bounce}@other.test>"),
        (f"<x{bounce}@alias.test>", f"<x{bounce}@alias.test>"),
        (f"{bounce}@alias.test", "shop@alias.test"),
        (f"by {bounce}@alias.test.", "by shop@alias.test."),
    ):
        data = text.encode()
        assert replace(data, finder.hits(data)).decode() == expected


def test_blanks_behind_a_soft_line_break_are_none_of_the_text() -> None:
    """Some relay may have put them there: RFC 2045 §6.7 (3)."""
    result = _check(_part(b"I am owner@mail=\t \r\nbox.test and=20\r\n", "text/plain", "quoted-printable"))
    assert quopri.decodestring(result.body) == b"I am shop@alias.test and \r\n"
    assert result.unreplaceable == ()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (rb'attachment; filename="owner\@mail\box.test"', "with escaped letters"),
        (b"inline; filename*0*=''%6Fwner%40mail;\r\n filename*1=box.test", "in the pieces of a parameter"),
    ],
)  # fmt: skip
def test_an_address_in_a_parameter_that_is_written_in_an_odd_way(value: bytes, why: str) -> None:
    result = _check(_part(b"x", header=b"Content-Disposition: " + value + b"\r\n"))
    assert result.unreplaceable == (f"the header: an address {why}",)


def test_an_account_of_ten_thousand_mailboxes() -> None:
    """A reply waits for this, and so does, within one process, all other mail."""
    secrets = {f"user{number}@company.test": "shop@alias.test" for number in range(10_000)}
    lines = b"".join(b"From: user%d@company.test\r\n" % number for number in range(20))
    text = b"as user77@company.test wrote:\r\n" + b"> nothing to find\r\n" * 100_000
    headers, body = split(lines + b"\r\n" + text)
    start = time.process_time()
    result = check(headers, body, secrets)
    assert time.process_time() - start < 3
    assert result.replaced == 21
    assert b"as shop@alias.test wrote" in result.body


@pytest.mark.parametrize("text", [b"o\n@mailbox.test", b"o@\nmailbox.test", b"o at\nmailbox.test"])
def test_no_address_goes_on_in_the_next_line(text: bytes) -> None:
    """By which only the lines that name a domain are searched for its addresses."""
    assert Finder({"o@mailbox.test": None}).hits(text) == []


def test_finder_without_secrets() -> None:
    assert Finder({}).hits(b"owner@mailbox.test") == []
    assert check(Headers([]), b"x", {}).body == b"x"


def test_a_plus_of_the_address_itself_is_found_escaped() -> None:
    finder = Finder({"owner+mail@mailbox.test": "shop@alias.test"})
    for text in (b"owner+mail@mailbox.test", b"owner%2bmail%40mailbox.test", b"owner&#x2B;mail@mailbox.test"):
        assert replace(text, finder.hits(text)).decode() in ("shop@alias.test", "shop%40alias.test")


@pytest.mark.parametrize("charset", ["utf-8", "utf-16le"])
def test_quoted_printable_in_one_long_line_is_broken_with_whole_line_ends(charset: str) -> None:
    """A bare LF would be made a CRLF on the way, which ends the signature."""
    text = ("<p>" + "some text " * 30 + "owner@mailbox.test</p>").encode(charset)
    kind = f"text/html; charset={charset}"
    result = _check(_part(quopri.encodestring(text).replace(b"\n", b"\r\n"), kind, "quoted-printable"))
    assert result.replaced == 1
    assert b"\n" not in result.body.replace(b"\r\n", b"")
    assert quopri.decodestring(result.body) == text.replace(
        "owner@mailbox.test".encode(charset), "shop@alias.test".encode(charset)
    )


def test_line_ends_in_a_wide_charset_are_encoded_in_quoted_printable() -> None:
    text = "a\r\nowner@mailbox.test\r\n".encode("utf-16le")
    data = _part(
        quopri.encodestring(text, quotetabs=True), "text/plain; charset=utf-16le", "quoted-printable"
    )
    body = quopri.decodestring(_check(data).body)
    assert body.decode("utf-16le") == "a\r\nshop@alias.test\r\n"


def test_what_a_machine_says_of_a_message_is_text() -> None:
    """The receipt that a mail program sends for its owner names the mailbox."""
    for kind in ("message/disposition-notification", "message/delivery-status"):
        result = _check(_part(b"Final-Recipient: rfc822;owner@mailbox.test\r\n", kind))
        assert result.body == b"Final-Recipient: rfc822;shop@alias.test\r\n"
        assert result.unreplaceable == ()


def test_a_part_s_header_that_ends_at_the_delimiter() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: owner@mailbox.test\n--b--\n"
    result = _check(data)
    assert result.body == b"--b\nX: shop@alias.test\r\n\n--b--\n"


def test_base64_is_read_on_behind_a_padding() -> None:
    content = base64.encodebytes(b"above w") + base64.encodebytes(b" owner@mailbox.test")
    result = _check(_part(content, encoding="base64"))
    assert base64.b64decode(result.body) == b"above w shop@alias.test"


@pytest.mark.parametrize("at", [14, 15, 17])
def test_base64_in_which_a_soft_line_break_stands(at: int) -> None:
    """To some it is an end or nothing, by where it stands; we'd read on with the next group."""
    written = "written by owner@mailbox.test, and more"
    for text, charset in (
        (written, "utf-8"),
        (written, "utf-16-le"),
        ("by\0owner@mailbox.test\0and", "utf-8"),
    ):
        content = base64.b64encode(text.encode(charset))
        kind = f"text/plain; charset={charset}"
        assert _check(_part(content[:at] + b"=\r\n" + content[at:], kind, "base64")).unreplaceable


def test_a_wide_text_that_is_broken_is_still_read() -> None:
    content = base64.encodebytes("owner@mailbox.test".encode("utf-16") + b"\n")
    assert _check(_part(content, "text/plain; charset=utf-16", "base64")).replaced == 1


def test_text_that_is_not_in_its_wide_charset_is_searched_as_it_stands() -> None:
    content = base64.encodebytes(b"owner@mailbox.test")
    result = _check(_part(content, "text/plain; charset=utf-16", "base64"))
    assert result.unreplaceable == ("part 0 (text/plain): an address in something that isn't in its charset",)


@pytest.mark.parametrize("address", ["owner@mailbox.test", "friend@mailbox.test"])
def test_parts_that_are_encoded_as_a_whole_are_searched(address: str) -> None:
    inner = _part(base64.encodebytes(address.encode()), encoding="base64")
    outer = _part(base64.encodebytes(inner), "message/rfc822", "base64", b"Subject: owner@mailbox.test\r\n")
    result = _check(outer)
    expected = "part 0 (message/rfc822): an address in parts that are encoded as a whole"
    assert result.unreplaceable == ((expected,) if address.startswith("owner") else ())


def test_a_multipart_that_is_encoded_as_a_whole_is_taken_apart() -> None:
    """Only who knows of what type its parts are reads this one's folds."""
    card = b"FN:Me\r\nEMAIL:owner@mailb\r\n ox.test\r\n"
    inner = b"--b\r\n" + _part(card, "text/vcard") + b"--b--\r\n"
    result = _check(_part(base64.encodebytes(inner), "multipart/mixed; boundary=b", "base64"))
    assert result.unreplaceable == (
        "part 0 (multipart/mixed): an address in parts that are encoded as a whole",
    )


def test_parts_that_are_encoded_as_a_whole_again_and_again_are_not_followed() -> None:
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert _check(head * 3 + b"friend@mailbox.test").unreplaceable == ()
    assert _check(head * 3000 + b"friend@mailbox.test").unreplaceable


@pytest.mark.parametrize(
    "value",
    [
        b'attachment; filename*0="an owner@mail";\r\n filename*1="box.test.pdf"',
        b'attachment; filename*0=owner@mail;\r\n filename*1="box.test.pdf"',
        b"attachment; filename*0*=utf-8''an%20owner%40mailb; filename*1*=ox.test",
    ],
)
def test_an_address_in_the_pieces_of_a_parameter_is_reported(value: bytes) -> None:
    result = _check(_part(b"x", header=b"Content-Disposition: " + value + b"\r\n"))
    assert result.unreplaceable == ("the header: an address in the pieces of a parameter",)


@pytest.mark.parametrize("kind", ["text/calendar; method=REPLY", "text/vcard", "application/ics"])
@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_an_address_in_a_folded_line_of_a_calendar(kind: str, encoding: str) -> None:
    """Such lines are folded at 75 octets, wherever that is."""
    content = b"BEGIN:X\r\nATTENDEE;CN=\r\n Me:mailto:owner@mailb\r\n ox.test\r\nEND:X\r\n"
    sent = base64.encodebytes(content) if encoding == "base64" else content
    result = _check(_part(sent, kind, encoding))
    body = base64.b64decode(result.body) if encoding == "base64" else result.body
    assert body == b"BEGIN:X\r\nATTENDEE;CN=\r\n Me:mailto:shop@alias.test\r\nEND:X\r\n"
    assert (result.replaced, result.unreplaceable) == (1, ())


def test_a_calendar_that_is_attached_as_octets_is_read_through_its_folds() -> None:
    content = b"BEGIN:VCALENDAR\r\nATTENDEE:mailto:owner@mailb\r\n ox.test\r\nEND:VCALENDAR\r\n"
    result = _check(_part(base64.encodebytes(content), "application/octet-stream; name=i.ics", "base64"))
    assert "isn't edited" in result.unreplaceable[0]


def test_a_calendar_without_an_address_keeps_its_folds() -> None:
    content = b"BEGIN:X\r\nATTENDEE:mailto:friend@mailb\r\n ox.test\r\nEND:X\r\n"
    assert _check(_part(content, "text/calendar")).body == content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner@<wbr>mailbox.test", "shop@alias.test<wbr>"),
        ("<i class=SpellE>owner</i>@<i>mailbox.test</i>", "<i class=SpellE>shop@alias.test</i><i></i>"),
        ("<td>me<td><i>owner</i>@mailbox.test<br>Regards", "<td>me<td><i>shop@alias.test</i><br>Regards"),
        ("<P><i>owner</i>@<i>mailbox.test</i>.</P>Regards", "<P><i>shop@alias.test</i><i></i>.</P>Regards"),
        ("&nbsp;own&shy;er@mail\xadbox\u200b.&#8203;test<br>", "&nbsp;shop@alias.test<br>"),
        ('<a href="mailto:owner@mailbox.test">ow<b>ner</b>@mailbox.test</a>',
         '<a href="mailto:shop@alias.test">shop@alias.test<b></b></a>'),
        ("owner@mailbox.test <b>owner</b>@mailbox.test <i>x</i> owner@mailbox.test",
         "shop@alias.test <b>shop@alias.test</b> <i>x</i> shop@alias.test"),
        ("fl<b>owner</b>@mailbox.test", "fl<b>owner</b>@mailbox.test"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text/html", "text/x-amp-html", "application/xhtml+xml"])
def test_what_readers_do_not_see_within_an_address(text: str, expected: str, kind: str) -> None:
    result = _check(_part(text.encode(), f"{kind}; charset=utf-8", "8bit"))
    assert result.body.decode() == expected
    assert result.unreplaceable == ()


def test_a_soft_hyphen_within_an_address_in_an_encoded_word() -> None:
    headers, _ = split(b"Subject: =?utf-8?q?owner=40mail=C2=ADbox=2Etest?=\r\n\r\n")
    (subject,) = check(headers, b"", _SECRETS).headers.fields
    assert subject.text == "shop@alias.test"


def test_a_soft_hyphen_within_an_address_in_plain_text() -> None:
    assert _check(_part("owner@mail\xadbox.test".encode(), encoding="8bit")).body == b"shop@alias.test"


def test_an_address_in_flowed_lines_from_which_the_blank_is_deleted() -> None:
    content = b"> https://x.test/?u=own \r\n> er%40mailbox.test&m \r\n> =1\r\n"
    result = _check(_part(content, "text/plain; format=flowed; DelSp=Yes"))
    assert result.body == b"> https://x.test/?u=shop%40alias.test&m \r\n> =1\r\n"
    assert _check(_part(content, "text/plain; format=flowed")).body == content


def test_letters_as_character_references_are_reported() -> None:
    result = _check(_part(b"&#111;wn<b>er</b>@mailbox.test", "text/html"))
    assert result.unreplaceable == (_again("text/html"),)


@pytest.mark.parametrize("kind", ["application/vnd.ms-outlook", "text/plain"])
def test_utf_16_that_nobody_declares_is_searched(kind: str) -> None:
    content = base64.encodebytes(b"\xd0\xcf" + "by owner@mailbox.test".encode("utf-16-le"))
    result = _check(_part(content, kind, "base64"))
    assert result.unreplaceable == (f"part 0 ({kind}): an address in something that isn't in its charset",)


@pytest.mark.parametrize("header", [b"", b"Comment: of mine\r\n"])
def test_an_address_in_a_key_is_reported(header: bytes) -> None:
    key = b"\x99\x01\x0d..\xb4\x1aMe <owner@mailbox.test>" * 3
    block = (
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n" + header + b"\r\n" + base64.encodebytes(key)
        + b"=njUN\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n"
    )  # fmt: skip
    result = _check(_part(block, "application/pgp-keys"))
    assert result.unreplaceable == (_again("application/pgp-keys"),)
    assert _check(_part(b"> " + block.replace(b"\n", b"\n> "))).unreplaceable


_KEY = base64.b64encode(b"\x99\x01\x0d..\xb4\x1aMe <Owner@Mailbox.test>" * 3)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", b"".join(b"<div>%s</div>\r\n" % _KEY[at : at + 64] for at in range(0, len(_KEY), 64))),
        ("text/html", b'<img src="data:x;base64,' + base64.b64encode(b"I am owner@mailbox.test") + b'">'),
        ("text/html", b"<td>to</td><td>&#111;wner@mailbox.test</td>"),
        ("text/html", b'<a href="mailto:&#x6f;wner@mailbox.test">me</a>'),
        ("text/html", b'<a href="https://x.test/?mailto=%256Fwner%2540mailbox.test">me</a>'),
        ("text/html", b'<a href="https://x.test/?u=https%3A//y.test/%3Fm=%25256Fwner%252540mailbox.test">me</a>'),
        ("application/octet-stream", b"<p>own<b>er</b>@mailbox.test</p>"),
        ("application/octet-stream", b'<a href="mailto:own&#x65;r@mailbox.test">'),
        ("text/vcard", b"KEY;ENCODING=b:" + b"\r\n ".join((_KEY[:60], _KEY[60:])) + b"\r\n"),
        ("text/x-vcard", b"EMAIL;ENCODING=QUOTED-PRINTABLE:owner=40mailbox=2Etest\r\n"),
        ("text/plain", b"https://x.test/?eid=" + base64.urlsafe_b64encode(b"\xff\xfe1 owner@mailbox.test")),
        ("text/plain", b"https://x.test/path/b" + base64.b64encode(b"~owner@mailbox.test").rstrip(b"=")),
        ("text/plain", b"> I am owner=40mailbox.test, owner@mail=\r\n> box.test\r\n"),
        ("text/plain", b"> =E2=80=9Cowner@mailbox.test=E2=80=9D\r\n"),
        ("text/plain", b"> a =3D b, by own=\r\n> er@mailbox.test\r\n"),
        ("text/plain", b"<SRS0=aBcD=EF=mailbox.test=owner@relay.test>"),
        ("text/plain", b"<SRS1=x=relay.test==aBcD=EF=mailbox.test=owner@other.test>"),
        ("text/rfc822-headers", b"From: =?utf-8?q?owner=40mailbox=2Etest?= <x@y.test>\r\n"),
        ("application/octet-stream", b"Subject: x\r\n\r\n" + base64.encodebytes(b"I am owner@mailbox.test")),
        ("application/pkcs7-mime", b"0\x80\0\x04&\r\n\r\n" + base64.encodebytes(b"I am owner@mailbox.test")),
        ("multipart/mixed", b"--b\r\n\r\n" + base64.encodebytes(b"owner@mailbox.test")),
        ("multipart/mixed", b"--b\r\n\r\n" + base64.encodebytes("owner@mailbox.test".encode("utf-16"))),
        ("application/octet-stream", b"Subject: =?utf-8?q?=6Fwner=40?= =?utf-8?q?mailbox=2Etest?=\r\n"),
        ("application/octet-stream", b"=3Cp>own=3Cb>er@mailbox.test=3C/b>=3C/p>"),
        ("text/plain", b"https://x.test/?" + base64.b64encode(base64.b64encode(b"I am owner@mailbox.test"))),
        ("text/plain", quopri.encodestring(base64.b64encode(b"I am he who is" * 3 + b" owner@mailbox.test"))),
        ("text/plain", b"begin 644 x.txt\n" + binascii.b2a_uu(b"I am owner@mailbox.test") + b"`\nend\n"),
    ],
)  # fmt: skip
def test_an_address_that_is_encoded_once_more_is_reported(kind: str, text: bytes) -> None:
    """Links of calendars, keys without armor, a quoted source, a structure that only others can read."""
    assert _check(_part(text, kind)).unreplaceable == (_again(kind),)
    other = text.replace(b"owner", b"other").replace(b"256F", b"255F").replace(b";wner", b";ther")
    if other != text:
        assert _check(_part(other, kind)).unreplaceable == ()


def test_a_key_in_the_header_of_an_attached_message_is_reported() -> None:
    autocrypt = b"Autocrypt: addr=owner@mailbox.test; keydata=\r\n " + b"\r\n ".join((_KEY[:70], _KEY[70:]))
    result = _check(_part(autocrypt + b"\r\n\r\nx", "message/rfc822"))
    assert result.unreplaceable == (_again("text/plain").replace("part 0", "part 1"),)


@pytest.mark.parametrize("where", ["subject", "alternative name"])
@pytest.mark.parametrize("local", ["o", "olive.owner", "o" * 35, "o" * 47, "Olive.Owner" * 5])
@pytest.mark.parametrize("pem", [False, True])
def test_an_address_in_a_certificate_is_reported(where: str, local: str, *, pem: bool) -> None:
    """Around it stand its length and the next tag, which often are letters or digits."""
    encoded = _certificate(f"{local}@mailbox.test", where, Encoding.PEM if pem else Encoding.DER)
    kind = "application/x-x509"
    data = _part(encoded, kind) if pem else _part(base64.encodebytes(encoded), kind, "base64")
    headers, body = split(data)
    for address, found in ((f"{local}@mailbox.test", True), (f"x{local}@mailbox.test", False)):
        assert bool(check(headers, body, {address.lower(): "shop@alias.test"}).unreplaceable) is found


def _certificate(address: str, where: str, encoding: Encoding) -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    attribute = x509.NameAttribute(NameOID.EMAIL_ADDRESS, address)
    name = x509.Name([attribute] if where == "subject" else [])
    now = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    if where != "subject":
        names = x509.SubjectAlternativeName([x509.RFC822Name(address)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, None).public_bytes(encoding)
