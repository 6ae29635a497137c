"""What the author of a message, the address in From, has coming: blocks, and what DMARC asks for.

The scan milter judges likewise at the end of the message (postmask.alias.content); what went past it,
or could not be refused there for the other recipients' sake, is judged here.

DIAGNOSTICS
    As in postmask.alias.content. UnknownNowError: the directory can't say whether the author is blocked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmask.address import key_of
from postmask.alias.content import forged, suspect
from postmask.alias.rcpt import blocked
from postmask.auth.forwarders import TrustedForwarders
from postmask.auth.networks import Network, is_own
from postmask.authentication import Authentication
from postmask.directory.lookup import known
from postmask.directory.records import Alias, Directory, Domain
from postmask.verdict import Verdict, deliver
from postmask_transport.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Authors:
    """Judges authors. Shared by threads.

    own_networks: clients of the site's own, who aren't asked for DMARC. trusted: who may break it.
    """

    directory: Directory
    own_networks: Sequence[Network]
    trusted: TrustedForwarders

    def judge(
        self, incoming: Incoming, alias: Alias, domain: Domain, author: str, found: Authentication | None
    ) -> Verdict:
        """To be delivered, unless something is said. author: as a key, "" without one; found: None where
        nobody was asked. Raises UnknownNowError."""
        # A block of the envelope sender has acted already.
        sender = incoming.envelope.sender
        if author and author != key_of(sender, sender):
            rule = known(self.directory.sender_rule(author, alias, domain))
            if rule is not None:
                return blocked(rule)
        if found is None:
            return deliver()
        return forged(found, excused=self._excuses(incoming, found)) or deliver()

    def quarantined(self, incoming: Incoming, found: Authentication | None) -> bool:
        """Whether the author's domain asks for quarantine. found: likewise."""
        return found is not None and suspect(found, excused=self._excuses(incoming, found))

    def _excuses(self, incoming: Incoming, found: Authentication) -> bool:
        client = incoming.envelope.client.address
        return is_own(client, self.own_networks) or self.trusted.brought(client or "", found)
