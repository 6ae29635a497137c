"""Hypothesis strategies for messages: pieces of the world's and the hostile kind, put together at random."""

from __future__ import annotations

from hypothesis import strategies as st

from postmask.address import Address
from postmask.message.mailboxes import NamedAddress

_NAMES = st.sampled_from(
    [b"From", b"To", b"Cc", b"Reply-To", b"Subject", b"Message-ID", b"References", b"In-Reply-To", b"Sender",
     b"List-Unsubscribe", b"Content-Type", b"Content-Transfer-Encoding", b"Received", b"X-Postmask-Trace",
     b"Disposition-Notification-To", b"DATE", b"X", b"F\xc3\xbc", b"", b"From "]
)  # fmt: skip
_PIECES = st.sampled_from(
    [b"bob@example.com", b"<bob@example.com>", b"shop@alias.test", b"owner@mailbox.test"]
    + [b"owner&#64;mailbox.test", b"owner%40mailbox.test", b"+tag", b"%40", b"=40", b"=\r\n"]
    + [bytes([octet]) for octet in b"\"'\\()<>,;:@. \t\n\r\0\xff"]
    + [b"\r\n", b"\r\n ", b"=?utf-8?q?a=22=C3=B6?=", b"=?utf-8?b?w7Y=?=", b"=?x?q?", b"?="]
    + [b"mailto:", b"<mailto:a@b.c?to=d@e.f>", b"<a@b.c>", b"\xc3\xa4", b"\xe2\x80\xae", b"x" * 1100]
    + [b"multipart/mixed; boundary=b", b"message/rfc822", b"text/html", b"--b", b"--b--"]
    + [b"base64", b"quoted-printable", b"b3duZXJAbWFpbGJveC50ZXN0"]
)

values = st.lists(st.one_of(_PIECES, st.binary(max_size=8)), max_size=14).map(b"".join)
"""A field's value, or any other run of octets."""

fields = st.builds(lambda name, value: name + b": " + value + b"\r\n", _NAMES, values)

_parts = st.builds(
    lambda head, body: b"--b\r\n" + b"".join(head) + b"\r\n" + body + b"\r\n", st.lists(fields), values
)

bodies = st.one_of(values, st.lists(_parts, max_size=4).map(b"".join))

messages = st.one_of(
    st.builds(lambda head, blank, body: b"".join(head) + blank + body, st.lists(fields, max_size=12),
              st.sampled_from([b"\r\n", b"", b"\n"]), bodies),
    st.binary(max_size=200),
)  # fmt: skip
"""A whole message, broken or not."""

_ATOM = st.text(st.characters(whitelist_categories=("Ll", "Nd"), max_codepoint=127), min_size=1, max_size=12)

addresses = st.builds(
    Address,
    st.one_of(_ATOM, st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)),
    _ATOM.map(lambda label: f"{label}.example"),
)

names = st.text(max_size=60)

named = st.builds(NamedAddress, st.one_of(st.none(), names), addresses)
