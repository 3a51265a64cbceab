"""PostgreSQL's indexes of names and sizes in the order of lists: what has none comes first (SQLite has it so)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
INDEXES = {
    "images_by_name": ["name", "created_at", "id"],
    "images_by_size": ["size"],
    "images_by_owner_and_name": ["owner", "name", "created_at", "id"],
    "images_by_owner_and_size": ["owner", "size"],
    "images_by_visibility_and_name": ["visibility", "name", "created_at", "id"],
    "images_by_visibility_and_size": ["visibility", "size"],
}


def upgrade() -> None:
    _make("NULLS FIRST")


def downgrade() -> None:
    _make("NULLS LAST")


def _make(order: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for name, columns in INDEXES.items():
        op.drop_index(name, "images")
        sorted_by = [sa.text(f"{column} {order}") if column in ("name", "size") else column for column in columns]
        op.create_index(name, "images", sorted_by, postgresql_where=ALIVE)
