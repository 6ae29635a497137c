"""What must be known of a recipient before anything is decided, and the asking for it.

gather() asks the directory in the order in which the answers matter and no further than needed:
a domain that isn't ours costs no alias look-up, a reserved local part is settled by its MAC first.

DIAGNOSTICS
    gather() raises nothing of its own; look-ups that failed stand in the facts as Unavailable.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmask.address import Address, key_of, split_detail
from postmask.directory.lookup import ABSENT, Absent, Found, Lookup, Unavailable
from postmask.directory.records import Alias, Directory, Domain, ReverseAlias, SenderRule
from postmask.keys import Keyring
from postmask.tokens import Reserved, Reverse, read


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recipient.

    domain:     our domain of exactly this name.
    subdomain:  the name lies below a domain of ours but isn't one itself.
    drained:    this node takes no mail for us now. Nothing below is looked up then.
    reserved:   what the local part is by its form and MAC; None: an ordinary one.
    reverse:    for a reverse alias whose MAC is right.
    alias:      for an ordinary local part, with or without detail.
    detail:     what follows the "+", None without one, or when the alias was found with it.
    rule:       the block that matches the envelope sender.
    over:       which rate is reached, where they are asked for; "" none.
    """

    domain: Lookup[Domain]
    subdomain: bool = False
    drained: bool = False
    reserved: Reserved | None = None
    reverse: Lookup[ReverseAlias] = ABSENT
    alias: Lookup[Alias] = ABSENT
    detail: str | None = None
    rule: Lookup[SenderRule] = ABSENT
    over: str = ""

    @property
    def alias_behind(self) -> Alias | None:
        """The alias that the recipient is, or is a reverse alias of; None also where nobody can say."""
        if isinstance(self.reverse, Found):
            return self.reverse.value.alias
        return self.alias.value if isinstance(self.alias, Found) else None


def gather(
    directory: Directory,
    keys: Keyring,
    today: int,
    recipient: Address,
    sender: str,
    *,
    drained: bool = False,
    below: bool = True,
) -> Facts:
    """Ask for what is needed to decide on one recipient.

    today: days since the epoch, for the age of bounce addresses. sender: the envelope sender as given,
    "" for the null sender. drained: this node takes no mail for us now. below: whether it matters that a
    name lies below a domain of ours.
    """
    domain = directory.domain(recipient.domain)
    if isinstance(domain, Absent):
        return Facts(domain, subdomain=below and _below_ours(directory, recipient.domain))
    if isinstance(domain, Unavailable):
        return Facts(domain)
    if drained:
        return Facts(domain, drained=True)
    reserved = read(keys, recipient.local, today)
    if isinstance(reserved, Reverse):
        return Facts(domain, reserved=reserved, reverse=directory.reverse_alias(reserved.token))
    if reserved is not None:
        return Facts(domain, reserved=reserved)
    alias, detail = find_alias(directory, recipient)
    known = alias.value if isinstance(alias, Found) else None
    if not sender or isinstance(alias, Unavailable):
        return Facts(domain, alias=alias, detail=detail)
    # What can't be parsed is compared as it came, with "?" for octets that no database could be asked for.
    key = key_of(sender, sender.casefold().encode("utf-8", "replace").decode("utf-8"))
    rule = directory.sender_rule(key, known, domain.value)
    return Facts(domain, alias=alias, detail=detail, rule=rule)


def find_alias(directory: Directory, recipient: Address) -> tuple[Lookup[Alias], str | None]:
    """The alias that a recipient names, and the detail that was cut off to find it."""
    alias = directory.alias(recipient.key)
    local, detail = split_detail(recipient.local)
    if isinstance(alias, Found | Unavailable) or detail is None:
        return alias, None
    return directory.alias(Address(local, recipient.domain).key), detail


def _below_ours(directory: Directory, name: str) -> bool:
    """True if a parent of this name, of at least two labels, is a domain of ours."""
    labels = name.split(".")
    parents = (".".join(labels[i:]) for i in range(1, len(labels) - 1))
    return any(isinstance(directory.domain(parent), Found) for parent in parents)
