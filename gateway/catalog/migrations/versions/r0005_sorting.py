"""Lists by name and by size in the time a page takes: each walk of a list has an index in its own order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ALIVE = sa.text("deleted_at IS NULL")
INDEXES = {
    "images_by_size": ["size"],
    "images_by_owner_and_visibility": ["owner", "visibility", "created_at", "id"],
    "images_by_owner_and_name": ["owner", "name", "created_at", "id"],
    "images_by_owner_and_size": ["owner", "size"],
    "images_by_visibility_and_name": ["visibility", "name", "created_at", "id"],
    "images_by_visibility_and_size": ["visibility", "size"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "images", columns, sqlite_where=ALIVE, postgresql_where=ALIVE)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "images")
