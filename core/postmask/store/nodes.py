"""A node's row in the truth, as its own agent sees it: what it says of itself, and what it is told.

The caller gives a connection inside a transaction and commits.

DIAGNOSTICS
    SQLAlchemyError: the database; also where its schema is older than this. A node whose row isn't there
    has no order, and what it says is lost: `intake.seen` makes the row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, or_, select, update

from postmask.store.models import Node


@dataclass(frozen=True, slots=True)
class Report:
    """What a node says of itself; see models.Node."""

    version: str
    keys: str | None
    replica_at: float | None
    drained_at: float | None
    drained_by: str | None
    waiting: int | None
    held: int | None
    done_at: float | None


@dataclass(frozen=True, slots=True)
class Order:
    """To be drained, or to take mail again. number: higher than that of any order before it."""

    number: float
    drain: bool
    by: str


def report(connection: Connection, node: str, said: Report) -> None:
    """Take a node's word. One that has lost its memory doesn't unsay what it has carried out."""
    values = asdict(said)
    if said.done_at is None:
        del values["done_at"]
    connection.execute(update(Node).where(Node.name == node).values(values))


def order_for(connection: Connection, node: str) -> Order | None:
    """What a node is told and hasn't carried out yet, as far as it has said."""
    row = connection.execute(
        select(Node.order_at, Node.order_drain, Node.order_by).where(
            Node.name == node,
            Node.order_at.is_not(None),
            or_(Node.done_at.is_(None), Node.done_at < Node.order_at),
        )
    ).first()
    return None if row is None else Order(row.order_at, bool(row.order_drain), row.order_by or "")
