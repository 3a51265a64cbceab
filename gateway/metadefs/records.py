"""Namespaces and what they define, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a namespace holds; the value is the word for one of them."""

    OBJECT = "object"
    PROPERTY = "property"
    TAG = "tag"
    ASSOCIATION = "resource type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A named set of definitions. `namespace` is its name, unique in the cloud and changeable; `id` is our own."""

    id: str
    namespace: str
    owner: str
    display_name: str | None = None
    description: str | None = None
    visibility: str = "private"
    protected: bool = False
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One definition, named once for its kind in its namespace. `body` is what the caller sent, as JSON values."""

    kind: Kind
    name: str
    body: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """A type of thing that namespaces are associated with."""

    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list: at most `limit` (None: all) behind the name `marker`, by `sort_key`."""

    sort_key: str = "created_at"
    descending: bool = True
    marker: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceFilter:
    """Conditions that all have to hold; None and empty ones do."""

    visibility: str | None = None
    resource_types: tuple[str, ...] = ()
    defines: str | None = None
