"""The tables of resumable uploads."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, String, Table, text

from gateway.catalog.tables import Moment, metadata

_LIVING = text("state IN ('open', 'whole')")
_JSON = JSON(none_as_null=True)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String, primary_key=True),
    Column("image_id", String, ForeignKey("images.id"), nullable=False),
    Column("user_id", String, nullable=False),
    Column("store", String, nullable=False),
    Column("state", String, nullable=False),
    Column("length", BigInteger),
    Column("offset", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("blob_id", String),
    Column("facts", _JSON, nullable=False),
    Column("said", String, nullable=False),
    Column("refusal", _JSON),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # The database itself keeps an image from having two uploads at once.
    Index("uploads_open", "image_id", unique=True, sqlite_where=_LIVING, postgresql_where=_LIVING),
    Index(None, "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String, ForeignKey("uploads.id"), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("blob_id", String, nullable=False),
)
