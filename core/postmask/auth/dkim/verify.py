"""Verifies DKIM signatures of messages that anybody may have written.

Bounded in every direction: ten signatures, the topmost ones; keys of 1024 to 4096 bits; one deadline
over look-ups and hashing; time linear in the message's size. Not dkimpy, whose patterns take
quadratic time on input made for it.

DIAGNOSTICS
    A DkimResult for each signature. `reason` says why it didn't pass; `temporary` is True where
    asking again may help: DNS didn't answer, or the time was up.

STANDARDS
    RFC 6376 §6 (verifying), §5.4.2 (fields are taken from the bottom), RFC 8301, RFC 8463.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from postmask.auth.dkim.canonical import (
    Form,
    OutOfTimeError,
    canonical_field,
    canonical_signature,
    hash_bodies,
)
from postmask.auth.dkim.record import KeyRecordError, PublicKey, parse_record
from postmask.auth.dkim.signature import Signature, SignatureError, parse_signature
from postmask.authentication import DkimResult
from postmask.clock import Deadline
from postmask.directory.lookup import Absent, Lookup, Unavailable
from postmask.message.headers import Field, Headers

MOST_SIGNATURES = 10

TxtLookup: TypeAlias = Callable[[str, Deadline], Lookup[tuple[bytes, ...]]]
"""The TXT records of a name, each with its strings joined."""


class _NotVerifiedError(Exception):
    """Ends the work on one signature."""

    def __init__(self, reason: str, *, temporary: bool = False, key_bits: int = 0) -> None:
        super().__init__(reason)
        self.temporary = temporary
        self.key_bits = key_bits


def verify(
    headers: Headers,
    body: bytes,
    txt: TxtLookup,
    deadline: Deadline,
    now: float,
    first: Callable[[str], bool] = lambda _: True,
) -> tuple[DkimResult, ...]:
    """What the topmost ten signatures of a message are worth, in their order.

    headers, body: with CRLF line ends, as they came. now: seconds since the epoch. first: whether
    signatures of that domain matter most, and are seen to before the others use up the time.
    """
    return _Verifier(headers, body, txt, deadline, now).results(first)


class _Verifier:
    """One message. Keys and body hashes are got once, whatever number of signatures use them."""

    def __init__(self, headers: Headers, body: bytes, txt: TxtLookup, deadline: Deadline, now: float) -> None:
        self._headers = headers
        self._body = body
        self._txt = txt
        self._deadline = deadline
        self._now = now
        self._answers: dict[str, Lookup[tuple[bytes, ...]]] = {}
        self._lengths: dict[Form, set[int | None]] = defaultdict(set)
        self._hashes: dict[Form, dict[int | None, bytes | None]] = {}
        self._fields: dict[str, list[Field]] = defaultdict(list)
        for field in headers.fields:
            self._fields[field.key.decode("ascii")].append(field)

    def results(self, first: Callable[[str], bool]) -> tuple[DkimResult, ...]:
        read = [_read(field) for field in self._headers.get_all("dkim-signature")[:MOST_SIGNATURES]]
        for signature in read:
            if isinstance(signature, Signature):
                self._lengths[signature.body_form].add(signature.length)
        found = [DkimResult(reason=fault) if isinstance(fault, str) else None for fault in read]
        sound = [(place, one) for place, one in enumerate(read) if isinstance(one, Signature)]
        for place, signature in sorted(sound, key=lambda entry: not first(entry[1].domain)):
            found[place] = self._judged(signature)
        return tuple(one for one in found if one)

    def _judged(self, signature: Signature) -> DkimResult:
        try:
            key_bits = self._verified_by(signature).bits
        except _NotVerifiedError as failure:
            return _result(signature, failure.key_bits, str(failure), temporary=failure.temporary)
        return _result(signature, key_bits, "", passed=True)

    def _verified_by(self, signature: Signature) -> PublicKey:
        """The key by which the signature is good. Raises _NotVerifiedError."""
        try:
            signature.check_time(self._now)
        except SignatureError as error:
            raise _NotVerifiedError(str(error)) from error
        key = self._key(signature)
        if key.algorithm is not signature.algorithm:
            raise _NotVerifiedError("the key is of another kind than the signature", key_bits=key.bits)
        if key.strict and signature.identity_domain != signature.domain:
            raise _NotVerifiedError("the key is not for subdomains", key_bits=key.bits)
        if self._body_hash(signature) != signature.body_hash:
            raise _NotVerifiedError("the body was changed", key_bits=key.bits)
        if not key.verifies(signature.signature, self._signed_octets(signature)):
            raise _NotVerifiedError("the header was changed, or the key is another one", key_bits=key.bits)
        return key

    def _key(self, signature: Signature) -> PublicKey:
        """The first usable one among the records: where there are several, the result is undefined."""
        name = signature.record_name
        if name not in self._answers:
            self._answers[name] = self._txt(name, self._deadline)
        answer = self._answers[name]
        if isinstance(answer, Unavailable):
            raise _NotVerifiedError(f"the key can't be looked up: {answer.reason}", temporary=True)
        reason = "there is no key"
        for value in () if isinstance(answer, Absent) else answer.value[:MOST_SIGNATURES]:
            try:
                return parse_record(value)
            except KeyRecordError as error:
                reason = str(error)
        raise _NotVerifiedError(reason)

    def _body_hash(self, signature: Signature) -> bytes | None:
        form = signature.body_form
        if form not in self._hashes:
            try:
                self._hashes[form] = hash_bodies(self._body, form, self._lengths[form], self._deadline)
            except OutOfTimeError as error:
                raise _NotVerifiedError("out of time", temporary=True) from error
        return self._hashes[form][signature.length]

    def _signed_octets(self, signature: Signature) -> bytes:
        """The fields that h= names, from the bottom up, then the signature's own field."""
        form = signature.header_form
        chosen = [canonical_field(field, form) for field in self._chosen(signature.names)]
        return b"".join(chosen) + canonical_signature(signature.name, signature.value, form)

    def _chosen(self, names: Sequence[str]) -> Iterable[Field]:
        """A name given more often than the field occurs stands for nothing: that is over-signing."""
        left = {name: len(self._fields.get(name, ())) for name in set(names)}
        for name in names:
            left[name] -= 1
            if left[name] >= 0:
                yield self._fields[name][left[name]]


def _read(field: Field) -> Signature | str:
    """The signature, or why the field is none."""
    try:
        return parse_signature(field)
    except SignatureError as error:
        return str(error)


def _result(
    signature: Signature, key_bits: int, reason: str, *, passed: bool = False, temporary: bool = False
) -> DkimResult:
    return DkimResult(
        domain=signature.domain,
        selector=signature.selector,
        passed=passed,
        temporary=temporary,
        signed=signature.names,
        has_length=signature.length is not None,
        algorithm=signature.algorithm,
        key_bits=key_bits,
        b=signature.signature,
        at=signature.at,
        expires=signature.expires,
        reason=reason,
    )
