"""What can be done with namespaces and what they define, each in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.metadefs.access import check_reads, check_writes, removable, visible, writable
from gateway.metadefs.records import Definition, Kind, Namespace, NamespaceFilter, Page, ResourceType
from gateway.metadefs.shelf import Shelf, reading, writing
from gateway.model.caller import Caller
from gateway.model.errors import NotFound
from gateway.service.site import Site


@dataclass(frozen=True, slots=True)
class Opened:
    """A namespace with what it defines, or a part of that."""

    namespace: Namespace
    contents: Sequence[Definition] = ()


async def page(site: Site, caller: Caller, wanted: NamespaceFilter, page: Page) -> tuple[Sequence[Opened], bool]:
    """One page of namespaces with their associations, and whether more follow. Raises Forbidden, NotFound (marker)."""
    check_reads(caller)
    asked = replace(page, limit=page.limit + 1) if page.limit else page
    async with reading(site) as shelf:
        found = await shelf.namespaces(caller, wanted, asked)
        shown = found[: page.limit]
        associations = await shelf.associations(shown)
    return [Opened(namespace, associations[namespace.id]) for namespace in shown], len(found) > len(shown)


async def show(site: Site, caller: Caller, name: str) -> Opened:
    """A namespace with everything it defines. Raises NotFound."""
    async with reading(site) as shelf:
        namespace = await visible(shelf, caller, name)
        return Opened(namespace, await shelf.definitions(namespace))


async def create(site: Site, caller: Caller, new: Opened) -> None:
    """Raises Forbidden, Conflict: then nothing of it is there."""
    check_writes(caller)
    async with writing(site) as shelf:
        await shelf.add_namespace(new.namespace)
        await _put(shelf, new.namespace, new.contents)


async def change(site: Site, caller: Caller, name: str, values: Mapping[str, Any]) -> Namespace:
    """Set the fields of a namespace; what it defines stays. Raises NotFound, Forbidden, Conflict."""
    async with writing(site) as shelf:
        namespace = await writable(shelf, caller, name)
        await shelf.change_namespace(namespace.id, {**values, "updated_at": site.clock.now()})
        return await visible(shelf, caller, values["namespace"])


async def delete(site: Site, caller: Caller, name: str) -> None:
    """A namespace and all it defines. Raises NotFound, Forbidden."""
    async with writing(site) as shelf:
        namespace = await removable(shelf, caller, name)
        await shelf.drop_namespace(namespace.id)


async def list_kind(site: Site, caller: Caller, name: str, kind: Kind, page: Page) -> Sequence[Definition]:
    """Definitions of one kind. Raises NotFound."""
    async with reading(site) as shelf:
        return await shelf.definitions(await visible(shelf, caller, name), kind, page)


async def find(site: Site, caller: Caller, name: str, kind: Kind, wanted: str) -> Definition:
    """Raises NotFound."""
    async with reading(site) as shelf:
        return await _found(shelf, await visible(shelf, caller, name), kind, wanted)


async def add(
    site: Site, caller: Caller, name: str, new: Sequence[Definition], *, instead_of: Kind | None = None
) -> None:
    """Put definitions into a namespace, in the place of all it has of the kind `instead_of`.

    Raises NotFound, Forbidden, Conflict: then nothing has changed.
    """
    async with writing(site) as shelf:
        namespace = await writable(shelf, caller, name)
        if instead_of is not None:
            await shelf.drop_definitions(namespace, instead_of)
        await _put(shelf, namespace, new)


async def exchange(site: Site, caller: Caller, name: str, old: str, new: Definition) -> Definition:
    """Put `new` in the place of the definition called `old`. Raises NotFound, Forbidden, Conflict."""
    async with writing(site) as shelf:
        namespace = await writable(shelf, caller, name)
        await _found(shelf, namespace, new.kind, old)
        await shelf.change_definition(namespace, old, new)
        return await _found(shelf, namespace, new.kind, new.name)


async def remove(site: Site, caller: Caller, name: str, kind: Kind, unwanted: str) -> None:
    """Raises NotFound, Forbidden."""
    async with writing(site) as shelf:
        namespace = await removable(shelf, caller, name)
        if not await shelf.drop_definitions(namespace, kind, unwanted):
            raise _missing(namespace, kind, unwanted)


async def clear(site: Site, caller: Caller, name: str, kind: Kind) -> None:
    """Remove all of one kind. Raises NotFound, Forbidden."""
    async with writing(site) as shelf:
        await shelf.drop_definitions(await removable(shelf, caller, name), kind)


async def resource_types(site: Site, caller: Caller) -> Sequence[ResourceType]:
    """Raises Forbidden."""
    check_reads(caller)
    async with reading(site) as shelf:
        return await shelf.resource_types()


async def _put(shelf: Shelf, namespace: Namespace, contents: Sequence[Definition]) -> None:
    for new in contents:
        if new.kind is Kind.ASSOCIATION:
            await shelf.add_resource_types([new.name], now=new.created_at)
        await shelf.add_definition(namespace, new)


async def _found(shelf: Shelf, namespace: Namespace, kind: Kind, name: str) -> Definition:
    found = await shelf.definition(namespace, kind, name)
    if found is None:
        raise _missing(namespace, kind, name)
    return found


def _missing(namespace: Namespace, kind: Kind, name: str) -> NotFound:
    return NotFound(
        f"Namespace {namespace.namespace} has no {kind} {name}.",
        remedy=f"GET /v2/metadefs/namespaces/{namespace.namespace} shows what it has.",
    )
