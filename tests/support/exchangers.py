"""Several mail exchangers on one database, each a booted host for our playbooks, and who sends to them.

    with exchangers(folder, ["mx1.host.test", "mx2.host.test"], ["db.host.test"]) as there:
        there.inventory("db.host.test")
        there.lab.control.play("site.yml")
        there.lab.publish()
        with there.load() as sent:
            there.lab.control.play("upgrade.yml")
        there.await_all(sent)

The sender is Debian's Postfix on a host of its own: it finds the exchangers by their MX records, goes on to
the next one and tries again later, as any stranger's does.
"""

from __future__ import annotations

import contextlib
import json
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from booted import Host
from faults import message
from meanwhile import meanwhile
from postmask.store.replica.folder import Folder
from provisioned import NO_OTHER_ROLES, Lab, bare, directory

ALIAS, MAILBOX = "shop@alias.test", "you@real.test"
SENDER = "sender.test"
_SUITE = "bookworm"
_PATIENCE = 600.0

_POSTFIX = """
set -e
echo 'postfix postfix/main_mailer_type select Internet Site' | debconf-set-selections
echo 'postfix postfix/mailname string sender.test' | debconf-set-selections
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postfix
postconf -e 'myhostname = sender.test' 'mydestination =' 'inet_interfaces = loopback-only' \
    'maillog_file = /var/log/mail.log' 'smtp_connect_timeout = 3s' \
    'queue_run_delay = 5s' 'minimal_backoff_time = 5s' 'maximal_backoff_time = 10s'
systemctl restart postfix
"""


@dataclass(slots=True)
class Sent:
    """The sender of each message by its subject. since: where the log of the sender's Postfix tells of it."""

    senders: dict[str, str] = field(default_factory=dict)
    since: int = 0


