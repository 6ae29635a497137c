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
from postmask.rates import Rate
from postmask.reinjection.submit import Reinjector
from postmask.spam.opening import open_scanner
from postmask.spam.publishing import Publisher
from postmask.spool import Spool
from postmask_transport.authors import Authors
from postmask_transport.bounces import Bounces
from postmask_transport.contacts import ContactBook
from postmask_transport.courier import Courier
from postmask_transport.deliver import Engine
from postmask_transport.examination import Examiner
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
    reinject = _reinjector(settings, clock, settings.reinject.socket)
    courier = Courier(spool, reinject, _reinjector(settings, clock, settings.reinject.hold_socket))
    stationery = Stationery(
        directory=directory,
        keys=keyring,
        clock=clock,
        contacts=ContactBook(directory, keyring),
        signer=DomainSigner(directory, keyring, clock),
        mapped_addresses=settings.mail.mapped_addresses,
        authserv_id=settings.mail.authserv_id,
    )
    networks = own_networks(settings.postfix.config_dir)
    authors = Authors(directory, networks, TrustedForwarders(settings.mail.trusted_forwarders))
    book = RuleBook(directory, rules_of(settings.spam))
    scanner = open_scanner(settings, clock)
    engine = Engine(
        directory=directory,
        keys=keyring,
        clock=clock,
        courier=courier,
        forwarding=Forwarding(stationery, authors, book),
        replying=Replying(
            stationery=stationery,
            outgoing=Outgoing(stationery),
            courier=courier,
            spool=spool,
            book=book,
            rate=Rate(settings.forwarder.replies_per_hour, clock),
            own_networks=networks,
            notices_from=settings.mail.notices_from,
        ),
        bounces=Bounces(
            directory=directory,
            spool=spool,
            keys=keyring,
            clock=clock,
            courier=courier,
            notices_from=settings.mail.notices_from,
        ),
        patience=Patience(settings.postfix.config_dir, clock),
        reader=Reader(keyring, clock, mail_owner, settings.mail.evidence_age),
        examiner=Examiner(
            Resolver(settings.dns.nameservers, settings.dns.timeout),
            clock,
            scan=scanner.scan if settings.spam.engines else None,
            budget=settings.spam.budget,
            most=settings.forwarder.max_connections,
            host=settings.node.name,
        ),
    )
    notices = NoticeSender(spool=spool, reinject=reinject, keys=keyring, clock=clock, directory=directory)
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
    return Forwarder(server, notices, figures, spool, settings.sockets.directory / "pipe" / "stamp")


def _reinjector(settings: Settings, clock: Clock, socket: Path) -> Reinjector:
    return Reinjector(
        socket,
        clock,
        timeout=settings.reinject.timeout,
        pool_size=settings.reinject.connections,
        name=settings.node.name,
    )


def _allowed(settings: Settings, mail_owner: int) -> frozenset[int]:
    """Who may hand over messages: Postfix, the pipe client, we ourselves, and whom the settings name."""
    named = [_uid(name, "forwarder.allowed_users") for name in settings.forwarder.allowed_users]
    return frozenset({mail_owner, os.getuid(), _uid(settings.postfix.pipe_user, "postfix.pipe_user"), *named})


def _uid(name: str, setting: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise UnknownUserError(
            f"{setting}: there is no user {name!r} on this machine; make it, or name another"
        ) from None
