"""How projects' imports have ended, and break-glass openings. Images that are active already were accepted once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NOT_ENDED = sa.text("ended_at IS NULL")

COUNT = """
INSERT INTO project_history (project, accepted, rejected, first_at)
SELECT owner, COUNT(*), 0, MIN(created_at) FROM images
WHERE status = 'active' AND deleted_at IS NULL AND owner IS NOT NULL GROUP BY owner
"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "project_history",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("first_at", moment),
        sa.PrimaryKeyConstraint("project", name="project_history_key"),
    )
    op.create_table(
        "break_glass_openings",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("ended_by", sa.String()),
        sa.PrimaryKeyConstraint("id", name="break_glass_openings_key"),
    )
    op.create_index(
        "openings_open",
        "break_glass_openings",
        ["project", "rule"],
        unique=True,
        sqlite_where=NOT_ENDED,
        postgresql_where=NOT_ENDED,
    )
    op.execute(COUNT)


def downgrade() -> None:
    op.drop_table("break_glass_openings")
    op.drop_table("project_history")
