"""The forwarder put together from its parts, run, and brought to an end.

DIAGNOSTICS
    assemble() raises KeyFileError, SocketError, StoreError, SpoolError and UnknownUserError.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from postmask import daemon, keys, log
from postmask.alias.sifting import rules_of
from postmask.auth.dns import Resolver
from postmask.auth.forwarders import TrustedForwarders
from postmask.auth.networks import own_networks
from postmask.clock import Clock, SystemClock
from postmask.config import Settings
from postmask.directory.opening import open_directory
from postmask.directory.records import Directory
from postmask.keys import Keyring
from postmask.rates import Rate
from postmask.reinjection.submit import Reinjector
from postmask.spam.opening import open_scanner
from postmask.spam.publishing import Publisher
from postmask.spam.scanner import Scanner
from postmask.spool import Spool
from postmask_transport.authors import Authors
from postmask_transport.bounces import Bounces
from postmask_transport.contacts import ContactBook
from postmask_transport.courier import Courier
from postmask_transport.deliver import Engine
from postmask_transport.examination import SHARE, Examiner
from postmask_transport.forwarding import Forwarding, Stationery
from postmask_transport.incoming import Reader
from postmask_transport.lmtp import Limits, Server, Times
from postmask_transport.notices import NoticeSender
from postmask_transport.outgoing import Outgoing
from postmask_transport.patience import Patience
from postmask_transport.replying import Replying
from postmask_transport.rules import RuleBook
from postmask_transport.signing import DomainSigner

_log = logging.getLogger(__name__)
_BACKLOG = 512


class UnknownUserError(Exception):
    """A user that the configuration names doesn't exist on this machine."""


@dataclass(slots=True)
class Forwarder:
    """The running parts. stamp: by which clients know that we didn't answer; gone once we listen."""

    server: Server
    courier: Courier
    notices: NoticeSender
    figures: Publisher
    spool: Spool
    stamp: Path

    def run(self) -> bool:
        """Serve until stop(). True: all that was in hand was finished."""
        with contextlib.suppress(OSError):
            self.stamp.unlink()
        self.notices.start()
        self.figures.start()
        daemon.notify("READY=1")
        log.line(_log, logging.INFO, "ready")
        finished = self.server.serve()
        self.courier.close()
        self.notices.stop()
        self.figures.close()
        self.spool.close()
        return finished

    def stop(self) -> None:
        """Finish what is in hand, then leave run()."""
        daemon.notify("STOPPING=1")
        self.server.stop()


def assemble(settings: Settings) -> Forwarder:
    """The forwarder with its real parts. The socket comes last: nobody finds one that nobody serves."""
    clock = SystemClock()
    keyring = keys.load(settings.keys.file)
    mail_owner = _uid(settings.postfix.mail_owner, "postfix.mail_owner")
    spool = Spool(settings.spool.path, clock)
    directory = open_directory(settings, spool, clock)
    scanner = open_scanner(settings, clock, most=SHARE * settings.forwarder.deadline)
    reinject = _reinjector(settings, clock, settings.reinject.socket)
    courier = Courier(spool, reinject, _reinjector(settings, clock, settings.reinject.hold_socket))
    signer = DomainSigner(directory, keyring, clock)
    shared = _Shared(settings, clock, keyring, spool, directory, signer)
    engine = shared.engine(courier, scanner, Reader(keyring, clock, mail_owner, settings.mail.evidence_age))
    notices = NoticeSender(
        spool=spool, reinject=reinject, keys=keyring, clock=clock, directory=directory, signer=signer
    )
    server = Server(
        daemon.listen_unix(settings.sockets.forwarder, mode=0o666, backlog=_BACKLOG),
        engine,
        clock,
        host=settings.node.name,
        allowed_uids=_allowed(settings, mail_owner),
        max_connections=settings.forwarder.max_connections,
        limits=Limits(size=settings.forwarder.message_size_limit),
        times=Times(idle=settings.forwarder.idle_timeout, message=settings.forwarder.deadline),
    )
    figures = Publisher(settings.spam.directory, "forwarder", scanner, clock)
    return Forwarder(server, courier, notices, figures, spool, settings.sockets.directory / "pipe" / "stamp")


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the parts of the engine have in common, and how each is made of it."""

    settings: Settings
    clock: Clock
    keys: Keyring
    spool: Spool
    directory: Directory
    signer: DomainSigner

    def engine(self, courier: Courier, scanner: Scanner, reader: Reader) -> Engine:
        settings, clock = self.settings, self.clock
        stationery = self._stationery()
        networks = own_networks(settings.postfix.config_dir)
        book = RuleBook(self.directory, rules_of(settings.spam))
        authors = Authors(self.directory, networks, TrustedForwarders(settings.mail.trusted_forwarders))
        return Engine(
            directory=self.directory,
            keys=self.keys,
            clock=clock,
            courier=courier,
            forwarding=Forwarding(stationery, authors, book),
            replying=Replying(
                stationery=stationery,
                outgoing=Outgoing(stationery),
                courier=courier,
                book=book,
                rate=Rate(settings.forwarder.replies_per_hour, clock),
                own_networks=networks,
            ),
            bounces=Bounces(stationery, courier),
            patience=Patience(settings.postfix.config_dir, clock),
            reader=reader,
            examiner=self._examiner(scanner),
        )

    def _stationery(self) -> Stationery:
        return Stationery(
            directory=self.directory,
            spool=self.spool,
            keys=self.keys,
            clock=self.clock,
            contacts=ContactBook(self.directory, self.keys),
            signer=self.signer,
            mapped_addresses=self.settings.mail.mapped_addresses,
            authserv_id=self.settings.mail.authserv_id,
            notices_from=self.settings.mail.notices_from,
        )

    def _examiner(self, scanner: Scanner) -> Examiner:
        settings = self.settings
        return Examiner(
            Resolver(settings.dns.nameservers, settings.dns.timeout),
            self.clock,
            scan=scanner.scan if settings.spam.engines else None,
            budget=settings.spam.budget,
            most=settings.forwarder.max_connections,
            host=settings.node.name,
        )


def _reinjector(settings: Settings, clock: Clock, socket: Path) -> Reinjector:
    return Reinjector(
        socket,
        clock,
        timeout=settings.reinject.timeout,
        pool_size=settings.reinject.connections,
        name=settings.node.name,
    )


def _allowed(settings: Settings, mail_owner: int) -> frozenset[int]:
    """Who may connect: Postfix, the pipe client, we ourselves, root, and whom the settings name."""
    named = [_uid(name, "forwarder.allowed_users") for name in settings.forwarder.allowed_users]
    pipe_user = _uid(settings.postfix.pipe_user, "postfix.pipe_user")
    return frozenset({0, mail_owner, os.getuid(), pipe_user, *named})


def _uid(name: str, setting: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise UnknownUserError(
            f"{setting}: there is no user {name!r} on this machine; make it, or name another"
        ) from None
