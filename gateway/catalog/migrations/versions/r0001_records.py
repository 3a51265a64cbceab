"""The first schema: images with their labels, blobs, locations, imports, decisions, policy trees."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ALIVE = sa.text("deleted_at IS NULL")
OPEN = sa.text("status IN ('pending', 'processing')")


def upgrade() -> None:
    _images()
    _image_indexes()
    _labels()
    _blobs()
    _locations()
    _imports()
    _decisions()


def downgrade() -> None:
    for table in ("policy_trees", "decisions", "imports", "locations", "blobs", "image_properties", "image_tags"):
        op.drop_table(table)
    op.drop_table("images")


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("name", sa.String()),
        sa.Column("disk_format", sa.String()),
        sa.Column("container_format", sa.String()),
        sa.Column("visibility", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("virtual_size", sa.BigInteger()),
        sa.Column("checksum", sa.String()),
        sa.Column("os_hash_algo", sa.String()),
        sa.Column("os_hash_value", sa.String()),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("os_hidden", sa.Boolean(), nullable=False),
        sa.Column("min_disk", sa.BigInteger(), nullable=False),
        sa.Column("min_ram", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="images_key"),
    )


def _image_indexes() -> None:
    for name, columns in {
        "images_by_age": ["created_at", "id"],
        "images_by_owner": ["owner", "created_at", "id"],
        "images_by_visibility": ["visibility", "created_at", "id"],
        "images_by_name": ["name", "created_at", "id"],
        "images_by_status": ["status", "updated_at"],
    }.items():
        op.create_index(name, "images", columns, sqlite_where=ALIVE, postgresql_where=ALIVE)


def _labels() -> None:
    op.create_table(
        "image_tags",
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="image_tags_image_id_in_images"),
        sa.PrimaryKeyConstraint("tag", "image_id", name="image_tags_key"),
    )
    op.create_index("image_tags_by_image_id", "image_tags", ["image_id"])
    op.create_table(
        "image_properties",
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="image_properties_image_id_in_images"),
        sa.PrimaryKeyConstraint("image_id", "name", name="image_properties_key"),
    )
    op.create_index("image_properties_by_name_value", "image_properties", ["name", "value"])


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger()),
        sa.Column("verdict", sa.JSON()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="blobs_image_id_in_images"),
        sa.PrimaryKeyConstraint("id", name="blobs_key"),
        sa.UniqueConstraint("store", "key", name="blobs_once_by_store_key"),
    )
    op.create_index("blobs_by_image_id", "blobs", ["image_id"])
    op.create_index("blobs_by_state", "blobs", ["state"])


def _locations() -> None:
    op.create_table(
        "locations",
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("blob_id", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="locations_image_id_in_images"),
        sa.ForeignKeyConstraint(["blob_id"], ["blobs.id"], name="locations_blob_id_in_blobs"),
        sa.PrimaryKeyConstraint("image_id", "blob_id", name="locations_key"),
    )
    op.create_index("locations_by_blob_id", "locations", ["blob_id"])


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String()),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger()),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("code", sa.String()),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("remedy", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="imports_image_id_in_images"),
        sa.PrimaryKeyConstraint("id", name="imports_key"),
    )
    op.create_index("imports_by_image_id_created_at", "imports", ["image_id", "created_at"])
    op.create_index("imports_by_status", "imports", ["status"])
    op.create_index("imports_open", "imports", ["image_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("image_id", sa.String()),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="decisions_key"),
    )
    op.create_index("decisions_by_image_id", "decisions", ["image_id"])
    op.create_table(
        "policy_trees",
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="policy_trees_key"),
    )
