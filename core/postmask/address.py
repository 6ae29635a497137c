"""E-mail addresses: parsed, checked, brought to the one form that we store and compare.

An Address keeps the local part as it was written and the domain as lower-case A-labels. Its key is
the normal form: what the directory, the store and the tokens hold, and the only form that is ever
compared. `parse` is for addresses that people set up and is strict; `parse_loose` is for addresses
that came with mail, where Postfix has been tolerant before us.

DIAGNOSTICS
    AddressError says what is wrong with which address and what to do. Its text is fit for a
    terminal or a log: the address in it has gone through postmask.display.

STANDARDS
    RFC 5321 §4.1.2 (syntax), §4.5.3.1 (limits), RFC 6531 §3.3 (UTF-8 local parts), RFC 5890 to 5892
    and UTS #46 (IDN), RFC 5233 (detail).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

from postmask.display import BIDI, printable

LOCAL_LIMIT = 64
"""Octets of a local part, as sent (RFC 5321 §4.5.3.1.1)."""

DOMAIN_LIMIT = 253
"""Octets of a domain name in text form (RFC 1035 §2.3.4, less the length and root octets)."""

ADDRESS_LIMIT = 254
"""Octets of a whole address: a path of 256 without its angle brackets (RFC 5321 §4.5.3.1.3)."""

_INPUT_LIMIT = 1024
"""Characters looked at before anything costs more than a comparison."""

_ROUTE = re.compile(r"@[^:]*:")
_ATOM = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp", "Zs"})


class AddressError(ValueError):
    """Not an address that we could use; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One address.

    local:  the local part as written, without quotes and escapes.
    domain: lower-case A-labels, or an address literal in brackets.
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The normal form: two addresses are the same if, and only if, their keys are equal."""
        return f"{_fold(self.local)}@{self.domain}"

    def __str__(self) -> str:
        """The form for SMTP commands and header fields, quoted where it must be."""
        return f"{_quoted(self.local)}@{self.domain}"


def parse(text: str) -> Address:
    """The address that the text is, nothing around it: strict RFC 5321 and 6531. Raises AddressError.

    A trailing dot of the domain is dropped, as Postfix does. U-labels become A-labels. A leading hyphen
    is refused, as Postfix does (allow_min_user), to recipients and in re-injection.
    """
    local, domain = _split(text)
    if not local.startswith('"') and not _DOT_STRING.fullmatch(local):
        raise _error(
            text, "the local part has a character or a dot where none may stand; quote it or correct it"
        )
    address = Address(_unquote(text, local), _domain(text, domain))
    if address.local.startswith("-"):
        raise _error(text, "begins with a hyphen, and Postfix takes no such address; choose another")
    if len(_quoted(address.local).encode()) > LOCAL_LIMIT:
        raise _error(text, f"the part before @ has more than {LOCAL_LIMIT} octets; use a shorter one")
    return _within_limit(text, address)


@lru_cache(maxsize=1024)  # one message names the same few addresses again and again
def parse_loose(text: str) -> Address:
    """As parse, for addresses that came with mail. Raises AddressError.

    Also takes what Postfix takes and the world sends: dots anywhere, spaces and specials without
    quotes, a local part of more than 64 octets.
    """
    local, domain = _split(text)
    return _within_limit(text, Address(_unquote(text, local), _domain(text, domain)))


def key_of(text: str, otherwise: str) -> str:
    """The normal form of an address that came with mail; otherwise, where parse_loose takes none."""
    try:
        return parse_loose(text).key
    except AddressError:
        return otherwise


def quoted(address: str) -> str:
    """An address as Postfix itself keeps and tells it, without the quotes that SMTP needs, with them."""
    local, at, domain = address.rpartition("@")
    return str(Address(local, domain)) if at else address


def parse_domain(text: str) -> str:
    """The domain name as lower-case A-labels. Raises AddressError. Address literals aren't names."""
    if len(text) > _INPUT_LIMIT:
        raise _error(text, f"longer than {DOMAIN_LIMIT} octets")
    if text.startswith("["):
        raise _error(text, "an address literal is not a domain name; give the name")
    return _domain(text, text)


def without_route(path: str) -> str:
    """A path of MAIL or RCPT without its source route, "@relay.example:", which Postfix leaves out too
    (RFC 5321 appendix C)."""
    route = _ROUTE.match(path)
    return path[route.end() :] if route else path


def is_within(domain: str, upper: str) -> bool:
    """Whether the domain is the upper one or lies below it."""
    return domain == upper or domain.endswith(f".{upper}")


def split_detail(local: str) -> tuple[str, str | None]:
    """ "shop+x" -> ("shop", "x"); "shop" -> ("shop", None). A leading "+" begins no detail (RFC 5233)."""
    base, plus, detail = local.partition("+")
    if not plus or not base:
        return local, None
    return base, detail


