"""`locations` of an image, changed by its owner in a PATCH: the Images API's first way, which asks nobody's bytes.

A place is taken unseen only where the policy demands nothing of the bytes: the project is granted web-download without
a stage to pass and without a limit that only the bytes could prove. Whoever wants them judged uses `locations.add`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.model.caller import Caller
from gateway.model.decision import Action
from gateway.model.errors import BadRequest, Conflict, Forbidden, Refusal
from gateway.model.image import Blob, BlobState, Image, Move, Status, require_formats, target
from gateway.model.usage import Counted
from gateway.ports import Transaction
from gateway.service.delivery import new_blob
from gateway.service.images import doom, writable
from gateway.service.imports import check_idle
from gateway.service.judge import Judgement, about, judge, remember, who
from gateway.service.locations import DIGEST_SIZES, METHOD, place_store, read_source, seal_place
from gateway.service.reading import in_order
from gateway.service.site import Site
from gateway.service.usage import hold

_FIELDS = ("checksum", "os_hash_algo", "os_hash_value")


@dataclass(frozen=True, slots=True)
class PlaceEdit:
    """One operation (add, replace, remove) on `locations` itself (`at` is empty), on its end (`-`) or on one of it."""

    operation: str
    at: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Named:
    """A place as a caller names it. `digests` are fields of the image that are taken on trust."""

    url: str
    metadata: Mapping[str, Any]
    digests: Mapping[str, str]


async def edit(site: Site, caller: Caller, image_id: str, edits: Sequence[PlaceEdit]) -> None:
    """Carry out the operations one after the other; those before a refused one have happened.

    Raises NotFound, Forbidden, Conflict, BadRequest, PolicyRefused.
    """
    for one in edits:
        if one.operation == "remove":
            await _remove(site, caller, image_id, one.at)
        elif one.operation == "add" and one.at:
            await _add(site, caller, image_id, read_place(one.value))
        elif not one.at:
            await _replace(site, caller, image_id, _read_places(one.value))
        else:
            _bad("one of 'locations' cannot be replaced")


def read_place(value: Any) -> Named:
    """Check the shape of `{"url", "metadata", "validation_data"}`. Raises BadRequest."""
    if not isinstance(value, dict) or not isinstance(value.get("url"), str):
        _bad("a location is an object with a 'url'")
    metadata, digests = value.get("metadata", {}), value.get("validation_data") or {}
    if not isinstance(metadata, dict) or not isinstance(digests, dict):
        _bad("'metadata' and 'validation_data' are objects")
    _check_digests(digests)
    return Named(value["url"], metadata, {name: digests[name] for name in _FIELDS if name in digests})


def _check_digests(digests: Mapping[str, Any]) -> None:
    algorithm = digests.get("os_hash_algo")
    if digests and algorithm not in DIGEST_SIZES:
        _bad(f"'os_hash_algo' must be one of {', '.join(DIGEST_SIZES)}")
    for name in ("checksum", "os_hash_value"):
        value = digests.get(name)
        if value is not None and not (isinstance(value, str) and re.fullmatch("[0-9a-f]{1,128}", value)):
            _bad(f"'{name}' must be hexadecimal digits")


def _read_places(value: Any) -> list[Named]:
    if not isinstance(value, list):
        _bad("'locations' is a list")
    return [read_place(one) for one in value]


def _bad(message: str) -> NoReturn:
    raise BadRequest(f"Invalid locations: {message}.", remedy="Send one location at a time.", code="bad-location")


async def _add(site: Site, caller: Caller, image_id: str, named: Named) -> None:
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
    _check_open(image)
    judgement = await _trusted(site, caller, image, named)
    blob = new_blob(site, image_id, place_store(site), key=seal_place(site, named.url))
    size = await _size(site, blob)
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        image = await writable(tx, caller, image_id)
        _check_digests_agree(image, named)
        _check_new(site, await tx.locations(image_id), named)
        if image.status is Status.QUEUED:
            await tx.move_image(image_id, Move.IMPORT_SOURCE, now=now)
            await tx.move_image(image_id, Move.ACTIVATE, now=now, values={"size": size, **named.digests})
        await tx.add_blob(blob)
        await tx.move_blob(blob.id, BlobState.KEPT, {"size": size})
        await hold(tx, image.owner, judgement.decision.plan.quotas, {Counted.SIZE: size})
        await tx.add_location(image_id, blob.id, now=now, metadata=named.metadata)
        await remember(tx, judgement, image_id)


def _check_open(image: Image) -> None:
    check_idle(image)
    if image.status is not Status.ACTIVE:
        target(image.status, Move.IMPORT_SOURCE)
        require_formats(image)


async def _trusted(site: Site, caller: Caller, image: Image, named: Named) -> Judgement:
    """Raises PolicyRefused, and Forbidden where the policy would want to see the bytes."""
    source = read_source(site, named.url)
    values = {**who(caller), **about(image), **source.facts, "request.stores": (place_store(site),)}
    judgement = await judge(site, METHOD, values, image_id=image.id)
    if judgement.decision.action is not Action.ALLOW or judgement.decision.plan.stages:
        raise Forbidden(
            "This cloud looks at the bytes of every location.",
            remedy="Add it with POST /v2/images/{id}/locations.",
            code="bytes-unseen",
        )
    return judgement


async def _size(site: Site, blob: Blob) -> int:
    try:
        return await asyncio.to_thread(site.store(blob.store).size, blob.key)
    except Refusal as refusal:
        raise BadRequest(refusal.message, remedy=refusal.remedy, code="location-unreachable") from None


def _check_digests_agree(image: Image, named: Named) -> None:
    if image.status is Status.QUEUED:
        _check_lengths(named.digests)
        return
    for name, value in named.digests.items():
        if getattr(image, name) != value:
            raise Conflict(
                f"'{name}' of the location is not that of the image.",
                remedy="A location of an image has to hold the same bytes.",
                code="digest-conflict",
            )


def _check_lengths(digests: Mapping[str, str]) -> None:
    """Raises BadRequest for what an image could not be compared with."""
    if not digests:
        return
    sizes = {"checksum": 32, "os_hash_value": DIGEST_SIZES[digests["os_hash_algo"]]}
    for name, size in sizes.items():
        if name in digests and len(digests[name]) != size:
            _bad(f"'{name}' must be {size} hexadecimal digits")
    if "os_hash_value" not in digests:
        _bad("'os_hash_algo' needs an 'os_hash_value'")


def _check_new(site: Site, blobs: Sequence[Blob], named: Named) -> None:
    if named.url in [site.store(blob.store).url(blob.key) for blob in blobs]:
        _bad("the image has this location already")


async def _replace(site: Site, caller: Caller, image_id: str, places: Sequence[Named]) -> None:
    """What callers wrote to the same places; a first list is added. Places come and go by add and remove alone."""
    async with site.catalog.begin() as tx:
        await writable(tx, caller, image_id)
        blobs = await _blobs(site, tx, image_id)
        urls = [site.store(blob.store).url(blob.key) for blob in blobs]
        if blobs and urls != [place.url for place in places]:
            _bad("a list can be replaced by the same places only")
        for blob, place in zip(blobs, places, strict=False):
            await tx.describe_location(image_id, blob.id, place.metadata)
    for place in places if not blobs else ():
        await _add(site, caller, image_id, place)


async def _remove(site: Site, caller: Caller, image_id: str, at: str) -> None:
    async with site.catalog.begin() as tx:
        await writable(tx, caller, image_id)
        if not caller.is_admin:
            raise Forbidden("Locations are removed by administrators.", remedy="Delete the image instead.")
        blobs = await _blobs(site, tx, image_id)
        if not at.isdigit() or int(at) >= len(blobs):
            _bad(f"there is no location {at[:20] or 'of all'}")
        if len(blobs) == 1:
            raise last_copy(blobs[0].store)
        await doom(tx, [blobs[int(at)]])
    site.kick_reaper()


def last_copy(store: str) -> Forbidden:
    return Forbidden(
        f"The image is in no other place than store {store}.",
        remedy="Copy it to another store first, or delete the image.",
        code="last-copy",
    )


async def _blobs(site: Site, tx: Transaction, image_id: str) -> list[Blob]:
    return in_order(site, await tx.locations(image_id))
