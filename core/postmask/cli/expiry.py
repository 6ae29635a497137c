"""Held mail whose time is up: who is told, and what is written to them.

One notice a mailbox and call, a few a day: what can't be told of today is kept until it can. Told is the
first usable mailbox of the alias, else the postmaster of the domain; of what came round in a loop the
postmaster alone, since a notice to that mailbox would come round as well.

DIAGNOSTICS
    None: where the directory can't be asked, nobody is named, and the mail is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from postmask.cli.holding import Keeper
from postmask.cli.output import moment
from postmask.clock import DAY, Clock
from postmask.directory.lookup import UnknownNowError, known
from postmask.directory.records import Directory, MailboxState
from postmask.display import printable
from postmask.holding import LOOP, Held
from postmask.spool import Notice, Spool

KIND = "expired"
NOTICES_A_DAY = 5
_LISTED = 50
_SUBJECT = "Held mail was discarded"
_TEXT = """\
Messages that had been put on hold, because they could not be delivered without somebody's word, were
not released in time. They are discarded now:

{listed}

Your mail operator can release what is held as long as it is held.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a held message concerns. address: "" if nobody is left. sender: for the notice's From."""

    address: str
    sender: str


@dataclass(frozen=True, slots=True)
class Expired:
    """What became of a message whose time was up. told: whom a notice went to. what: in words."""

    held: Held
    told: str
    what: str
    kept: bool = False


def concerned(directory: Directory, held: Held, notices_from: str | None) -> Told:
    """Who is to be told of it. Raises UnknownNowError."""
    through = held.row.recipient
    alias = known(directory.alias_by_id(held.row.alias_id)) if held.row.alias_id else None
    domain = known(directory.domain(alias.domain if alias else through.rpartition("@")[2]))
    if domain is None:
        return Told("", "")
    reached = alias.mailboxes if alias and held.why != LOOP else ()
    usable = (mailbox for mailbox in reached if mailbox.state is MailboxState.ACTIVE)
    address = next((mailbox.deliver_to for mailbox in usable), domain.postmaster)
    return Told(address, notices_from or f"postmask@{domain.name}")


class Expiry:
    """Tells people of what is discarded for its age."""

    def __init__(
        self, *, keeper: Keeper, spool: Spool, directory: Directory, notices_from: str | None, clock: Clock
    ) -> None:
        self._keeper = keeper
        self._spool = spool
        self._directory = directory
        self._notices_from = notices_from
        self._clock = clock

    def run(self, due: Iterable[Held]) -> Iterator[Expired]:
        """Discard what is due, each with a record, after its notice is on its way."""
        by_told: defaultdict[Told, list[Held]] = defaultdict(list)
        for held in due:
            try:
                by_told[concerned(self._directory, held, self._notices_from)].append(held)
            except UnknownNowError as error:
                yield Expired(held, "", f"kept: nobody can say whom to tell: {error}", kept=True)
        for told, together in by_told.items():
            yield from self._expire(told, together)

    def _expire(self, told: Told, together: Sequence[Held]) -> Iterator[Expired]:
        if told.address and not self._tell(told, together):
            why = f"kept: {NOTICES_A_DAY} notices within a day are enough"
            yield from (Expired(held, told.address, why, kept=True) for held in together)
            return
        self._keeper.discard(together, "its time on hold was up", expired=True)
        yield from (Expired(held, told.address, "discarded") for held in together)

    def _tell(self, told: Told, together: Sequence[Held]) -> bool:
        """Queue a notice; False if there were enough today."""
        since = self._clock.now() - DAY
        if self._spool.notices_since(told.address, KIND, since) >= NOTICES_A_DAY:
            return False
        self._spool.put([Notice(told.sender, told.address, KIND, _SUBJECT, notice_text(together))])
        return True


def notice_text(together: Sequence[Held]) -> str:
    """What the owner reads: through which address, since when, and why it was held."""
    shown = [
        f"    {printable(held.row.recipient)}, since {moment(held.envelope.arrived)}: {printable(held.why)}"
        for held in together[:_LISTED]
    ]
    if len(together) > _LISTED:
        shown.append(f"    and {len(together) - _LISTED} more")
    return _TEXT.format(listed="\n".join(shown))
