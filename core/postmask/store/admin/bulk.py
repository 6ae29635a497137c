"""Many aliases at once, from a CSV file: all of them or none.

Columns: address, to, note, name, when_disabled; only the first is needed, where `to` is the same for
all. Several mailboxes in `to` are separated by spaces or semicolons. A first line that names columns
sets their order; without one it is the order above. Cells are separated by commas, or by the semicolons
or tabs that spreadsheets write in many countries: the first line says which.

DIAGNOSTICS
    BadRows lists the faulty rows, twenty at most, each with the number of its first line and what is wrong
    with it. Nothing has been written then.

STANDARDS
    RFC 4180.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from postmask import address as addresses
from postmask.address import Address, AddressError
from postmask.directory.records import WhenDisabled
from postmask.keys import Keyring
from postmask.store.admin import accounts, mailboxes
from postmask.store.admin.naming import Namer, check_local_part, checked_answer
from postmask.store.batches import batched
from postmask.store.errors import Refused, StoreError
from postmask.store.models import Account, Base, Domain
from postmask.store.vocabulary import AliasRowState

COLUMNS = ("address", "to", "note", "name", "when_disabled")

_ALIASES = Base.metadata.tables["alias"]
_LINKS = Base.metadata.tables["alias_mailbox"]

_SEPARATOR = re.compile("[,;\t]")
_NO_TEXT = re.compile("[\udc80-\udcff]")
_FAULTS_SHOWN = 20
_PIECE = 5000


class BadRows(Refused):
    """Lines that can't be taken. faults: what is wrong, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("nothing was added; what is wrong:")
        self.details = tuple(faults)


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

    lines: octets that aren't UTF-8 as surrogates (PEP 383), so that their line can be named.
    Raises BadRows, Duplicate, Refused, NotFound; all or nothing is the transaction's doing.
    """
    owner = accounts.choose(session, account)
    rows = _Rows(session, owner, " ".join(to), now)
    namer = Namer(session, keys)
    # A piece at a time: for a million lines all at once took a GB, and on a busy machine so long that
    # Postgres ended the transaction as an idle one.
    for piece in batched(rows.read(lines), _PIECE):
        if not rows.faults:
            _insert(session, namer, owner, piece)
    if rows.faults:
        raise BadRows(rows.faults)
    return len(rows.keys)


@dataclass(frozen=True, slots=True)
class _Row:
    """One alias to be. values: its columns but for the id. boxes: its mailboxes' ids."""

    key: str
    values: Mapping[str, object]
    boxes: tuple[int, ...]


def _insert(session: Session, namer: Namer, owner: Account, rows: Sequence[_Row]) -> None:
    ids = namer.free_ids([row.key for row in rows], owner.id)
    # Plain tables: the mapped classes would cost as much again for each row.
    connection = session.connection()
    connection.execute(insert(_ALIASES), [{**row.values, "id": ids[row.key]} for row in rows])
    links = (
        {"alias_id": ids[row.key], "mailbox_id": box, "account_id": owner.id}
        for row in rows
        for box in row.boxes
    )
    for piece in batched(links, _PIECE):
        connection.execute(insert(_LINKS), piece)


class _Rows:
    """The file's lines, checked. keys: the addresses so far. faults: the lines' that can't be taken."""

    def __init__(self, session: Session, owner: Account, to: str, now: float) -> None:
        self.keys: set[str] = set()
        self.faults: list[str] = []
        self._session = session
        self._owner = owner
        self._to = to
        self._now = now
        self._domains = set(session.scalars(select(Domain.name)))
        self._boxes: dict[str, tuple[int, ...]] = {}

    def read(self, lines: Iterable[str]) -> Iterator[_Row]:
        """What can be taken of all lines, or of as many as it needs to find twenty faults."""
        rest = iter(lines)
        first = next(rest, "")
        separator = _SEPARATOR.search(first)
        reader = csv.reader(chain([first], rest), delimiter=separator[0] if separator else ",", strict=True)
        columns: Sequence[str] = ()
        line = 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    if columns or any("@" in cell for cell in cells):
                        columns = columns or COLUMNS
                        yield from self._taken(line, columns, cells)
                    else:
                        columns = _header(cells)
                if len(self.faults) >= _FAULTS_SHOWN:
                    break
                line = reader.line_num + 1
        except Refused as error:
            self.faults.append(f"line {line}: {error}")
        except csv.Error as error:
            quotes = "a cell with a quote or a line break in it is quoted, each quote within it written twice"
            self.faults.append(f"line {line}: {error}; {quotes}")

    def _taken(self, line: int, columns: Sequence[str], cells: Sequence[str]) -> Iterator[_Row]:
        try:
            _check_text(cells)
            if len(cells) > len(columns):
                raise Refused("more cells than columns; put one that has a separator in it into quotes")
            row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
            parsed = self._address(row.get("address", ""))
            boxes = self._mailboxes(row.get("to") or self._to)
            taken = _Row(parsed.key, self._values(parsed, row), boxes)
        except (AddressError, StoreError) as error:
            self.faults.append(f"line {line}: {error}")
        else:
            self.keys.add(parsed.key)
            yield taken

    def _address(self, text: str) -> Address:
        parsed = addresses.parse(text)
        if parsed.domain not in self._domains:
            raise Refused(
                f"{parsed.domain} is not one of our domains; add it: postmask domain add {parsed.domain}"
            )
        check_local_part(parsed)
        if parsed.key in self.keys:
            raise Refused(f"{parsed} stands in the file twice")
        return parsed

    def _values(self, parsed: Address, row: Mapping[str, str]) -> dict[str, object]:
        return {
            "account_id": self._owner.id,
            "address": parsed.key,
            "domain": parsed.domain,
            "state": AliasRowState.ACTIVE.value,
            "when_disabled": checked_answer(row.get("when_disabled") or WhenDisabled.REJECT),
            "name": row.get("name") or None,
            "note": row.get("note") or None,
            "created": self._now,
        }

    def _mailboxes(self, text: str) -> tuple[int, ...]:
        known = self._boxes.get(text)
        if known is None:
            names = text.replace(";", " ").split()
            if not names:
                raise Refused("no mailbox to deliver to: fill in the column to, or give --to")
            found = (mailboxes.find(self._session, name, self._owner.name) for name in names)
            known = self._boxes[text] = tuple({box.id: None for box in found})
        return known


def _header(cells: Sequence[str]) -> Sequence[str]:
    """The columns' order, by a first line that has no address in it. Raises Refused."""
    _check_text(cells)
    names = [cell.strip().lower() for cell in cells]
    if not {"address"} <= set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise Refused(
            "has no address in it; as the first line it may name these columns, each once, "
            f"address among them: {', '.join(COLUMNS)}"
        )
    return names


def _check_text(cells: Sequence[str]) -> None:
    if any(_NO_TEXT.search(cell) for cell in cells):
        raise Refused("isn't UTF-8; save the file as UTF-8")
    if any("\0" in cell for cell in cells):
        raise Refused("has the character U+0000; remove it, or save the file as UTF-8 if it isn't")
