"""One machine: a bare Debian becomes an alias service by one command, and the second changes nothing."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path

import pytest

import dkim_judges
from booted import Host, booted
from dkim_mail import rsa_key, stranger_signs
from network import network
from plays import Control
from postmask.auth.dkim import public_record
from trees import SUITES, tree, wheel, wheelhouse
from world import World, outside

MX = "mx.host.test"
PROGRAMS = ("postmask-agent", "postmask-forwarder", "postmask-milter-alias", "postmask-milter-scan")
_RECORD = re.compile(r"(\S+)\. IN TXT (.*)")


@dataclass(frozen=True, slots=True)
class Lab:
    """A bare host, the operator's machine with an inventory for it, and the world."""

    host: Host
    control: Control
    world: World

    def publish(self) -> dict[str, str]:
        """Publish the zone fragment that the play wrote; returns its TXT records."""
        lines = (self.control.folder / "zones/alias.test.zone").read_text().splitlines()
        for line in lines:
            self.world.nameserver.record(line)
        found = [found for line in lines if (found := _RECORD.fullmatch(line))]
        return {record[1]: "".join(re.findall(r'"([^"]*)"', record[2])) for record in found}

    def files(self) -> dict[str, bytes]:
        """What is in /etc/postfix."""
        root = self.host.path("etc/postfix")
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }


@contextlib.contextmanager
def lab(suite: str, folder: Path) -> Iterator[Lab]:
    variables = {
        "postmask_mx_wheel": str(wheel(folder)),
        "postmask_mx_wheelhouse": str(wheelhouse(suite)),
        "postmask_mx_domains": [{"name": "alias.test", "postmaster": "you@real.test"}],
        "postmask_mx_mailboxes": [{"address": "you@real.test", "verified": True}],
        "postmask_mx_aliases": [{"address": "shop@alias.test", "to": ["you@real.test"]}],
    }
    # Tested by themselves; and there is no root of the DNS here that a resolver could ask.
    variables |= {f"postmask_{role}_state": "absent" for role in ("dns", "spam", "backup")}
    bare = tree(suite)
    with (
        network(MX, "dns", "out", "control") as wire,
        outside(wire) as world,
        booted(bare, wire, MX, nameserver=wire.address("dns")) as host,
    ):
        control = Control(wire, "control", folder)
        control.inventory({"postmask_mx": {"hosts": {MX: {}}, "vars": variables}}, [host])
        yield Lab(host, control, world)


def letter(sender: str, recipient: str, text: str = "Hello!") -> bytes:
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


def exchange(there: Lab, records: dict[str, str]) -> None:
    """A message from outside to the alias arrives and is signed; the answer goes back through the alias."""
    world = there.world
    world.send(MX, "bob@example.com", ["shop@alias.test"], letter("bob@example.com", "shop@alias.test"))
    copy = world.received("you@real.test")
    assert dkim_judges.dkimpy(copy, records)
    contact = parseaddr(message_from_bytes(copy)["From"])[1]
    assert contact.endswith("@alias.test")
    world.nameserver.txt("s1._domainkey.real.test", public_record(rsa_key()))
    answer = stranger_signs(letter("you@real.test", contact, "Yes."), rsa_key(), domain="real.test")
    world.send(MX, "you@real.test", [contact], answer)
    reply = world.received("bob@example.com")
    assert dkim_judges.dkimpy(reply, records)
    assert parseaddr(message_from_bytes(reply)["From"])[1] == "shop@alias.test"
    assert b"real.test" not in reply


