"""The tables. Everything here is valid on SQLite and on PostgreSQL.

Tags and properties are kept twice on purpose: as JSON on the image row, so that a page of images is one statement, and
as rows of `image_tags` and `image_properties`, which exist only to be filtered by. `Images` is the one
class that writes both. Which stores hold an image, and its open import, are never stored: they are computed.

Deleted images keep their row (`deleted_at` set): their ids are never given out again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out; SQLite keeps no time zones, so there it is stored as plain UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_once_by_%(column_0_N_name)s",
        "fk": "%(table_name)s_%(column_0_N_name)s_in_%(referred_table_name)s",
        "pk": "%(table_name)s_key",
    }
)
_JSON = JSON(none_as_null=True)
_ALIVE = text("deleted_at IS NULL")
_BUSY = text("deleted_at IS NULL AND status IN ('importing', 'saving', 'uploading')")
_IN_FORCE = text("lifted_at IS NULL")
_NOT_ENDED = text("ended_at IS NULL")
_WAITING = text("signature IS NULL")
_OPEN_IMPORT = text("status IN ('pending', 'processing')")


def _alive_index(name: str, *columns: str) -> Index:
    """An index that leaves tombstones out, so that a long history costs a list nothing."""
    return Index(name, *columns, sqlite_where=_ALIVE, postgresql_where=_ALIVE)


images = Table(
    "images",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String),
    Column("status", String, nullable=False),
    Column("name", String),
    Column("disk_format", String),
    Column("container_format", String),
    Column("visibility", String, nullable=False),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String),
    Column("os_hash_algo", String),
    Column("os_hash_value", String),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("min_disk", BigInteger, nullable=False),
    Column("min_ram", BigInteger, nullable=False),
    Column("tags", _JSON, nullable=False),
    Column("properties", _JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("deleted_at", Moment),
    _alive_index("images_by_age", "created_at", "id"),
    _alive_index("images_by_owner", "owner", "created_at", "id"),
    _alive_index("images_by_visibility", "visibility", "created_at", "id"),
    _alive_index("images_by_name", "name", "created_at", "id"),
    _alive_index("images_by_size", "size"),
    _alive_index("images_by_owner_and_visibility", "owner", "visibility", "created_at", "id"),
    _alive_index("images_by_owner_and_name", "owner", "name", "created_at", "id"),
    _alive_index("images_by_owner_and_size", "owner", "size"),
    _alive_index("images_by_visibility_and_name", "visibility", "name", "created_at", "id"),
    _alive_index("images_by_visibility_and_size", "visibility", "size"),
    _alive_index("images_by_status", "status", "updated_at"),
    Index("images_busy_by_owner", "owner", sqlite_where=_BUSY, postgresql_where=_BUSY),
)

image_tags = Table(
    "image_tags",
    metadata,
    Column("tag", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), primary_key=True, index=True),
)

image_properties = Table(
    "image_properties",
    metadata,
    Column("image_id", String, ForeignKey("images.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    Index(None, "name", "value"),
)

image_members = Table(
    "image_members",
    metadata,
    Column("image_id", String, ForeignKey("images.id"), primary_key=True),
    Column("member_id", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "member_id", "status", "image_id"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), nullable=False, index=True),
    Column("store", String, nullable=False),
    Column("key", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("writer", String, nullable=False),
    Column("size", BigInteger),
    Column("verdict", _JSON),
    Column("charged", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("store", "key"),
)

project_usage = Table(
    "project_usage",
    metadata,
    Column("project", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

project_history = Table(
    "project_history",
    metadata,
    Column("project", String, primary_key=True),
    Column("accepted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("first_at", Moment),
)

openings = Table(
    "break_glass_openings",
    metadata,
    Column("id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("opened_by", String, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("ended_by", String),
    # The database itself keeps a rule from being open twice for a project.
    Index("openings_open", "project", "rule", unique=True, sqlite_where=_NOT_ENDED, postgresql_where=_NOT_ENDED),
)

locations = Table(
    "locations",
    metadata,
    Column("image_id", String, ForeignKey("images.id"), primary_key=True),
    Column("blob_id", String, ForeignKey("blobs.id"), primary_key=True, index=True),
    Column("metadata", _JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)

imports = Table(
    "imports",
    metadata,
    Column("id", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), nullable=False),
    Column("owner", String),
    Column("user_id", String, nullable=False),
    Column("method", String, nullable=False),
    Column("type", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("request", _JSON, nullable=False),
    Column("sealed", LargeBinary),
    Column("facts", _JSON, nullable=False),
    Column("stores", _JSON, nullable=False),
    Column("stores_left", _JSON, nullable=False),
    Column("stores_failed", _JSON, nullable=False),
    Column("all_must_succeed", Boolean, nullable=False),
    Column("decision_id", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),
    Column("bytes_total", BigInteger),
    Column("report", _JSON, nullable=False),
    Column("code", String),
    Column("message", String, nullable=False),
    Column("remedy", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("request_id", String, nullable=False),
    Column("project", String, nullable=False),
    Column("runner", String),
    Column("parked", Boolean, nullable=False),
    Column("begun_at", Moment),
    Index(None, "image_id", "created_at"),
    Index(None, "created_at", "id"),
    # The database itself keeps an image from having two imports at once.
    Index("imports_open", "image_id", unique=True, sqlite_where=_OPEN_IMPORT, postgresql_where=_OPEN_IMPORT),
    Index("imports_queue", "project", "created_at", "id", sqlite_where=_OPEN_IMPORT, postgresql_where=_OPEN_IMPORT),
    Index(None, "status"),
)

project_turns = Table(
    "project_turns",
    metadata,
    Column("project", String, primary_key=True),
    Column("given", BigInteger, nullable=False, index=True),
    Column("served", BigInteger, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", String, primary_key=True),
    Column("host", String, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("lease", Integer),
    Column("revision", String, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("beat_at", Moment, nullable=False),
)

shared_keys = Table(
    "shared_keys",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
)

approvals = Table(
    "import_approvals",
    metadata,
    Column("import_id", String, ForeignKey("imports.id"), primary_key=True),
    Column("role", String, primary_key=True),
    Column("image_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("decided_by", String),
    Column("decided_at", Moment),
    Column("reason", String, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String, primary_key=True),
    Column("image_id", String, index=True),
    Column("at", Moment, nullable=False),
    Column("revision", String, nullable=False),
    Column("record", _JSON, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("image_id", String, ForeignKey("images.id"), primary_key=True),
    Column("statement", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("keyid", String),
    Column("signature", String),
    Index("receipts_waiting", "at", "image_id", sqlite_where=_WAITING, postgresql_where=_WAITING),
)

trees = Table(
    "policy_trees",
    metadata,
    Column("revision", String, primary_key=True),
    Column("sources", _JSON, nullable=False),
)

stops = Table(
    "policy_stops",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("value", String, nullable=False),
    Column("message", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("added_by", String, nullable=False),
    Column("added_at", Moment, nullable=False),
    Column("lifted_by", String),
    Column("lifted_at", Moment),
    Column("lifted_reason", String),
    Index("stops_in_force", "added_at", "id", sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE),
)
