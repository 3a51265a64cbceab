"""Questions about imports that nobody starts: what would happen, and what a request may say. Nothing is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.model.caller import Caller
from gateway.policy.advice import answer_json
from gateway.policy.asking_schema import import_schema
from gateway.policy.facts import FactValue
from gateway.policy.whatif import Question
from gateway.service.judge import FactValues, asking, choices
from gateway.service.reception import UPLOAD
from gateway.service.site import Site
from gateway.service.targets import check_usable, choose_behind
from gateway.service.usage import offered

_SAID: Mapping[str, tuple[str, ...]] = {
    "disk_format": ("request.disk_format", "content.disk_format"),
    "container_format": ("request.container_format",),
    "visibility": ("request.visibility",),
    "properties": ("request.properties",),
    "size": ("content.size",),
    "virtual_size": ("content.virtual_size",),
}
"""The facts each key of a what-if stands for: the bytes are taken to be what the question says."""


async def what_if(site: Site, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to `POST /v2/info/import/what-if`; `body` has the shape of its schema.

    Raises BadRequest for a source that no import would accept, Conflict for a store that takes nothing.
    """
    policy = site.policy.current
    question = Question(
        policy=policy,
        method=body["method"]["name"],
        facts=(await asking(site, policy, caller)).knowing(await _asked(site, body)),
        stages=site.stages,
        choices=choices(site),
    )
    return await asyncio.to_thread(answer_json, question)


async def schema_of_imports(site: Site, caller: Caller) -> dict[str, Any]:
    """What this caller may send to `POST /v2/images/{id}/import`."""
    if site.upstream is not None:
        await site.upstream.stores()  # as they are now
    return import_schema(await offered(site, caller), choices(site))


async def _asked(site: Site, body: Mapping[str, Any]) -> FactValues:
    stores = await _stores(site, tuple(dict.fromkeys(body.get("stores", ()))))
    found: dict[str, FactValue] = {fact: body[key] for key, facts in _SAID.items() if key in body for fact in facts}
    if "size" in body and body["method"]["name"] == UPLOAD:
        found["request.size"] = body["size"]
    return {**found, **_source(site, body["method"]), "request.stores": stores}


async def _stores(site: Site, named: tuple[str, ...]) -> tuple[str, ...]:
    if site.upstream is not None:
        return await choose_behind(site, named=named)
    stores = named or (site.default_store,)
    check_usable(site, stores)
    return stores


def _source(site: Site, method: Mapping[str, Any]) -> FactValues:
    """What is said about the source, read as an import reads it. A region is enough of an image elsewhere."""
    name = method["name"]
    if "uri" in method and name in site.methods:
        return site.methods[name].read(method).facts
    return {"request.region": method["glance_region"]} if "glance_region" in method else {}
