"""The rules of the spam check for an alias: the node's, and what is set for it, its account and its domain.

DIAGNOSTICS
    UnknownNowError: the directory can't say what is set; the caller defers.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmask.alias.sifting import SpamRules, effective, policies_of
from postmask.directory.lookup import Unavailable, UnknownNowError
from postmask.directory.records import Alias, Directory


@dataclass(frozen=True, slots=True)
class RuleBook:
    """Shared by threads. node: what counts where nothing is set."""

    directory: Directory
    node: SpamRules

    def rules(self, alias: Alias) -> SpamRules:
        """What counts for the alias. Raises UnknownNowError."""
        found = policies_of(self.directory, alias)
        if isinstance(found, Unavailable):
            raise UnknownNowError(found.reason)
        return effective(self.node, found)
