"""Taking a node's outbox into the truth, so that applying it twice changes nothing.

The caller gives a connection inside a transaction and commits; a batch is applied whole or not at
all. Entries of one kind are written together, contacts before what may refer to them.

DIAGNOSTICS
    An entry that can never be applied (its alias was purged, a field is missing or out of range, a
    newer node's kind) is left out and named in the answer: it must not keep the others waiting.
    SQLAlchemyError: the database; the batch is to be tried again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table, case, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from postmask.spool import Entry, LocalContact
from postmask.store import entries as reading
from postmask.store import fitness
from postmask.store.batches import batched
from postmask.store.models import (
    Alias,
    Base,
    Bounce,
    Contact,
    Counter,
    Event,
    Mailbox,
    Node,
    PurgedAlias,
    ReplayMark,
    ReverseAlias,
)

_PIECE = 200

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that was not applied and never will be, and why."""

    entry: Entry
    reason: str


def apply(connection: Connection, node: str, entries: Sequence[Entry]) -> tuple[LeftOut, ...]:
    """Write a node's entries; what had to be left out."""
    left_out: list[LeftOut] = []
    sorted_out: dict[str, list[tuple[Entry, Values]]] = defaultdict(list)
    for entry in entries:
        try:
            sorted_out[entry.kind].append((entry, reading.read(entry)))
        except reading.EntryError as error:
            left_out.append(LeftOut(entry, str(error)))
    left_out += _contacts(connection, sorted_out["contact"])
    _events(connection, node, [values for _, values in sorted_out["event"]])
    bounces = [{**values, "node": node} for _, values in sorted_out["bounce"]]
    _insert_new(connection, Bounce, bounces, ["id"])
    marks = [values for _, values in sorted_out["replay"]]
    _insert_new(connection, ReplayMark, marks, ["mark", "reverse_token"])
    for values in sorted((values for _, values in sorted_out["mailbox_pause"]), key=itemgetter("mailbox_id")):
        _pause(connection, **values)
    return tuple(left_out)


def seen(connection: Connection, node: str, at: float) -> float | None:
    """Note that a node is alive and which schema it was written for; when it was so last, as it was noted."""
    before = connection.execute(select(Node.last_seen).where(Node.name == node)).scalar()
    values = {"name": node, "last_seen": at, "schema": fitness.OURS}
    statement = _insert(connection, _table(Node)).values(values)
    fresh = {"last_seen": statement.excluded.last_seen, "schema": statement.excluded.schema}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=fresh))
    return before


def unknown(connection: Connection, contacts: Sequence[LocalContact]) -> list[LocalContact]:
    """Those of a node's contacts that the truth doesn't know, as far as it has their aliases."""
    given = [contact.token for contact in contacts]
    known = set(connection.scalars(select(ReverseAlias.token).where(ReverseAlias.token.in_(given))))
    present = _present(connection, {contact.alias_id for contact in contacts})
    return [one for one in contacts if one.token not in known and one.alias_id in present]


def purged(connection: Connection, alias_ids: Sequence[int], before: float) -> list[int]:
    """Those of these aliases that were purged before that time."""
    gone = select(PurgedAlias.id).where(PurgedAlias.id.in_(alias_ids), PurgedAlias.at < before)
    return list(connection.scalars(gone.where(PurgedAlias.id.not_in(select(Alias.id)))))


def _contacts(connection: Connection, told: Sequence[tuple[Entry, Values]]) -> list[LeftOut]:
    """The contact that is there keeps its name and its current token; a new token is added to it."""
    left_out: list[LeftOut] = []
    in_order = sorted(told, key=lambda one: (one[1]["alias_id"], one[1]["address"]))
    for some in batched(in_order, _PIECE):
        present = _present(connection, {values["alias_id"] for _, values in some})
        known = [values for _, values in some if values["alias_id"] in present]
        left_out += [
            LeftOut(entry, "there is no such alias any more")
            for entry, values in some
            if values["alias_id"] not in present
        ]
        _insert_new(connection, Contact, known, ["alias_id", "address"])
        numbers = _contact_ids(connection, known)
        tokens = [
            {
                "token": values["token"],
                "contact_id": numbers[values["alias_id"], values["address"]],
                "created": values["created"],
            }
            for values in known
        ]
        _insert_new(connection, ReverseAlias, tokens, ["token"])
    return left_out


def _present(connection: Connection, alias_ids: set[int]) -> set[int]:
    return set(connection.scalars(select(Alias.id).where(Alias.id.in_(alias_ids))))


def _contact_ids(connection: Connection, contacts: Sequence[Values]) -> dict[tuple[int, str], int]:
    wanted = [(values["alias_id"], values["address"]) for values in contacts]
    query = select(Contact.alias_id, Contact.address, Contact.id).where(
        tuple_(Contact.alias_id, Contact.address).in_(wanted)
    )
    return {(row.alias_id, row.address): row.id for row in connection.execute(query)} if wanted else {}


def _events(connection: Connection, node: str, events: Sequence[Values]) -> None:
    """Count only what was new, in the same transaction, and of aliases that are there."""
    new = _insert_new(connection, Event, [{**event, "node": node} for event in events], ["id"])
    present = _present(connection, {event["alias_id"] for event in events})
    counts: dict[tuple[int, str], tuple[int, float]] = {}
    for event in events:
        if event["id"] not in new or event["alias_id"] not in present:
            continue
        new.discard(event["id"])
        key = (event["alias_id"], event["kind"])
        count, last = counts.get(key, (0, event["at"]))
        counts[key] = (count + 1, max(last, event["at"]))
    rows = [
        {"alias_id": alias_id, "node": node, "kind": kind, "count": count, "last_at": last}
        for (alias_id, kind), (count, last) in sorted(counts.items())
    ]
    if rows:
        statement = _insert(connection, _table(Counter))
        later = case(
            (statement.excluded.last_at > Counter.last_at, statement.excluded.last_at), else_=Counter.last_at
        )
        summed = {"count": Counter.count + statement.excluded.count, "last_at": later}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["alias_id", "node", "kind"], set_=summed), rows
        )


def _pause(connection: Connection, mailbox_id: int, at: float, reason: str) -> None:
    connection.execute(
        update(Mailbox)
        .where(Mailbox.id == mailbox_id, Mailbox.paused_at.is_(None))
        .values(paused_at=at, pause_reason=reason)
    )


def _insert_new(
    connection: Connection, model: type[Base], rows: Iterable[Values], unique: Sequence[str]
) -> set[Any]:
    """Insert what isn't there yet by these columns; the first of them, of the rows that were new.

    In their order, so that two nodes with the same rows wait for each other and never in a circle.
    """
    in_order = sorted(rows, key=lambda row: [row[column] for column in unique])
    if not in_order:
        return set()
    table = _table(model)
    statement = (
        _insert(connection, table)
        .on_conflict_do_nothing(index_elements=list(unique))
        .returning(table.c[unique[0]])
    )
    # The rows as parameters, not in the statement: it is compiled once for all batches.
    return set(connection.scalars(statement, in_order))


def _table(model: type[Base]) -> Table:
    return Base.metadata.tables[model.__tablename__]


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The two dialects say ON CONFLICT alike, but each in its own class."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