def base_key(address: Address) -> str:
    """The address's normal form without its detail: what an alias is looked up by."""
    return Address(split_detail(address.local)[0], address.domain).key


def _split(text: str) -> tuple[str, str]:
    """Local part as written and domain, at the last "@"; what is no address at all is refused here."""
    if len(text) > _INPUT_LIMIT:
        raise _error(text, f"longer than {ADDRESS_LIMIT} octets")
    if not (text.isascii() and text.isprintable()):
        _refuse_unseen(text)
    if text.endswith(">"):
        raise _error(text, "give the address alone, without a name and angle brackets")
    local, at, domain = text.rpartition("@")
    if not at:
        raise _error(text, "there is no @; write user@domain")
    if not local:
        raise _error(text, "there is nothing before the @; write user@domain")
    return local, domain


def _refuse_unseen(text: str) -> None:
    """Raise for a character that can't be seen, or that turns the direction of writing."""
    for character in text:
        if character != " " and (unicodedata.category(character) in _REFUSED or character in BIDI):
            raise _error(
                text, f"contains the character U+{ord(character):04X}, which no address may; remove it"
            )


def _unquote(text: str, local: str) -> str:
    """The local part without quotes. One that is not a whole quoted string is taken as it stands."""
    quoted = _QUOTED_STRING.fullmatch(local)
    if quoted:
        local = re.sub(r"\\(.)", r"\1", quoted[1])
    elif local.startswith('"'):
        raise _error(text, "the quotes in the part before @ do not match; close them")
    if not local:
        raise _error(text, "there is nothing between the quotes; write user@domain")
    for character in local:
        if not character.isascii() and unicodedata.normalize("NFC", character).isascii():
            raise _error(text, f"U+{ord(character):04X} only looks like an ASCII character; write that one")
    return local


def _domain(text: str, domain: str) -> str:
    if domain.startswith("[") and domain.endswith("]"):
        return _literal(text, domain[1:-1])
    name = domain if domain.isascii() else _mapped(text, domain)
    name = name.lower().removesuffix(".")
    if not name:
        raise _error(text, "there is no domain; write it in full, like example.com")
    name = ".".join(_label(text, label) for label in name.split("."))
    if len(name) > DOMAIN_LIMIT:
        raise _error(text, f"the domain has more than {DOMAIN_LIMIT} octets")
    return name


def _mapped(text: str, domain: str) -> str:
    """UTS #46, non-transitional: case, width and the ideographic full stops."""
    try:
        return idna.uts46_remap(domain, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise _error(text, "the domain has a character that no domain name may have; correct it") from None


def _label(text: str, label: str) -> str:
    if not label.isascii():
        try:
            label = idna.alabel(label).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise _error(
                text, "the domain is not a valid international name; correct it or write it as xn--…"
            ) from None
    if not label:
        raise _error(text, "the domain has an empty label (two dots in a row, or one in front); correct it")
    if not _LABEL.fullmatch(label):
        raise _error(
            text,
            f'"{printable(label, 70)}" is no part of a domain: letters, digits, inner hyphens, 63 at most',
        )
    return label


def _literal(text: str, literal: str) -> str:
    """RFC 5321 §4.1.3, normalised: [192.0.2.1] or [IPv6:2001:db8::1]."""
    try:
        if literal[:5].lower() == "ipv6:" and "%" not in literal:
            return f"[IPv6:{ipaddress.IPv6Address(literal[5:])}]"
        return f"[{ipaddress.IPv4Address(literal)}]"
    except ValueError:
        raise _error(
            text, "the address literal is none; write it like [192.0.2.1] or [IPv6:2001:db8::1]"
        ) from None


def _within_limit(text: str, address: Address) -> Address:
    if len(str(address).encode()) > ADDRESS_LIMIT:
        raise _error(text, f"longer than {ADDRESS_LIMIT} octets")
    return address


def _quoted(local: str) -> str:
    if _DOT_STRING.fullmatch(local):
        return local
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'


def _fold(local: str) -> str:
    """Lower case, composed. What isn't ASCII never becomes ASCII.

    Full case folding turns the long s into s and the Kelvin sign into k: whoever registers such an
    address at the same provider would then be taken for the owner of the plain one.
    """
    if local.isascii():
        return local.lower()
    folded = "".join(map(_fold_character, unicodedata.normalize("NFD", local)))
    return unicodedata.normalize("NFC", folded)


def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    for folded in (character.casefold(), character.lower()):
        if not any(map(str.isascii, folded)):
            return folded
    return character


def _error(text: str, what: str) -> AddressError:
    return AddressError(f'"{printable(text, 80)}": {what}')
