"""The rows of what namespaces define, and of resource types: one statement a method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from gateway.metadefs.keyset import Paged
from gateway.metadefs.records import Definition, Kind, Namespace, Page, ResourceType
from gateway.metadefs.tables import definitions, resource_types
from gateway.model.errors import Conflict

_FIELDS = (
    definitions.c.kind,
    definitions.c.name,
    definitions.c.body,
    definitions.c.created_at,
    definitions.c.updated_at,
)
_OLDEST_FIRST = Page(descending=False)


class DefinitionRows(Paged):
    async def definitions(
        self, namespace: Namespace, kind: Kind | None = None, page: Page = _OLDEST_FIRST
    ) -> Sequence[Definition]:
        """All a namespace defines, or a page of one kind. Raises NotFound for an unknown marker."""
        rows = select(*_FIELDS).where(*_key(namespace, kind))
        return [_definition(row) for row in await self._page(rows, page, "name")]

    async def definition(self, namespace: Namespace, kind: Kind, name: str) -> Definition | None:
        row = await self._first(select(*_FIELDS).where(*_key(namespace, kind, name)))
        return _definition(row) if row else None

    async def associations(self, namespaces: Iterable[Namespace]) -> Mapping[str, Sequence[Definition]]:
        """The associations of many namespaces, by namespace id."""
        found: dict[str, list[Definition]] = {namespace.id: [] for namespace in namespaces}
        rows = select(definitions.c.namespace_id, *_FIELDS).where(
            definitions.c.kind == Kind.ASSOCIATION.value, definitions.c.namespace_id.in_(found)
        )
        for row in await self._all(rows.order_by(definitions.c.created_at, definitions.c.name)):
            found[row.namespace_id].append(_definition(row))
        return found

    async def add_definition(self, namespace: Namespace, new: Definition) -> None:
        """Raises Conflict where the namespace has one of that kind and name."""
        values = {"namespace_id": namespace.id, "kind": new.kind.value, "created_at": new.created_at, **_changing(new)}
        await self._add(definitions, values, _taken(namespace, new))

    async def change_definition(self, namespace: Namespace, name: str, new: Definition) -> None:
        """Put `new` in the place of the definition called `name`, which keeps its age. Raises Conflict."""
        statement = update(definitions).where(*_key(namespace, new.kind, name)).values(_changing(new))
        try:
            await self._change(statement)
        except IntegrityError as error:
            raise _taken(namespace, new) from error

    async def drop_definitions(self, namespace: Namespace, kind: Kind, name: str | None = None) -> int:
        """One by name, or all of a kind. Gives how many there were."""
        return await self._change(delete(definitions).where(*_key(namespace, kind, name)))

    async def resource_types(self) -> Sequence[ResourceType]:
        rows = await self._all(select(resource_types).order_by(resource_types.c.name))
        return [ResourceType(**row._mapping) for row in rows]

    async def add_resource_types(self, names: Iterable[str], *, now: datetime) -> None:
        """Those that are not known yet. A resource type stays when its last association goes."""
        known = {one.name for one in await self.resource_types()}
        for name in sorted(set(names) - known):
            refusal = Conflict(f"Resource type {name} was added by somebody else just now.", remedy="Try again.")
            await self._add(resource_types, {"name": name, "created_at": now, "updated_at": now}, refusal)


def _definition(row: Row[Any]) -> Definition:
    return Definition(
        kind=Kind(row.kind), name=row.name, body=row.body, created_at=row.created_at, updated_at=row.updated_at
    )


def _changing(new: Definition) -> dict[str, Any]:
    return {"name": new.name, "body": dict(new.body), "updated_at": new.updated_at}


def _key(namespace: Namespace, kind: Kind | None, name: str | None = None) -> Iterator[ColumnElement[bool]]:
    yield definitions.c.namespace_id == namespace.id
    if kind is not None:
        yield definitions.c.kind == kind.value
    if name is not None:
        yield definitions.c.name == name


def _taken(namespace: Namespace, new: Definition) -> Conflict:
    return Conflict(
        f"Namespace {namespace.namespace} has a {new.kind} {new.name} already.",
        remedy="Choose another name, or change the one that is there.",
        code="definition-exists",
    )
