"""Alembic's entry: runs the migrations on the connection that postmask.store.schema hands over."""

from __future__ import annotations

from alembic import context

from postmask.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
