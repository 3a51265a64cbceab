"""Emergency stops."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IN_FORCE = sa.text("lifted_at IS NULL")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "policy_stops",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("added_at", moment, nullable=False),
        sa.Column("lifted_by", sa.String()),
        sa.Column("lifted_at", moment),
        sa.Column("lifted_reason", sa.String()),
        sa.PrimaryKeyConstraint("id", name="policy_stops_key"),
    )
    op.create_index(
        "stops_in_force", "policy_stops", ["added_at", "id"], sqlite_where=IN_FORCE, postgresql_where=IN_FORCE
    )


def downgrade() -> None:
    op.drop_table("policy_stops")
