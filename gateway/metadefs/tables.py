"""The tables of metadata definitions. They live in the catalog's database and are nobody else's."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, MetaData, String, Table

from gateway.catalog.tables import Moment
from gateway.catalog.tables import metadata as records

metadata = MetaData(naming_convention=records.naming_convention)

namespaces = Table(
    "metadef_namespaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("namespace", String, nullable=False, unique=True),
    Column("owner", String, nullable=False, index=True),
    Column("display_name", String),
    Column("description", String),
    Column("visibility", String, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

definitions = Table(
    "metadef_definitions",
    metadata,
    Column("namespace_id", String, ForeignKey("metadef_namespaces.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "kind", "name"),
)

resource_types = Table(
    "metadef_resource_types",
    metadata,
    Column("name", String, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
