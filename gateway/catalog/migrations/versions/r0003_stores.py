"""Imports into many stores, and locations with metadata of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("type", sa.String(), nullable=False, server_default="api_image_import"),
        sa.Column("stores", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("stores_left", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("stores_failed", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("all_must_succeed", sa.Boolean(), nullable=False, server_default=sa.true()),
    ):
        op.add_column("imports", column)
    _each(sa.column("store", sa.String()), sa.column("stores", sa.JSON()), lambda store: [store])
    op.drop_column("imports", "store")
    op.add_column("locations", sa.Column("metadata", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.add_column("imports", sa.Column("store", sa.String(), nullable=False, server_default=""))
    _each(sa.column("stores", sa.JSON()), sa.column("store", sa.String()), lambda stores: (stores or [""])[0])
    for name in ("all_must_succeed", "stores_failed", "stores_left", "stores", "type"):
        op.drop_column("imports", name)
    op.drop_column("locations", "metadata")


def _each(source: sa.ColumnClause[Any], into: sa.ColumnClause[Any], value: Callable[[Any], Any]) -> None:
    """Fill a column of every import from another one."""
    imports = sa.table("imports", sa.column("id"), source, into)
    connection = op.get_bind()
    for row in connection.execute(sa.select(imports.c.id, source)).all():
        connection.execute(imports.update().where(imports.c.id == row[0]).values({into.name: value(row[1])}))
