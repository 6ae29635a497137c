"""Many aliases at once, from a CSV file: all of them or none.

Columns: address, to, note, name, when_disabled; only the first is needed, where `to` is the same for
all. Several mailboxes in `to` are separated by spaces or semicolons. A first line that names columns
sets their order; without one it is the order above.

DIAGNOSTICS
    BadRows lists the faulty lines, twenty at most, each with its number and what is wrong with it.
    Nothing has been written then.

STANDARDS
    RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from postmask import address as addresses
from postmask.address import AddressError
from postmask.directory.records import WhenDisabled
from postmask.display import printable
from postmask.keys import Keyring
from postmask.store.admin import accounts, mailboxes
from postmask.store.admin.naming import Namer, check_local_part
from postmask.store.batches import batched
from postmask.store.errors import Refused, StoreError
from postmask.store.models import Account, Alias, AliasMailbox, Domain
from postmask.store.vocabulary import AliasRowState

COLUMNS = ("address", "to", "note", "name", "when_disabled")

_FAULTS_SHOWN = 20
_PIECE = 5000


class BadRows(Refused):
    """Lines that can't be taken. faults: what is wrong, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("nothing was added: " + "; ".join(faults[:1]))
        self.details = tuple(faults)


@dataclass(slots=True)
class _Batch:
    """What has been read so far. boxes: mailbox ids by what stood in `to`."""

    aliases: dict[str, dict[str, object]] = field(default_factory=dict)
    boxes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    targets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def add(
    session: Session,
    keys: Keyring,
    lines: Iterable[str],
    *,
    to: Sequence[str] = (),
    account: str | None = None,
    now: float,
) -> int:
    """Make the aliases that the CSV lines name; how many. to: the mailboxes where a line names none.

    Raises BadRows, Duplicate, Refused, NotFound; all or nothing is the transaction's doing.
    """
    owner = accounts.choose(session, account)
    batch = _read(session, lines, " ".join(to), owner, now)
    if batch.faults:
        raise BadRows(batch.faults)
    ids = Namer(session, keys).free_ids(list(batch.aliases), owner.id)
    for some in batched(batch.aliases.items(), _PIECE):
        session.execute(insert(Alias), [{**row, "id": ids[key]} for key, row in some])
    links = (
        {"alias_id": ids[key], "mailbox_id": box, "account_id": owner.id}
        for key, boxes in batch.targets.items()
        for box in boxes
    )
    for piece in batched(links, _PIECE):
        session.execute(insert(AliasMailbox), piece)
    return len(ids)


def _read(session: Session, lines: Iterable[str], to: str, owner: Account, now: float) -> _Batch:
    batch = _Batch()
    ours = set(session.scalars(select(Domain.name)))
    reader = csv.reader(lines, strict=True)
    columns: Sequence[str] = COLUMNS
    try:
        for number, cells in enumerate(reader):
            if number == 0 and cells and cells[0].strip().lower().lstrip("\ufeff") in COLUMNS:
                columns = _header(cells)
            elif any(cell.strip() for cell in cells):
                _take(session, batch, reader.line_num, _row(columns, cells, to), ours, owner, now)
            if len(batch.faults) >= _FAULTS_SHOWN:
                break
    except csv.Error as error:
        batch.faults.append(f"line {reader.line_num}: {error}")
    except UnicodeDecodeError:
        batch.faults.append("the file is not UTF-8; convert it")
    return batch


def _header(cells: Sequence[str]) -> Sequence[str]:
    names = [cell.strip().lower().lstrip("\ufeff") for cell in cells]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "address" not in names:
        raise Refused(f"the first line must name columns of these, address among them: {', '.join(COLUMNS)}")
    return names


def _row(columns: Sequence[str], cells: Sequence[str], to: str) -> Mapping[str, str]:
    row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    row["surplus"] = " ".join(cells[len(columns) :]).strip()
    row["to"] = row.get("to") or to
    return row


def _take(
    session: Session,
    batch: _Batch,
    line: int,
    row: Mapping[str, str],
    ours: set[str],
    owner: Account,
    now: float,
) -> None:
    try:
        parsed = addresses.parse(row.get("address", ""))
        if parsed.domain not in ours:
            raise Refused(
                f"{parsed.domain} is not one of our domains; add it: postmask domain add {parsed.domain}"
            )
        check_local_part(parsed)
        if parsed.key in batch.aliases:
            raise Refused(f"{parsed} stands in the file twice")
        if row["surplus"]:
            raise Refused(
                f'more cells than columns: "{printable(row["surplus"], 60)}"; quote what has commas'
            )
        when_disabled = row.get("when_disabled") or WhenDisabled.REJECT.value
        if when_disabled not in set(WhenDisabled):
            raise Refused(f'when_disabled is "{printable(when_disabled, 40)}"; use {", ".join(WhenDisabled)}')
        batch.targets[parsed.key] = _boxes(session, batch, row["to"], owner)
    except (AddressError, StoreError) as error:
        batch.faults.append(f"line {line}: {error}")
        return
    batch.aliases[parsed.key] = {
        "account_id": owner.id,
        "address": parsed.key,
        "domain": parsed.domain,
        "state": AliasRowState.ACTIVE.value,
        "when_disabled": when_disabled,
        "name": row.get("name") or None,
        "note": row.get("note") or None,
        "created": now,
    }


def _boxes(session: Session, batch: _Batch, text: str, owner: Account) -> tuple[int, ...]:
    known = batch.boxes.get(text)
    if known is None:
        names = text.replace(";", " ").split()
        if not names:
            raise Refused("no mailbox to deliver to: fill in the column to, or give --to")
        known = tuple({mailboxes.find(session, name, owner.name).id: None for name in names})
        batch.boxes[text] = known
    return known
