"""What has to be known of a Postfix before Postmask is attached to it.

DIAGNOSTICS
    PostfixError: there is no Postfix, or its configuration can't be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix import commands, render
from postmask_postfix.attachment.entries import main_cf
from postmask_postfix.attachment.plan import Configuration

OWN_DOMAINS = ("mydestination", "virtual_mailbox_domains", "virtual_alias_domains")
"""The parameters that list domains in which the host has mailboxes or aliases of its own."""

REWRITING = ("virtual_alias_maps", "canonical_maps", "recipient_canonical_maps")
"""The tables that may send an address elsewhere before its transport is looked up."""

_WANTED = (
    "mail_version",
    "compatibility_level",
    "queue_directory",
    "message_size_limit",
    "inet_interfaces",
    "inet_protocols",
    "smtpd_tls_wrappermode",
    "smtpd_upstream_proxy_protocol",
    "postscreen_upstream_proxy_protocol",
    "master_service_disable",
    "soft_bounce",
    "masquerade_domains",
    "masquerade_classes",
    "relay_domains",
    *OWN_DOMAINS,
    *REWRITING,
)


@dataclass(frozen=True, slots=True)
class Site:
    """One Postfix. values: the parameters above, with what they refer to filled in."""

    config_dir: Path
    values: Mapping[str, str]

    @property
    def queue(self) -> Path:
        return Path(self.values["queue_directory"])

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor, of a release or a snapshot."""
        found = re.match(r"(\d+)\.(\d+)", self.values["mail_version"])
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def chroots(self) -> bool:
        """What `-` in the chroot column of master.cf means (master(5))."""
        found = re.match(r"\d+", self.values["compatibility_level"])
        return not found or int(found[0]) < 1


def read(config_dir: Path) -> Site:
    """Ask Postfix."""
    return Site(config_dir, commands.values(config_dir, *_WANTED))


def defaults(config_dir: Path, current: Configuration) -> dict[str, str]:
    """What those of our lists that main.cf doesn't mention hold all the same, as it would stand there."""
    mentioned = {entry.name for entry in main_cf(current.main)}
    absent = [parameter.name for parameter in render.LISTS if parameter.name not in mentioned]
    if not absent:
        return {}
    in_force = commands.values(config_dir, *absent)
    return {
        name: commands.run("postconf", "-c", str(config_dir), "-dh", name).strip()
        for name in absent
        if in_force[name]
    }
