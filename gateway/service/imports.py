"""Accepting an import request: checks in the order Glance makes them, one transaction, and the work is durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Conflict
from gateway.model.image import BlobState, Image, Move, Status, target
from gateway.model.imports import Import, ImportType
from gateway.model.usage import Counted
from gateway.model.verdict import Verdict
from gateway.policy.facts import METHODS as KNOWN_METHODS
from gateway.ports import Method, SourceRequest, Transaction
from gateway.service.images import doom, visible, writable
from gateway.service.judge import FactValues, Judgement, about, judge, remember, seen, who
from gateway.service.proofs import check_enough, check_named
from gateway.service.site import Site
from gateway.service.targets import choose_behind, choose_stores
from gateway.service.usage import hold
from gateway.stages.verdicts import verdict_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """An import request's body and store header, checked for shape alone; `token` is the caller's, if it sent one."""

    method: str
    options: Mapping[str, object]
    stores: tuple[str, ...] = ()
    store_header: str | None = None
    all_stores: bool = False
    all_must_succeed: bool = True
    request_id: str = ""
    token: str | None = field(default=None, repr=False)


async def accept(site: Site, caller: Caller, image_id: str, request: ImportRequest) -> Import | None:
    """None where there is nothing to do: the image is in all the stores it shall be copied to.

    `POST /v2/images/{id}/import`. Order of checks: images-api, "Precedence of checks".

    Raises BadRequest, NotFound, Forbidden, Conflict, PolicyRefused, OverQuota.
    """
    method = known_method(site, request.method)
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        check_ready(image, method)
        image = await writable(tx, caller, image_id)
        check_idle(image)
        verdict = await known_verdict(tx, image, method)
    stores = await _stores_of(site, image, method, request)
    if not stores:
        return None
    source = _with_token(method.read(request.options), request.token)
    values = {**who(caller), **about(image), **source.facts, "request.stores": stores}
    if verdict is not None:
        values |= seen(verdict)
    judgement = await judge(site, method.name, values, image_id=image_id, final=verdict is not None)
    if method.move is not Move.COPY:
        await check_named(site, image, method, source, values)
    if verdict is None:
        check_enough(judgement.decision.plan, image, method)
    size = _moved(verdict, method, len(stores))
    wanted = Wanted(request.method, ImportType.IMPORT, stores, request.all_must_succeed, request.request_id, size)
    return await begin(site, caller, image, wanted, source, judgement)


async def _stores_of(site: Site, image: Image, method: Method, request: ImportRequest) -> tuple[str, ...]:
    named, header, every = request.stores, request.store_header, request.all_stores
    if site.upstream is not None:
        return await choose_behind(site, named=named, header=header, every=every)
    copies = method.move is Move.COPY
    return choose_stores(site, image, named=named, header=header, every=every, copies=copies)


def _with_token(source: SourceRequest, token: str | None) -> SourceRequest:
    """A token is replayed only where a method asks for it; sealed like the rest of the secret, it ends with it."""
    if token is None or not source.with_token:
        return source
    return replace(source, secret={**source.secret, "token": token})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an import shall be, once everything about its request is settled. `size` is how much it moves, in bytes."""

    method: str
    type: ImportType
    stores: tuple[str, ...]
    all_must_succeed: bool
    request_id: str
    size: int | None = None


def _moved(verdict: Verdict | None, method: Method, stores: int) -> int | None:
    if verdict is None:
        return None
    return verdict.size * stores if method.move is Move.COPY else verdict.source_size


async def begin(
    site: Site, caller: Caller, image: Image, wanted: Wanted, source: SourceRequest, judgement: Judgement
) -> Import:
    """The status moves, the decision is kept and the work is queued: together, or not at all. Raises Conflict."""
    work = _work(site, caller, image, wanted, source, judgement)
    move = site.methods[work.method].move
    async with site.catalog.begin() as tx:
        await tx.move_image(image.id, move, now=work.created_at)
        if move is Move.IMPORT_SOURCE:
            await doom(tx, await tx.blobs(image.id))
        await tx.add_import(work)
        asked = {Counted.IMPORTS: 1, Counted.SIZE: 0}
        await hold(tx, image.owner, judgement.decision.plan.quotas, asked, coming=_coming(image, wanted, move))
        await remember(tx, judgement, image.id)
    site.jobs.kick()
    return work


def _coming(image: Image, wanted: Wanted, move: Move) -> int:
    """Bytes that will be charged for sure. Of a source nobody has asked yet that is one: a full project is told now."""
    return (image.size or 0) * len(wanted.stores) if move is Move.COPY else int(move is Move.IMPORT_SOURCE)


def _work(
    site: Site, caller: Caller, image: Image, wanted: Wanted, source: SourceRequest, judgement: Judgement
) -> Import:
    now = site.clock.now()
    return Import(
        id=site.new_id(),
        image_id=image.id,
        owner=image.owner,
        project=caller.project_id,
        user_id=caller.user_id,
        method=wanted.method,
        type=wanted.type,
        request=dict(source.shown),
        sealed=site.seal.close(source.secret) if source.secret else None,
        facts=judgement.facts,
        stores=wanted.stores,
        stores_left=wanted.stores,
        all_must_succeed=wanted.all_must_succeed,
        decision_id=judgement.id,
        revision=judgement.decision.revision,
        bytes_total=wanted.size,
        created_at=now,
        updated_at=now,
        request_id=wanted.request_id,
    )


def read_request(
    body: Mapping[str, Any], store_header: str | None, request_id: str, token: str | None = None
) -> ImportRequest:
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
    return ImportRequest(
        method=name,
        options=method,
        stores=_stores(body),
        store_header=store_header,
        all_stores=body.get("all_stores", False),
        all_must_succeed=body.get("all_stores_must_succeed", True),
        request_id=request_id,
        token=token,
    )


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
        if method.move is Move.COPY:
            raise Conflict(
                f"Only images with status active can be targeted for copying: '{method.name}' needs one.",
                remedy=f"This image is {image.status}; import its data first.",
                code="status-conflict",
            )
        target(image.status, method.move)
    for name in ("container_format", "disk_format"):
        if getattr(image, name) is None:
            raise Conflict(
                f"'{name}' needs to be set before import",
                remedy=f"Set '{name}' with PATCH /v2/images/{{id}}, then import.",
                code="formats-unset",
            )


def check_idle(image: Image) -> None:
    """Raises Conflict while another import of the image is open."""
    if image.import_id is not None:
        raise Conflict(
            f"Image {image.id} has an active task.",
            remedy="Wait for it to end (see the image's tasks), or delete the image.",
            code="import-active",
        )


async def known_verdict(tx: Transaction, image: Image, method: Method) -> Verdict | None:
    """What is known of the bytes already. Raises Conflict while they still arrive."""
    if method.move is Move.IMPORT_STAGED:
        return await staged_verdict(tx, image)
    if method.move is Move.COPY:
        verdicts = [blob.verdict for blob in await tx.locations(image.id) if blob.verdict is not None]
        return verdict_from_json(verdicts[0]) if verdicts else None
    return None


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


def worker_facts(work: Import) -> FactValues:
    """The facts an import was granted with; JSON keeps lists, facts are tuples."""
    facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in work.facts.items()}
    return facts
