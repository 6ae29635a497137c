"""Whether this node's master secrets are those by which the other nodes work. Pure.

What was made with them lies in the database, sealed keys and reverse aliases, and either holds against
ours or doesn't; also what a node made that says no more. And each node says by a fingerprint which it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmask import tokens
from postmask.auth.dkim.keys import UnreadableKeyError
from postmask.auth.dkim.storage import open_key
from postmask.directory.records import DkimKey
from postmask.doctor.finding import Finding
from postmask.doctor.node import SECRETS, SECRETS_DIFFER, SECRETS_UNSAID, SECRETS_WAITING
from postmask.keys import Keyring


@dataclass(frozen=True, slots=True)
class Made:
    """What secrets made. reverse: tokens of reverse aliases in use. sealed: domains' signing keys."""

    reverse: Sequence[str]
    sealed: Sequence[DkimKey]


@dataclass(frozen=True, slots=True)
class Said:
    """Fingerprints. file: of this node's file. here: of what its programs work with, None if that isn't
    known. others: of the other nodes, by name, likewise."""

    file: str
    here: str | None
    others: Mapping[str, str | None]


def compare(said: Said) -> Iterator[Finding]:
    """Where nodes don't work by the same secrets. Which of two is right, nobody can say."""
    ours = said.here or said.file
    if ours != said.file:
        yield SECRETS_WAITING.at("keys.file", f"they work with {ours}, in the file are {said.file}")
    for name, theirs in said.others.items():
        if theirs is None:
            yield SECRETS_UNSAID.at(name, f"{name} hasn't said yet with which master secrets it works")
        elif theirs != ours:
            yield SECRETS_DIFFER.at(name, f"{name} works with {theirs}, this node with {ours}")


def lint(keys: Keyring, made: Made) -> Iterator[Finding]:
    """What doesn't hold against these secrets."""
    for record in made.sealed:
        try:
            open_key(keys, record)
        except UnreadableKeyError as trouble:
            yield SECRETS.at(f"{record.selector}._domainkey.{record.domain}", str(trouble))
    forged = [token for token in made.reverse if not _holds(keys, token)]
    if forged:
        what = (
            f"{len(forged)} of the newest {len(made.reverse)} contacts have a reverse alias of other secrets"
        )
        yield SECRETS.at("reverse aliases", what)


def _holds(keys: Keyring, token: str) -> bool:
    return isinstance(tokens.read(keys, f"contact.{token}", 0), tokens.Reverse)
