"""The nodes, as whoever looks after them sees them: which there are, orders to them, and their removal.

DIAGNOSTICS
    NotFound: no node of that name has ever been heard of. Refused: one that is alive isn't removed.
"""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import select
from sqlalchemy.orm import Session

from postmask.store import schema
from postmask.store.admin.views import NodeView
from postmask.store.errors import NotFound, Refused
from postmask.store.models import Node

ALIVE = 600.0
"""Seconds since it was last heard of, for which a node is taken to be alive: ten of its signs of life."""

_TICK = 0.001


def listing(session: Session) -> list[NodeView]:
    """All that were heard of, by name."""
    return [_view(row) for row in session.scalars(select(Node).order_by(Node.name))]


def one(session: Session, name: str) -> NodeView:
    """One of them. Raises NotFound."""
    return _view(_row(session, name, changing=False))


def order(session: Session, name: str, now: float, by: str, *, drain: bool) -> NodeView:
    """Tell a node to be drained, or to take mail again. Its agent carries it out. Raises NotFound."""
    row = _row(session, name)
    # Later than the last one, whoever's clock is wrong: the node goes by the number.
    row.order_at = max(now, (row.order_at or 0.0) + _TICK, (row.done_at or 0.0) + _TICK)
    row.order_by, row.order_drain = by, drain
    session.flush()
    return _view(row)


def remove(session: Session, name: str, now: float, *, force: bool = False) -> NodeView:
    """Forget a node that is gone; what it was. Its events and counters stay. Raises NotFound, Refused."""
    row = _row(session, name)
    view = _view(row)
    if now - row.last_seen < ALIVE and not force:
        raise Refused(
            f"{name} was heard of {max(0.0, now - row.last_seen):.0f} s ago, and would be back within a "
            "minute: stop postmask-agent there first (--force: remove it all the same)"
        )
    session.delete(row)
    session.flush()
    return view


def clock(session: Session, own: float) -> float:
    """The time by which the nodes' signs of life are judged: the database's, where it has a clock."""
    found = schema.clock(session.connection())
    return own if found is None else found


def _row(session: Session, name: str, *, changing: bool = True) -> Node:
    row = session.get(Node, name, with_for_update=changing)
    if row is None:
        raise NotFound(f"no node {name} was ever heard of; see: postmask node list")
    return row


def _view(row: Node) -> NodeView:
    return NodeView(**{field.name: getattr(row, field.name) for field in fields(NodeView)})