@pytest.mark.parametrize("suite", SUITES)
def test_a_bare_host(suite: str, tmp_path: Path) -> None:
    with lab(suite, tmp_path) as there:
        assert there.control.play("site.yml", "--check", "--diff").changed[MX] > 0
        assert not there.host.path("opt/postmask").exists()
        assert not there.host.path("etc/postfix").exists()
        begun = time.monotonic()
        there.control.play("site.yml")
        print(f"{suite}: the first run took {time.monotonic() - begun:.0f} s")
        exchange(there, there.publish())
        assert "250-STARTTLS" in _greeting(there)
        begun = time.monotonic()
        assert there.control.play("site.yml").changed == {MX: 0}
        print(f"{suite}: the second run took {time.monotonic() - begun:.0f} s")
        assert there.control.play("site.yml", "--check", "--diff").changed == {MX: 0}
        there.control.play("upgrade.yml")
        assert there.control.play("site.yml", "--check", "--diff").changed == {MX: 0}
        _programs_are_confined(there.host)
        _what_crashes_is_restarted(there)


def _greeting(there: Lab) -> str:
    return there.host.run("python3", "-c", _EHLO).stdout


_EHLO = """
import smtplib
with smtplib.SMTP("127.0.0.1") as connection:
    print("\\n".join("250-" + name.upper() for name in connection.ehlo() and connection.esmtp_features))
"""


def _programs_are_confined(host: Host) -> None:
    host.run(
        *("systemd-analyze", "security", "--offline=true", "--threshold=30"),
        *(f"/etc/systemd/system/{name}.service" for name in PROGRAMS),
    )
    for name in PROGRAMS:
        pid = host.run("systemctl", "show", "--property=MainPID", "--value", name).stdout.strip()
        status = host.run("cat", f"/proc/{pid}/status").stdout
        assert re.search(r"(?m)^CapEff:\s+0+$", status), name
        assert host.run("stat", "-c", "%U", f"/proc/{pid}").stdout == "postmask\n"


def _what_crashes_is_restarted(there: Lab) -> None:
    for name in ("postmask-forwarder", "postmask-milter-alias"):
        there.host.run("systemctl", "kill", "--signal=KILL", name)
    sender, alias = "bob@example.com", "shop@alias.test"
    there.world.send(MX, sender, [alias], letter(sender, alias, "after the crash"))
    assert b"after the crash" in there.world.received("you@real.test")


_OWN = """
set -e
echo 'postfix postfix/main_mailer_type select Internet Site' | debconf-set-selections
echo 'postfix postfix/mailname string own.test' | debconf-set-selections
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postfix
useradd --create-home anna
postconf -e 'myhostname = mx.host.test' 'mydestination = own.test, localhost' 'home_mailbox = Maildir/' \
    'smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination' 'mynetworks = 127.0.0.0/8'
printf '# mine\\nsubmission inet n - y - - smtpd\\n  -o syslog_name=postfix/submission\\n' \
    >> /etc/postfix/master.cf
systemctl restart postfix
"""


def test_a_host_with_mail_of_its_own(tmp_path: Path) -> None:
    with lab("bookworm", tmp_path) as there:
        there.host.run("sh", "-c", _OWN)
        before = there.files()
        there.control.play("site.yml", "--check", "--diff")
        assert there.files() == before
        there.control.play("site.yml")
        assert there.files() != before
        _own_mail_arrives(there, "with Postmask")
        exchange(there, there.publish())
        assert there.control.play("site.yml").changed == {MX: 0}
        attached = there.files()
        assert there.control.play("detach.yml", "--check", "--diff").changed[MX] > 0
        assert there.files() == attached
        there.control.play("detach.yml")
        assert there.files() == before
        assert not there.host.path("opt/postmask").exists()
        assert "postmask" not in there.host.path("etc/passwd").read_text()
        _own_mail_arrives(there, "without Postmask")
        assert there.control.play("detach.yml").changed == {MX: 0}


def _own_mail_arrives(there: Lab, text: str) -> None:
    sender, recipient = "bob@example.com", "anna@own.test"
    there.world.send(MX, sender, [recipient], letter(sender, recipient, text))
    folder = there.host.path("home/anna/Maildir/new")
    limit = time.monotonic() + 180
    while not any(text in path.read_text() for path in folder.glob("*")):
        assert time.monotonic() < limit
        time.sleep(0.2)
