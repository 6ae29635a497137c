"""The DNS questions about one thing, and which of them nobody answered.

What a stranger's DNS says is shown by `shown` alone: printable ASCII, and not much of it.

DIAGNOSTICS
    None instead of a value: nobody answered. That is noted in `unanswered`, for one finding about all of
    them; whoever asked goes on without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from postmask.clock import Deadline
from postmask.directory.lookup import Found, Lookup, Unavailable

if TYPE_CHECKING:
    from postmask.auth.dns import Dns

T = TypeVar("T")

_SHOWN = 120
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Inquiry:
    """dns, deadline: for whoever asks by himself, who then notes what failed."""

    def __init__(self, dns: Dns, deadline: Deadline) -> None:
        self.dns = dns
        self.deadline = deadline
        self._unanswered: dict[str, str] = {}

    @property
    def unanswered(self) -> str:
        """What nobody answered and why; "" if all was answered."""
        return "; ".join(f"{question}: {reason}" for question, reason in self._unanswered.items())

    def note(self, question: str, reason: str) -> None:
        """Nobody answered it."""
        self._unanswered.setdefault(question, reason)

    def texts(self, name: str) -> tuple[bytes, ...] | None:
        """The TXT values of a name."""
        return self._known(f"{name} TXT", self.dns.txt(name, self.deadline), ())

    def exchanges(self, name: str) -> tuple[tuple[int, str], ...] | None:
        """The MX records, as (preference, host), best first."""
        return self._known(f"{name} MX", self.dns.exchanges(name, self.deadline), ())

    def hosts(self, name: str) -> tuple[str, ...] | None:
        """The IPv4 addresses of a name."""
        return self._known(f"{name} A", self.dns.addresses(name, self.deadline), ())

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """The addresses of a name, of IPv4 and of IPv6."""
        old = self.hosts(name)
        new = self._known(f"{name} AAAA", self.dns.addresses(name, self.deadline, ipv6=True), ())
        return None if old is None or new is None else (*old, *new)

    def names(self, address: str) -> tuple[str, ...] | None:
        """The names of an IP address."""
        return self._known(f"{address} PTR", self.dns.names(address, self.deadline), ())

    def alias(self, name: str) -> str | None:
        """What the name is another name of; "" for none."""
        return self._known(f"{name} CNAME", self.dns.alias(name, self.deadline), "")

    def _known(self, question: str, answer: Lookup[T], absent: T) -> T | None:
        if isinstance(answer, Unavailable):
            self.note(question, answer.reason)
            return None
        return answer.value if isinstance(answer, Found) else absent


def named(published: Sequence[tuple[int, str]]) -> list[str]:
    """The hosts of MX records, in lower case, without that of a null MX."""
    return [host.lower() for _, host in published if host not in ("", ".")]


def shown(value: bytes | str) -> str:
    """A stranger's text, fit for a terminal: printable ASCII, cut where it is long."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    cut = text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
    return _UNPRINTABLE.sub("?", cut[:_SHOWN]) + cut[_SHOWN:]


def silence(dns: Dns, name: str, deadline: Deadline) -> str:
    """Why the DNS as a whole doesn't answer; "" if it does.

    The root is asked for first, which every resolver has at hand, but one for inside names alone: for that
    one, name is one of ours.
    """
    root = dns.exists(".", deadline)
    if not isinstance(root, Unavailable):
        return ""
    return root.reason if isinstance(dns.exists(name, deadline), Unavailable) else ""
