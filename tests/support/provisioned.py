"""Bare hosts, the operator's machine, and the world around them: where our plays are played.

with bare({"mx.host.test": "bookworm"}, folder) as lab:
    lab.control.inventory({"postmask_mx": {...}}, lab.hosts.values())
    lab.control.play("site.yml")
    lab.exchange("mx.host.test", lab.publish())
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import dkim_judges
from booted import Host, booted
from dkim_mail import rsa_key, stranger_signs
from network import network
from plays import Control
from postmask.auth.dkim import public_record
from trees import tree, wheel, wheelhouse
from world import World, outside

MX = "mx.host.test"
NO_OTHER_ROLES = {f"postmask_{role}_state": "absent" for role in ("dns", "spam", "backup")}
"""Variables. They are tested by themselves; and there is no root of the DNS that a resolver could ask."""

_PATIENCE = 300.0
_RECORD = re.compile(r"(\S+)\. IN TXT (.*)")


@dataclass(frozen=True, slots=True)
class Lab:
    """hosts: by their names."""

    hosts: Mapping[str, Host]
    control: Control
    world: World

    def publish(self) -> dict[str, str]:
        """Publish the zone fragment that the play wrote; returns its TXT records."""
        lines = (self.control.folder / "zones/alias.test.zone").read_text().splitlines()
        for line in lines:
            self.world.nameserver.record(line)
        found = [found for line in lines if (found := _RECORD.fullmatch(line))]
        return {record[1]: "".join(re.findall(r'"([^"]*)"', record[2])) for record in found}

    def exchange(self, mx: str, records: Mapping[str, str]) -> str:
        """A message from outside to the alias arrives and is signed; the answer goes back through the alias.

        Returns the contact's reverse alias.
        """
        world = self.world
        world.send(mx, "bob@example.com", ["shop@alias.test"], letter("bob@example.com", "shop@alias.test"))
        copy = world.received("you@real.test")
        assert dkim_judges.dkimpy(copy, records)
        contact = parseaddr(message_from_bytes(copy)["From"])[1]
        assert contact.endswith("@alias.test")
        self.answer(mx, contact, records)
        return contact

    def answer(self, mx: str, contact: str, records: Mapping[str, str]) -> None:
        """What the alias's owner writes to the reverse alias reaches the contact, and names no mailbox."""
        world = self.world
        world.nameserver.txt("s1._domainkey.real.test", public_record(rsa_key()))
        answer = stranger_signs(letter("you@real.test", contact, "Yes."), rsa_key(), domain="real.test")
        world.send(mx, "you@real.test", [contact], answer)
        reply = world.received("bob@example.com")
        assert dkim_judges.dkimpy(reply, records)
        assert parseaddr(message_from_bytes(reply)["From"])[1] == "shop@alias.test"
        assert b"real.test" not in reply

    def postmask(self, mx: str, *words: str) -> str:
        """What our command line on a mail exchanger says."""
        return self.hosts[mx].run("/opt/postmask/bin/postmask", *words).stdout

    def verdict(self, mx: str, recipient: str) -> int:
        """What a mail exchanger says to this recipient, three digits."""
        address = self.world.wire.address(mx)
        with (
            self.world.wire.inside("out"),
            smtplib.SMTP(address, 25, "out.test", timeout=_PATIENCE) as connection,
        ):
            connection.ehlo()
            connection.mail("bob@example.com")
            return connection.rcpt(recipient)[0]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Fails with what was waited for."""
    limit = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < limit, f"waited for {what}"
        time.sleep(0.5)


@contextlib.contextmanager
def bare(suites: Mapping[str, str], folder: Path, *others: str) -> Iterator[Lab]:
    """Bare hosts by their Debian's names, and further hosts on the wire that aren't booted."""
    trees = {name: tree(suite) for name, suite in suites.items()}
    with (
        network(*suites, "dns", "out", "control", *others) as wire,
        outside(wire) as world,
        contextlib.ExitStack() as ends,
    ):
        hosts = {
            name: ends.enter_context(booted(trees[name], wire, name, nameserver=wire.address("dns")))
            for name in suites
        }
        yield Lab(hosts, Control(wire, "control", folder), world)


@contextlib.contextmanager
def single(suite: str, folder: Path) -> Iterator[Lab]:
    """One bare host, MX, and an inventory for it."""
    variables = directory(suite, folder) | NO_OTHER_ROLES
    with bare({MX: suite}, folder) as made:
        made.control.inventory({"postmask_mx": {"hosts": {MX: {}}, "vars": variables}}, made.hosts.values())
        yield made


def directory(suite: str, folder: Path) -> dict[str, Any]:
    """Variables of mail exchangers with this Debian: our package, and an alias."""
    return {
        "postmask_mx_wheel": str(wheel(folder)),
        "postmask_mx_wheelhouse": str(wheelhouse(suite)),
        "postmask_mx_domains": [{"name": "alias.test", "postmaster": "you@real.test"}],
        "postmask_mx_mailboxes": [{"address": "you@real.test", "verified": True}],
        "postmask_mx_aliases": [{"address": "shop@alias.test", "to": ["you@real.test"]}],
    }


def letter(sender: str, recipient: str, text: str = "Hello!") -> bytes:
    """A message of this moment."""
    lines = (
        f"From: {sender}",
        f"To: {recipient}",
        "Subject: hello",
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}",
        f"Message-ID: <{time.monotonic_ns()}@{sender.partition('@')[2]}>",
        "",
        text,
        "",
    )
    return "\r\n".join(lines).encode()
