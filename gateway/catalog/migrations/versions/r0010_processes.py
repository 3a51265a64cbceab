"""Many gateways on one database: their signs of life, the queue of imports, and whose turn it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'processing')")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("lease", sa.Integer()),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("beat_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="processes_key"),
    )
    op.create_table(
        "project_turns",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("served", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", name="project_turns_key"),
    )
    op.create_index("project_turns_by_given", "project_turns", ["given"])
    op.create_table(
        "shared_keys",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="shared_keys_key"),
    )
    for column in (
        sa.Column("project", sa.String(), nullable=False, server_default=""),
        sa.Column("runner", sa.String()),
        sa.Column("parked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("begun_at", _MOMENT),
    ):
        op.add_column("imports", column)
    columns = ["project", "created_at", "id"]
    op.create_index("imports_queue", "imports", columns, sqlite_where=_OPEN, postgresql_where=_OPEN)
    _queue_open_ones()
    # Whoever wrote these has let go of them.
    op.execute("UPDATE blobs SET writer = '' WHERE state IN ('staged', 'kept')")


def _queue_open_ones() -> None:
    """Open imports go on from here: each has its project, and those that wait for a person are parked."""
    imports = sa.table(
        "imports", sa.column("id"), sa.column("status"), sa.column("facts", sa.JSON()), sa.column("project"),
        sa.column("parked", sa.Boolean()),
    )  # fmt: skip
    waiting = sa.table("import_approvals", sa.column("import_id"), sa.column("state"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(imports.c.id, imports.c.facts).where(_OPEN)).all():
        project = (row.facts or {}).get("project.id", "")
        connection.execute(imports.update().where(imports.c.id == row.id).values(project=project))
    undecided = sa.select(waiting.c.import_id).where(waiting.c.state != "approved")
    connection.execute(imports.update().where(_OPEN, imports.c.id.in_(undecided)).values(parked=sa.true()))


def downgrade() -> None:
    op.drop_index("imports_queue", "imports")
    for name in ("begun_at", "parked", "runner", "project"):
        op.drop_column("imports", name)
    for table in ("shared_keys", "project_turns", "processes"):
        op.drop_table(table)
