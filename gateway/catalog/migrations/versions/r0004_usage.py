"""The quota ledger: what each blob is charged with, and the sum for each project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BUSY = sa.text("deleted_at IS NULL AND status IN ('importing', 'saving', 'uploading')")

CHARGE = "UPDATE blobs SET charged = COALESCE(size, 0) WHERE state IN ('staged', 'kept')"

SUM = """
INSERT INTO project_usage (project, size)
SELECT COALESCE(images.owner, ''), SUM(blobs.charged) FROM blobs JOIN images ON images.id = blobs.image_id
GROUP BY COALESCE(images.owner, '')
"""


def upgrade() -> None:
    op.add_column("blobs", sa.Column("charged", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "project_usage",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", name="project_usage_key"),
    )
    op.create_index("images_busy_by_owner", "images", ["owner"], sqlite_where=BUSY, postgresql_where=BUSY)
    op.execute(CHARGE)
    op.execute(SUM)


def downgrade() -> None:
    op.drop_index("images_busy_by_owner", "images")
    op.drop_table("project_usage")
    op.drop_column("blobs", "charged")
