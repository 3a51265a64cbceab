"""Accepting an import request: checks in the order Glance makes them, one transaction, and the work is durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Conflict, NotFound
from gateway.model.image import BlobState, Image, Move, Status, target
from gateway.model.imports import Import
from gateway.model.verdict import Verdict
from gateway.policy.facts import METHODS as KNOWN_METHODS
from gateway.ports import Method, SourceRequest, Transaction
from gateway.service.images import visible, writable
from gateway.service.judge import FactValues, Judgement, about, judge, remember, seen, who
from gateway.service.site import Site
from gateway.stages.verdicts import verdict_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """An import request's body and store header, checked for shape alone."""

    method: str
    options: Mapping[str, object]
    stores: tuple[str, ...] = ()
    all_stores: bool = False
    request_id: str = ""


async def accept(site: Site, caller: Caller, image_id: str, request: ImportRequest) -> Import:
    """`POST /v2/images/{id}/import`. Order of checks: images-api, "Precedence of checks".

    Raises BadRequest, NotFound, Forbidden, Conflict, PolicyRefused.
    """
    method = known_method(site, request.method)
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        check_ready(image, method)
        image = await writable(tx, caller, image_id)
        verdict = await staged_verdict(tx, image) if method.move is Move.IMPORT_STAGED else None
    store = choose_store(site, request)
    source = method.read(request.options)
    values = {**who(caller), **about(image), **source.facts, "request.stores": (store,)}
    if verdict is not None:
        values |= seen(verdict)
    judgement = await judge(site, method.name, values, image_id=image_id, final=verdict is not None)
    return await _begin(site, caller, image, _work(site, caller, image, request, source, store, judgement), judgement)


async def _begin(site: Site, caller: Caller, image: Image, work: Import, judgement: Judgement) -> Import:
    """The status moves, the decision is kept and the work is queued: together, or not at all."""
    async with site.catalog.begin() as tx:
        await tx.move_image(image.id, site.methods[work.method].move, now=work.created_at)
        await tx.add_import(work)
        await remember(tx, judgement, image.id)
        await site.jobs.enqueue(tx, work.id, caller.project_id)
    return work


def _work(
    site: Site,
    caller: Caller,
    image: Image,
    request: ImportRequest,
    source: SourceRequest,
    store: str,
    judgement: Judgement,
) -> Import:
    now = site.clock.now()
    return Import(
        id=site.new_id(),
        image_id=image.id,
        owner=image.owner,
        user_id=caller.user_id,
        method=request.method,
        request=dict(source.shown),
        sealed=site.seal.close(source.secret) if source.secret else None,
        facts=judgement.facts,
        store=store,
        decision_id=judgement.id,
        revision=judgement.decision.revision,
        created_at=now,
        updated_at=now,
        request_id=request.request_id,
    )


def read_request(body: Mapping[str, Any], store_header: str | None, request_id: str) -> ImportRequest:
    """Check the shape of an import request's body. Raises BadRequest that names the key."""
    method = body.get("method")
    if not isinstance(method, dict):
        _bad("'method' must be an object", 'Send {"method": {"name": "glance-direct"}}.')
    name = method.get("name")
    if not isinstance(name, str):
        _bad("'method' needs a 'name' that is a string", 'Send {"method": {"name": "glance-direct"}}.')
    for key in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(body.get(key, False), bool):
            _bad(f"'{key}' must be true or false")
    stores = _stores(body)
    all_stores = body.get("all_stores", False)
    if sum((bool(stores), all_stores, store_header is not None)) > 1:
        _bad("'stores', 'all_stores' and the header X-Image-Meta-Store exclude each other", "Send one of them.")
    if store_header is not None:
        stores = (store_header,)
    return ImportRequest(method=name, options=method, stores=stores, all_stores=all_stores, request_id=request_id)


def _stores(body: Mapping[str, Any]) -> tuple[str, ...]:
    if "stores" not in body:
        return ()
    stores = body["stores"]
    if not isinstance(stores, list) or not all(isinstance(name, str) for name in stores):
        _bad("'stores' must be a list of store names")
    if not stores:
        _bad("'stores' is empty", "Leave it out to import into the default store, or name one.")
    return tuple(dict.fromkeys(stores))


def _bad(message: str, remedy: str = "") -> NoReturn:
    raise BadRequest(f"Invalid import request: {message}.", remedy=remedy, code="bad-import-request")


def known_method(site: Site, name: str) -> Method:
    if name in site.methods:
        return site.methods[name]
    if name in KNOWN_METHODS:
        raise BadRequest(
            f"Import method '{name}' is not available at this site.",
            remedy=f"Available are: {', '.join(sorted(site.methods))}.",
            code="method-unavailable",
        )
    raise BadRequest(f"Unknown import method name '{name}'.", remedy="GET /v2/info/import lists yours.")


def check_ready(image: Image, method: Method) -> None:
    """Status first, then formats: Conflict, in Glance's words."""
    if image.status is not method.starts_from:
        if method.starts_from is Status.UPLOADING and image.status is Status.QUEUED:
            raise Conflict(
                f"Image needs to be staged before '{method.name}' method can be used",
                remedy="Send its data with PUT /v2/images/{id}/stage first.",
                code="status-conflict",
            )
        target(image.status, method.move)
    for field in ("container_format", "disk_format"):
        if getattr(image, field) is None:
            raise Conflict(
                f"'{field}' needs to be set before import",
                remedy=f"Set '{field}' with PATCH /v2/images/{{id}}, then import.",
                code="formats-unset",
            )


def choose_store(site: Site, request: ImportRequest) -> str:
    """The one store to import into. Raises Conflict for unknown names, as Glance does."""
    wanted = tuple(site.stores) if request.all_stores else request.stores or (site.default_store,)
    for name in wanted:
        if name not in site.stores:
            raise Conflict(
                f"Store for identifier {name} not found",
                remedy=f"Stores here: {', '.join(site.stores)}.",
                code="unknown-store",
            )
    if len(wanted) > 1:
        _bad("this site imports into one store at a time", f"Name one of: {', '.join(site.stores)}.")
    return wanted[0]


async def staged_verdict(tx: Transaction, image: Image) -> Verdict:
    """What is known of the staged bytes. Raises Conflict while they still arrive."""
    for blob in reversed(await tx.blobs(image.id)):
        if blob.state is BlobState.STAGED and blob.verdict is not None:
            return verdict_from_json(blob.verdict)
    raise Conflict(
        f"The data of image {image.id} is still being staged.",
        remedy="Import it once the upload has ended.",
        code="still-staging",
    )


async def tasks(site: Site, caller: Caller, image_id: str) -> list[Import]:
    """The image's imports, newest first; other projects see none."""
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        if not caller.is_admin and image.owner != caller.project_id:
            return []
        return list(await tx.imports(image_id))


async def all_tasks(site: Site) -> list[Import]:
    """The open imports of every project."""
    async with site.catalog.read() as tx:
        return list(await tx.open_imports())


async def task(site: Site, caller: Caller, import_id: str) -> Import:
    async with site.catalog.read() as tx:
        work = await tx.import_(import_id)
    if work is None or not (caller.is_admin or work.owner == caller.project_id):
        raise NotFound(f"No task found with ID {import_id}")
    return work


def worker_facts(work: Import) -> FactValues:
    """The facts an import was granted with; JSON keeps lists, facts are tuples."""
    facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in work.facts.items()}
    return facts
