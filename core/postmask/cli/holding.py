"""What `postmask held` does to the hold queue, so that a kill at any point loses nothing.

Release: the ledger says that it was begun; the content is re-injected under its own ledger key, with a fresh
time of arrival; the ledger says delivered, and what it was held as; the held one is deleted. Discarding: the
ledger first, then the deletion. What a kill leaves on hold after the ledger's last word is deleted the
next time, and never sent again; one between Postfix's 250 and that word may cause a duplicate, which is
told of.

DIAGNOSTICS
    NotReleased: Postfix didn't take it, or nobody knows; it stays on hold. So do SpoolError, PostfixError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass

from postmask import holding
from postmask.cli import postfix_facts
from postmask.cli.failure import demand_root
from postmask.cli.ownership import make_like_folder
from postmask.cli.runtime import Runtime
from postmask.clock import Clock, Deadline, day_of
from postmask.directory.lookup import Found
from postmask.directory.opening import open_directory
from postmask.directory.records import Directory
from postmask.holding import Held, Holding
from postmask.keys import Keyring
from postmask.reinjection.submit import Refused, Reinjector, Submitted
from postmask.spool import Entry, Spool
from postmask.tokens import BounceKind, BounceValid, read
from postmask_postfix import commands
from postmask_postfix.hold import HoldQueue

_SECONDS = 60.0
_AT_ONCE = 200
"""Messages that are recorded and deleted together."""


class NotReleased(Exception):  # noqa: N818 (an outcome rather than a fault)
    """It is still on hold; the message says why, and whether it may have been sent all the same."""


class Keeper:
    """Releases and discards. reinject: the re-injection listener, not the one that holds."""

    def __init__(
        self,
        *,
        queue: HoldQueue,
        spool: Spool,
        reinject: Reinjector,
        directory: Directory,
        keys: Keyring,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._reinject = reinject
        self._directory = directory
        self._keys = keys
        self._clock = clock

    def look(self) -> Holding:
        """What is on hold now."""
        # The queue first: what comes meanwhile isn't taken for something that the ledger forgot.
        envelopes = self._queue.envelopes()
        # Of a ledger of millions of messages only the rows that are asked for.
        rows = filter(None, map(self._spool.row, holding.keys(envelopes)))
        return holding.sort_out(rows, envelopes)

    def content(self, held: Held) -> bytes:
        """The held copy, lines ending in CRLF. Raises Gone."""
        return self._queue.content(held.queue_id)

    def release(self, held: Held) -> str:
        """Send it, then delete it; the new queue id. Raises NotReleased, Gone."""
        data = self.content(held)
        self._spool.finish([holding.begin_release(held)])
        result = self._reinject.submit(
            held.envelope.sender,
            held.envelope.recipients,
            data,
            ident=held.row.key.hex(),
            client=dict(held.envelope.client),
            smtputf8=held.envelope.smtputf8,
            deadline=Deadline.after(self._clock, _SECONDS),
        )
        match result:
            case Submitted(queue_id):
                # What was held as it came comes to us once more, and has its event then.
                again = holding.is_for(held, held.row.recipient)
                events = [] if again else self._events(held, self._kind(held), "released from hold")
                self._spool.finish([holding.released(held, queue_id)], events)
                self._queue.delete(held.queue_ids)
                return queue_id
            case Refused():
                self._spool.finish([held.row])
                raise NotReleased(f"Postfix refused it: {result.code} {result.status} {result.text}")
            case _:
                raise NotReleased(f"it may have been sent or not: {result.reason}")

    def discard(self, together: Sequence[Held], reason: str, *, expired: bool = False) -> None:
        """Delete them, each with a record."""
        for start in range(0, len(together), _AT_ONCE):
            some = together[start : start + _AT_ONCE]
            events = [event for held in some for event in self._events(held, "discarded", reason)]
            self._spool.finish([holding.discarded(held, expired=expired) for held in some], events)
            self._queue.delete([queue_id for held in some for queue_id in held.queue_ids])

    def clear(self, leftovers: Sequence[str]) -> None:
        """Delete what an earlier call would have deleted, had it not been cut off."""
        if leftovers:
            self._queue.delete(leftovers)

    def _events(self, held: Held, kind: str, reason: str) -> list[Entry]:
        """What the truth is told; nothing of what belongs to no alias."""
        row = held.row
        if not row.alias_id:
            return []
        alias = self._directory.alias_by_id(row.alias_id)
        account_id = alias.value.account_id if isinstance(alias, Found) else None
        return [
            Entry.new(
                "event", at=self._clock.now(), account_id=account_id, alias_id=row.alias_id, kind=kind,
                mailbox_id=row.mailbox_id or None, queue_id=row.queue_id, reason=f"{reason}: {held.why}",
            )
        ]  # fmt: skip

    def _kind(self, held: Held) -> str:
        """Forwarded or replied: its envelope sender, a bounce address of ours, says which."""
        local = held.envelope.sender.rpartition("@")[0]
        reserved = read(self._keys, local, day_of(held.envelope.arrived))
        is_reply = isinstance(reserved, BounceValid) and reserved.bounce.kind is BounceKind.REPLY
        return "replied" if is_reply else "forwarded"


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the verbs work with."""

    keeper: Keeper
    queue: HoldQueue
    spool: Spool
    directory: Directory


@contextmanager
def opened(runtime: Runtime, *, changing: bool = False) -> Iterator[Desk]:
    """This node's hold queue; changing: with nobody else changing it. Raises CommandError unless root."""
    demand_root("only root may look into Postfix's hold queue")
    settings = runtime.settings
    config_dir = settings.postfix.config_dir
    postfix_facts.demand(config_dir)
    make_like_folder(settings.spool.path)
    queue = HoldQueue(config_dir)
    reinject = Reinjector(
        settings.reinject.socket, runtime.clock, timeout=settings.reinject.timeout, name=settings.node.name
    )
    directory = open_directory(settings, None, runtime.clock)
    with (
        commands.lock(queue.folder) if changing else nullcontext(),
        closing(Spool(settings.spool.path, runtime.clock)) as spool,
        closing(reinject),
    ):
        keeper = Keeper(
            queue=queue,
            spool=spool,
            reinject=reinject,
            directory=directory,
            keys=runtime.keys,
            clock=runtime.clock,
        )
        yield Desk(keeper, queue, spool, directory)
