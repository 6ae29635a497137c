"""What of a site's isn't in the way of attaching, but a person who attaches should know. Pure.

STANDARDS
    postconf(5) soft_bounce.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.services import listed
from postmask_postfix.attachment.site import Site


def notices(site: Site, current: Configuration, relayed: Sequence[str]) -> Iterator[str]:
    """Each with what to do about it. relayed: domains of ours that the host itself relays."""
    own = [(one.name, one.override("soft_bounce")) for one in listed(files.master_cf(current.master))]
    soft = [name for name, value in own if value == "yes"]
    if site.values["soft_bounce"] == "yes":
        soft.insert(0, "main.cf")
    if soft:
        yield (
            f"soft_bounce is on ({', '.join(soft)}): what Postmask refuses is answered 4xx, so that senders "
            "try unknown aliases for days and nobody learns of it; set soft_bounce = no when you are done "
            "with testing"
        )
    if relayed:
        yield (
            f"relay_domains has {', '.join(relayed)} besides: where that mail went (another server, mailing "
            "lists) none goes any more, and what isn't an alias is refused; take it out there, or use a "
            "subdomain for aliases"
        )
