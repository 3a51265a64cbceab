"""Receipts of images. Those that are active already have none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WAITING = sa.text("signature IS NULL")


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("keyid", sa.String()),
        sa.Column("signature", sa.String()),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="receipts_image_id_in_images"),
        sa.PrimaryKeyConstraint("image_id", name="receipts_key"),
    )
    op.create_index("receipts_waiting", "receipts", ["at", "image_id"], sqlite_where=WAITING, postgresql_where=WAITING)


def downgrade() -> None:
    op.drop_table("receipts")
