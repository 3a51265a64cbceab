"""Sharing: the members of images. Imports by age, for lists of tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "image_members",
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="image_members_image_id_in_images"),
        sa.PrimaryKeyConstraint("image_id", "member_id", name="image_members_key"),
    )
    op.create_index("image_members_by_member_id_status_image_id", "image_members", ["member_id", "status", "image_id"])
    op.create_index("imports_by_created_at_id", "imports", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("imports_by_created_at_id", "imports")
    op.drop_table("image_members")
