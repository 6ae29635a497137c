"""The forwarder's engine with directory and DNS in memory, a real spool, and a played re-injection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from directories import MemoryDirectory, alias
from dns_data import DnsData
from postmask.alias.sifting import SpamRules
from postmask.auth.forwarders import TrustedForwarders
from postmask.clock import DAY, Deadline, ManualClock
from postmask.directory.local import LocalDirectory
from postmask.keys import Keyring, Secret
from postmask.rates import Rate
from postmask.reinjection.submit import Outcome as Answer
from postmask.reinjection.submit import Submitted, Unknown
from postmask.spool import Spool
from postmask.verdict import Verdict
from postmask_transport.authors import Authors
from postmask_transport.bounces import Bounces
from postmask_transport.contacts import ContactBook
from postmask_transport.courier import Courier
from postmask_transport.deliver import Engine
from postmask_transport.examination import Examiner, Scanning
from postmask_transport.forwarding import Forwarding, Stationery
from postmask_transport.incoming import Reader
from postmask_transport.lmtp import Client, Envelope
from postmask_transport.outgoing import Outgoing
from postmask_transport.patience import Patience
from postmask_transport.replying import Replying
from postmask_transport.rules import RuleBook
from postmask_transport.signing import DomainSigner

FOREIGN = Client(address="203.0.113.5", name="mx.example.com", helo="mx.example.com", port="1", queue_id="Q1")
LOGGED_IN = replace(FOREIGN, login="me")
PLAIN = b"From: Bob <bob@example.com>\r\nTo: shop@alias.test\r\nSubject: s\r\n\r\nbody\r\n"
KEYS = Keyring([Secret(1, "2026-01-01", b"s" * 32)])


@dataclass
class Played:
    """A re-injection. answers: what it says to one message after the other, then Submitted; how: what else
    it was told of each."""

    prefix: str
    answers: list[Answer | BaseException] = field(default_factory=list)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    how: list[dict[str, object]] = field(default_factory=list)

    def submit(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        ident: str,
        deadline: Deadline,
        **how: object,
    ) -> Answer:
        self.how.append({"ident": ident, **how})
        answer = self.answers.pop(0) if self.answers else Submitted(f"{self.prefix}{len(self.sent) + 1}")
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Submitted | Unknown):
            self.sent.append((sender, recipients[0], data))
        return answer


@dataclass
class Rig:
    """An engine with all that stands around it."""

    engine: Engine
    directory: MemoryDirectory
    spool: Spool
    out: Played
    held: Played
    clock: ManualClock
    dns: DnsData

    def deliver(
        self,
        recipient: str = "shop@alias.test",
        content: bytes = PLAIN,
        sender: str = "bob@example.com",
        client: Client = FOREIGN,
    ) -> Verdict:
        envelope = Envelope(sender, (recipient,), smtputf8=False, body=None, client=client)
        (verdict,) = self.engine.message(envelope, content, Deadline.after(self.clock, 25))
        return verdict

    def outcomes(self) -> list[str]:
        return sorted(row.outcome for row in self.spool.ledger())

    def events(self) -> list[str]:
        return [str(event["kind"]) for event in self._events()]

    def last_event(self) -> Mapping[str, object]:
        return self._events()[-1]

    def _events(self) -> list[Mapping[str, object]]:
        return [entry.payload for _, entry in self.spool.outbox(99) if entry.kind == "event"]


@contextlib.contextmanager
def rig(
    folder: Path,
    scan: Scanning | None = None,
    *,
    rules: SpamRules = SpamRules(),  # noqa: B008  a value
    replies: int = 100,
    trusted: Sequence[str] = (),
    keys: Keyring = KEYS,
    notices_from: str | None = None,
) -> Iterator[Rig]:
    """One, with the alias shop@alias.test."""
    clock = ManualClock()
    spool = Spool(folder / "spool.db", clock)
    memory = MemoryDirectory().with_domain()
    memory.aliases["shop@alias.test"] = alias()
    directory = LocalDirectory(memory, spool)
    dns = DnsData()
    out, held = Played("OUT"), Played("HELD")
    courier = Courier(spool, out, held)  # type: ignore[arg-type]  played
    stationery = Stationery(
        directory,
        spool,
        keys,
        clock,
        ContactBook(directory, keys),
        DomainSigner(directory, keys, clock),
        mapped_addresses=50,
        authserv_id="mx.alias.test",
        notices_from=notices_from,
    )
    engine = Engine(
        directory=directory,
        keys=keys,
        clock=clock,
        courier=courier,
        forwarding=Forwarding(
            stationery, Authors(directory, (), TrustedForwarders(trusted)), RuleBook(directory, rules)
        ),
        replying=Replying(
            stationery=stationery,
            outgoing=Outgoing(stationery),
            courier=courier,
            book=RuleBook(directory, rules),
            rate=Rate(replies, clock),
            own_networks=(),
        ),
        bounces=Bounces(stationery, courier),
        patience=Patience(folder, clock),
        reader=Reader(keys, clock, postfix_uid=0, oldest=6 * DAY),
        examiner=Examiner(dns, clock, scan=scan),
    )
    yield Rig(engine, memory, spool, out, held, clock, dns)
    spool.close()
