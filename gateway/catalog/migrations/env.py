"""Alembic's entry: it works on the connection, and inside the transaction, that `upgrade` hands in."""

from __future__ import annotations

from alembic import context

from gateway.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
