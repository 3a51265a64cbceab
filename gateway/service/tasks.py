"""Imports as tasks, over all images: for administrators; an owner may read its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.model.caller import Caller
from gateway.model.errors import Forbidden, NotFound
from gateway.model.imports import Import
from gateway.ports import ImportQuery
from gateway.service.site import Site


def check_access(caller: Caller) -> None:
    """Glance's tasks_api_access rule. Raises Forbidden."""
    if not caller.is_admin:
        raise Forbidden("Tasks are for administrators.", remedy="GET /v2/images/{id}/tasks lists an image's own.")


async def page(site: Site, query: ImportQuery) -> tuple[Sequence[Import], bool]:
    """One page, and whether more follow."""
    async with site.catalog.read() as tx:
        found = await tx.all_imports(replace(query, limit=query.limit + 1)) if query.limit else []
    return found[: query.limit], len(found) > query.limit


async def task(site: Site, caller: Caller, import_id: str) -> Import:
    async with site.catalog.read() as tx:
        work = await tx.import_(import_id)
    if work is None or not (caller.is_admin or work.owner == caller.project_id):
        raise NotFound(f"No task found with ID {import_id}")
    return work
