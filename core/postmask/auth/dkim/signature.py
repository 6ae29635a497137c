"""A DKIM-Signature field, read and checked before anything is looked up.

DIAGNOSTICS
    SignatureError: the field is no signature that could ever verify, and why.

STANDARDS
    RFC 6376 §3.5 (tags), §6.1.1 (what makes a signature invalid), RFC 8301 §3.1 (no SHA-1),
    RFC 8616 (internationalised domains).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postmask.address import AddressError, is_within, parse_domain
from postmask.auth.dkim.canonical import Form
from postmask.auth.dkim.keys import Algorithm
from postmask.auth.dkim.record import TagListError, decode_base64, parse_tags
from postmask.clock import DAY
from postmask.message.headers import Field

_FIELD_LIMIT = 102_400
"""Octets: what Postfix lets one field have (header_size_limit)."""

_CLOCK_SLACK = DAY
"""Seconds by which a signer's clock may be ahead of ours."""

_NUMBER = re.compile(r"\d{1,12}")
_LENGTH = re.compile(r"\d{1,76}")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,199}[A-Za-z0-9_])?")
_ALGORITHMS = {"rsa-sha256": Algorithm.RSA, "ed25519-sha256": Algorithm.ED25519}
_NEEDED = ("v", "a", "b", "bh", "d", "h", "s")


class SignatureError(ValueError):
    """The signature is invalid whatever the key is."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The tags of one field.

    names:  h= in lower case, in order, with repetitions (over-signing).
    length: l=, None without it. at, expires: t= and x=, seconds since the epoch.
    name, value: the field's own, the value with its b= emptied (RFC 6376 §3.7).
    """

    domain: str
    selector: str
    algorithm: Algorithm
    signature: bytes
    body_hash: bytes
    names: tuple[str, ...]
    header_form: Form
    body_form: Form
    length: int | None
    at: int | None
    expires: int | None
    identity_domain: str
    name: bytes
    value: bytes

    @property
    def record_name(self) -> str:
        """Where the key is published."""
        return f"{self.selector}._domainkey.{self.domain}"

    def check_time(self, now: float) -> None:
        """Raises SignatureError when it has expired or was made in the future."""
        if self.expires is not None and self.expires < now:
            raise SignatureError("the signature has expired")
        if self.at is not None and self.at > now + _CLOCK_SLACK:
            raise SignatureError("the signature is dated in the future")


def parse_signature(field: Field) -> Signature:
    """The signature in a DKIM-Signature field. Raises SignatureError."""
    name, _, value = field.raw.partition(b":")
    tags = _tags(value)
    domain = _domain(tags["d"])
    header_form, body_form = _forms(tags.get("c", "simple/simple"))
    return Signature(
        domain=domain,
        selector=_selector(tags["s"]),
        algorithm=_algorithm(tags["a"]),
        signature=_base64(tags, "b"),
        body_hash=_base64(tags, "bh"),
        names=_names(tags["h"]),
        header_form=header_form,
        body_form=body_form,
        length=_number(tags, "l", _LENGTH),
        at=_number(tags, "t", _NUMBER),
        expires=_number(tags, "x", _NUMBER),
        identity_domain=_identity_domain(tags.get("i"), domain),
        name=name,
        value=_without_signature(value),
    )


def _tags(value: bytes) -> dict[str, str]:
    if len(value) > _FIELD_LIMIT:
        raise SignatureError("the field is too long")
    try:
        tags = parse_tags(value.decode("utf-8"))
    except (TagListError, UnicodeDecodeError) as error:
        raise SignatureError("the field is no list of tags") from error
    missing = [tag for tag in _NEEDED if not tags.get(tag)]
    if missing:
        raise SignatureError(f"{missing[0]}= is missing")
    if tags["v"] != "1":
        raise SignatureError("v= is not 1")
    if "dns/txt" not in [method.strip(" \t\r\n") for method in tags.get("q", "dns/txt").split(":")]:
        raise SignatureError("q= names no method that is known")
    return tags


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except AddressError as error:
        raise SignatureError("d= is no domain") from error


def _selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise SignatureError("s= is no selector")
    return text.lower()


def _algorithm(text: str) -> Algorithm:
    if text not in _ALGORITHMS:
        raise SignatureError("a= is unknown or no longer safe")
    return _ALGORITHMS[text]


def _forms(text: str) -> tuple[Form, Form]:
    header, slash, body = text.partition("/")
    try:
        return Form(header), Form(body if slash else "simple")
    except ValueError as error:
        raise SignatureError("c= is unknown") from error


def _base64(tags: dict[str, str], tag: str) -> bytes:
    data = decode_base64(tags[tag])
    if not data:
        raise SignatureError(f"{tag}= is no base64")
    return data


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip(" \t\r\n").lower() for name in text.split(":"))
    if "from" not in names:
        raise SignatureError("From is not signed")
    return names


def _number(tags: dict[str, str], tag: str, pattern: re.Pattern[str]) -> int | None:
    text = tags.get(tag)
    if text is None:
        return None
    if not text.isascii() or not pattern.fullmatch(text):
        raise SignatureError(f"{tag}= is no number")
    return int(text)


def _identity_domain(identity: str | None, domain: str) -> str:
    """The domain of i=: d= or one below it."""
    if identity is None:
        return domain
    named = _domain(identity.rpartition("@")[2])
    if not is_within(named, domain):
        raise SignatureError("i= is of another domain than d=")
    return named


def _without_signature(value: bytes) -> bytes:
    """The field's value with nothing between "b=" and the next tag (or the field's end)."""
    specs = value.split(b";")
    for index, spec in enumerate(specs):
        name, _, _ = spec.partition(b"=")
        if name.strip(b" \t\r\n") == b"b":
            specs[index] = name + b"="
    return b";".join(specs)
