"""The rows of namespaces: one statement a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import true

from gateway.metadefs.keyset import Paged
from gateway.metadefs.records import Kind, Namespace, NamespaceFilter, Page
from gateway.metadefs.tables import definitions, namespaces
from gateway.model.caller import Caller
from gateway.model.errors import Conflict

Condition = ColumnElement[bool]


class NamespaceRows(Paged):
    async def namespace(self, name: str) -> Namespace | None:
        row = await self._first(select(namespaces).where(namespaces.c.namespace == name))
        return Namespace(**row._mapping) if row else None

    async def namespaces(self, caller: Caller, wanted: NamespaceFilter, page: Page) -> Sequence[Namespace]:
        """A page of what the caller sees. Raises NotFound for a marker that is not in this list."""
        rows = select(namespaces).where(_sight(caller), *_wanted(wanted))
        return [Namespace(**row._mapping) for row in await self._page(rows, page, "namespace")]

    async def add_namespace(self, namespace: Namespace) -> None:
        """Raises Conflict where the name is in use."""
        await self._add(namespaces, asdict(namespace), _taken(namespace.namespace))

    async def change_namespace(self, namespace_id: str, values: Mapping[str, Any]) -> None:
        """Raises Conflict where another namespace has the new name."""
        try:
            await self._change(update(namespaces).where(namespaces.c.id == namespace_id).values(dict(values)))
        except IntegrityError as error:
            raise _taken(values["namespace"]) from error

    async def drop_namespace(self, namespace_id: str) -> None:
        """The namespace and all it defines, also what is being defined at the same moment."""
        await self._first(select(namespaces.c.id).where(namespaces.c.id == namespace_id).with_for_update())
        await self._change(delete(definitions).where(definitions.c.namespace_id == namespace_id))
        await self._change(delete(namespaces).where(namespaces.c.id == namespace_id))


def _sight(caller: Caller) -> Condition:
    if caller.is_admin:
        return true()
    return or_(namespaces.c.owner == caller.project_id, namespaces.c.visibility == "public")


def _wanted(wanted: NamespaceFilter) -> Iterator[Condition]:
    if wanted.visibility is not None:
        yield namespaces.c.visibility == wanted.visibility
    if wanted.resource_types:
        yield _holds(Kind.ASSOCIATION, definitions.c.name.in_(wanted.resource_types))
    if wanted.defines is not None:
        yield _holds(Kind.PROPERTY, definitions.c.name == wanted.defines)


def _holds(kind: Kind, named: Condition) -> Condition:
    return exists().where(definitions.c.namespace_id == namespaces.c.id, definitions.c.kind == kind.value, named)


def _taken(name: str) -> Conflict:
    return Conflict(f"A namespace {name} exists already.", remedy="Choose another name.", code="namespace-exists")
