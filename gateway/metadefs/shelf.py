"""Where the records of metadata definitions are: the catalog's database, inside the catalog's own transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.catalog.migrations import create
from gateway.metadefs.definition_rows import DefinitionRows
from gateway.metadefs.namespace_rows import NamespaceRows
from gateway.metadefs.tables import metadata
from gateway.service.site import Site

RESOURCE_TYPES = (
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
    "OS::Trove::Instance",
)
"""The types that clouds share. More come with the associations that name them."""


class Shelf(NamespaceRows, DefinitionRows):
    """One transaction. After a Conflict it can only be rolled back."""


@asynccontextmanager
async def reading(site: Site) -> AsyncIterator[Shelf]:
    """A snapshot. Raises Unavailable where the catalog does."""
    async with site.catalog.read() as tx:
        yield Shelf(tx.native())


@asynccontextmanager
async def writing(site: Site) -> AsyncIterator[Shelf]:
    """Commits on a clean exit, rolls back on any exception. Raises Unavailable where the catalog does."""
    async with site.catalog.begin() as tx:
        yield Shelf(tx.native())


async def create_tables(site: Site) -> None:
    """Create what is missing, in one transaction: of two processes that start together, one finds it done."""
    async with writing(site) as shelf:
        await shelf.native().run_sync(create, metadata)
        await shelf.add_resource_types(RESOURCE_TYPES, now=site.clock.now())