@dataclass(frozen=True, slots=True)
class Exchangers:
    """names: of the mail exchangers, in order of preference. seen: the subjects of what came, by its file."""

    lab: Lab
    names: Sequence[str]
    variables: dict[str, Any]
    seen: dict[Path, str] = field(default_factory=dict)

    def inventory(self, database: str, *, without: Sequence[str] = (), **variables: Any) -> None:
        """Write it, with this host for the database."""
        there = f"{database}/postmask?sslmode=verify-full&sslrootcert=/etc/postmask/ca-{database}.pem"
        told = self.variables | {"postmask_mx_database": there} | variables
        names = [name for name in self.names if name not in without]
        groups = {
            "postmask_mx": {"hosts": {name: {} for name in names}, "vars": told},
            "postmask_db": {"hosts": {database: {}}, "vars": {"postmask_db_hostname": database} | _DATABASE},
        }
        self.lab.control.inventory(groups, self.lab.hosts.values())

    def postmask(self, name: str, *words: str) -> Any:
        """What our command line on a host says."""
        return json.loads(self._host(name).run(_PROGRAM, *words, "--json").stdout)

    def installed(self) -> list[str]:
        """The exchangers that are ones already."""
        return [name for name in self.names if self._host(name).succeeds("test", "-x", _PROGRAM)]

    def answer(self, name: str, recipient: str) -> int:
        """What an exchanger says to this recipient, three digits."""
        with self._session(self.lab.world.wire.address(name)) as connection:
            connection.mail(f"bob@{SENDER}")
            return connection.rcpt(recipient)[0]

    def await_answer(self, name: str, recipient: str, wanted: int) -> None:
        """Until an exchanger says this to this recipient."""
        self.wait_for(lambda: self.answer(name, recipient) == wanted, f"{wanted} from {name}")

    def send(self, subject: str, sender: str = f"bob@{SENDER}", by: str | None = None) -> None:
        """One message to the alias. by: an exchanger that gets it directly."""
        content = message(ALIAS, subject).replace(b"bob@example.com", sender.encode())
        address = self.lab.world.wire.address(by) if by else "127.0.0.1"
        with self._session(address) as connection:
            connection.sendmail(sender, [ALIAS], content)

    @contextlib.contextmanager
    def _session(self, address: str) -> Iterator[smtplib.SMTP]:
        """From the sender's host; from another thread than other sessions."""
        with (
            self.lab.world.wire.inside(SENDER),
            smtplib.SMTP(address, 25, SENDER, timeout=_PATIENCE) as connection,
        ):
            connection.ehlo()
            yield connection

    @contextlib.contextmanager
    def load(self, rate: float = 10.0) -> Iterator[Sent]:
        """So many messages a second for the time of the block, one in ten from somebody new.

        The other senders haven't been met before the block either.
        """
        sent = Sent(since=len(self.log()))
        begun = time.monotonic()

        def run(stop: threading.Event) -> None:
            while not stop.wait(max(0.0, begun + len(sent.senders) / rate - time.monotonic())):
                number = len(sent.senders)
                subject = f"{begun:.0f}-{number:05d}"
                sender = f"{subject if number % 10 == 0 else f'{begun:.0f}'}@{SENDER}"
                self.send(subject, sender)
                sent.senders[subject] = sender

        with meanwhile(run):
            yield sent

    def arrived(self) -> Counter[str]:
        """How often each subject came to anybody outside."""
        for path in set(self.lab.world.sink.glob("*.eml")) - self.seen.keys():
            self.seen[path] = _subject(path.read_bytes())
        return Counter(self.seen.values())

    def await_arrived(self, sent: Sent, number: int) -> None:
        """Until so many messages of these came."""
        self.wait_for(
            lambda: sum(map(self.arrived().__getitem__, list(sent.senders))) >= number,
            f"{number} messages to arrive",
        )

    def await_all(self, sent: Sent) -> None:
        """All of it arrived, once; nothing was sent back."""
        for host in map(self._host, (SENDER, *self.installed())):
            self.wait_for(partial(_empty, host), f"an empty queue on {host.name}")
        self.wait_for(lambda: sent.senders.keys() <= self.arrived().keys(), "all that was sent")
        came = self.arrived()
        assert {subject: came[subject] for subject in sent.senders if came[subject] != 1} == {}
        assert "status=bounced" not in self.log()
        envelopes = [json.loads(path.read_text()) for path in self.lab.world.sink.glob("*.json")]
        assert {recipient for envelope in envelopes for recipient in envelope["rcpt"]} == {MAILBOX}

    def await_replicas(self) -> None:
        """Until each node's replica has all that the database has now."""
        now = time.time()
        for host in map(self._host, self.installed()):
            folder = Folder(host.path("var/lib/postmask/directory"))
            self.wait_for(partial(_current, folder, now), f"the replica of {host.name}")

    def put_off(self, sent: Sent) -> int:
        """How many deliveries the sender's Postfix had to try again later."""
        return self.log()[sent.since :].count("status=deferred")

    def log(self) -> str:
        """Of the sender's Postfix."""
        return self._host(SENDER).path("var/log/mail.log").read_text()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Until the condition holds."""
        limit = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < limit, f"waited in vain for {what}\n{self.log()[-4000:]}"
            time.sleep(0.5)

    def _host(self, name: str) -> Host:
        return self.lab.hosts[name]


_PROGRAM = "/opt/postmask/bin/postmask"
_DATABASE = {
    "postmask_db_owner_password": "owners",
    # The machine's memory isn't theirs alone.
    "postmask_db_settings": {"shared_buffers": "32MB"},
}


def _subject(content: bytes) -> str:
    found = re.search(rb"(?m)^Subject: (.*?)\r$", content)
    return found[1].decode() if found else ""


def _empty(host: Host) -> bool:
    host.run("postqueue", "-f")
    return not host.run("postqueue", "-j").stdout


def _current(folder: Folder, at: float) -> bool:
    state = folder.read_state()
    return state is not None and state.synced_at > at


@contextlib.contextmanager
def exchangers(folder: Path, names: Sequence[str], databases: Sequence[str]) -> Iterator[Exchangers]:
    """All hosts, bare; and the sender, whose Postfix runs."""
    variables = directory(_SUITE, folder) | {
        "postmask_mx_database_url": "postgresql://postmask_node:nodes@{{ postmask_mx_database }}",
        "postmask_mx_database_owner_url": "postgresql://postmask:owners@{{ postmask_mx_database }}",
    }
    variables |= NO_OTHER_ROLES
    with bare(dict.fromkeys((*names, *databases, SENDER), _SUITE), folder) as lab:
        lab.hosts[SENDER].run("sh", "-c", _POSTFIX)
        world = lab.world
        world.nameserver.txt(SENDER, f"v=spf1 ip4:{world.wire.address(SENDER)} -all")
        world.nameserver.record(f"{SENDER}. IN MX 10 out.test.")
        yield Exchangers(lab, names, variables)
