"""Locations (Images API v2.17): an image whose bytes stay at a URL.

To the policy that is web-download into a store that is read-only: every byte is fetched through the guarded fetch and
judged by the same pipeline, and then left where it is. Readers compare what they get later with the hash found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, ContentRefused, Forbidden
from gateway.model.image import BlobState, Image, require_formats, target
from gateway.model.imports import Import, ImportType
from gateway.ports import Block, SourceRequest, Transaction
from gateway.service.delivery import new_blob
from gateway.service.images import visible, writable
from gateway.service.imports import Wanted, begin, check_idle
from gateway.service.judge import about, judge, who
from gateway.service.reading import in_order
from gateway.service.site import Site

METHOD = "web-download"
"""The method whose rules hold for locations."""

DIGEST_SIZES = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Algorithms a location may be held to, and the length of their hex digests. md5 and sha1 prove nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRequest:
    """`digest` is what the caller demands of the bytes, by algorithm; empty for nothing."""

    url: str
    digest: Mapping[str, str]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """One place an image is read from, as the API shows it."""

    url: str
    metadata: Mapping[str, Any]


class Unkept:
    """Takes a delivery's blocks and keeps none: what stays elsewhere is only judged."""

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        return sum(len(block) for block in blocks)


def read_location(body: Mapping[str, Any], request_id: str = "") -> LocationRequest:
    """Check the shape of `{"url", "validation_data": {"os_hash_algo", "os_hash_value"}}`. Raises BadRequest."""
    url, demanded = body.get("url"), body.get("validation_data") or {}
    if not isinstance(url, str) or not url:
        raise _bad("'url' must be a string")
    if not isinstance(demanded, dict):
        raise _bad("'validation_data' must be an object")
    return LocationRequest(url=url, digest=_digest(demanded) if demanded else {}, request_id=request_id)


def _digest(demanded: Mapping[str, Any]) -> dict[str, str]:
    algorithm, value = demanded.get("os_hash_algo"), demanded.get("os_hash_value")
    if not isinstance(algorithm, str) or algorithm not in DIGEST_SIZES:
        raise _bad(f"'os_hash_algo' must be one of {', '.join(DIGEST_SIZES)}")
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-fA-F]{{{DIGEST_SIZES[algorithm]}}}", value):
        raise _bad(f"'os_hash_value' must be a {algorithm}: {DIGEST_SIZES[algorithm]} hexadecimal digits")
    return {algorithm: value.lower()}


def _bad(message: str) -> BadRequest:
    return BadRequest(f"Invalid location: {message}.", remedy='Send {"url": "https://..."}.', code="bad-location")


async def add(site: Site, caller: Caller, image_id: str, request: LocationRequest) -> Import:
    """`POST /v2/images/{id}/locations`: the location is judged, and the image is active if it passes.

    Raises NotFound, Forbidden, Conflict, BadRequest, PolicyRefused.
    """
    async with site.catalog.read() as tx:
        image = await (visible if caller.is_service else writable)(tx, caller, image_id)
    check_idle(image)
    target(image.status, site.methods[METHOD].move)
    require_formats(image)
    check_scheme(caller, request.url)
    store, source = place_store(site), _source(site, request)
    values = {**who(caller), **about(image), **source.facts, "request.stores": (store,)}
    judgement = await judge(site, METHOD, values, image_id=image_id)
    wanted = Wanted(METHOD, ImportType.LOCATION, (store,), True, request.request_id)
    return await begin(site, caller, image, wanted, source, judgement)


def place_store(site: Site) -> str:
    """The store that refers to bytes elsewhere. Raises BadRequest where the site has none."""
    for name, store in site.stores.items():
        if store.read_only:
            return name
    raise BadRequest(
        "This site has no store for bytes that stay elsewhere.",
        remedy="Import them by web-download.",
        code="location-unavailable",
    )


def _source(site: Site, request: LocationRequest) -> SourceRequest:
    source = read_source(site, request.url)
    demanded = [{"os_hash_algo": algorithm, "os_hash_value": value} for algorithm, value in request.digest.items()]
    shown: dict[str, Any] = {**source.shown, **({"validation_data": demanded[0]} if demanded else {})}
    return SourceRequest(facts=source.facts, shown=shown, secret={"uri": request.url})


def check_scheme(caller: Caller, url: str) -> None:
    """Raises Forbidden for the schemes that only services may name; none of them is of use here."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme.lower() not in ("http", "https") and not caller.is_service:
        raise Forbidden(f"Locations of scheme '{scheme}' are for services.", remedy="Give an http or https URL.")


def read_source(site: Site, url: str) -> SourceRequest:
    """Check a URL by the operator's rules. Raises BadRequest."""
    try:
        return site.methods[METHOD].read({"name": METHOD, "uri": url})
    except BadRequest as refusal:
        raise BadRequest(
            f"The location's URL does not pass filtering. {refusal.message}", remedy=refusal.remedy, code=refusal.code
        ) from None


def bytes_changed() -> ContentRefused:
    return ContentRefused(
        "The stages of this import change the bytes, so they cannot stay where they are.",
        remedy="Import them by web-download.",
        code="bytes-changed",
    )


def place_key(site: Site, work: Import) -> str:
    """The key of a blob that stays elsewhere: its URL, sealed anew, so that no two keys are equal."""
    assert work.sealed is not None
    return seal_place(site, site.seal.open(work.sealed)["uri"])


def seal_place(site: Site, url: str) -> str:
    return site.seal.close({"uri": url}).decode("ascii")


async def list_refused(tx: Transaction, site: Site, work: Import) -> None:
    """A refused location stays listed in the image's `stores`, as the API has it, until the next try: never readable.

    Nothing reads a blob that is not KEPT, and this one is no candidate for that: it has no verdict.
    """
    blob = new_blob(site, work.image_id, work.stores[0], key=place_key(site, work))
    await tx.add_blob(blob)
    await tx.move_blob(blob.id, BlobState.STAGED)
    await tx.add_location(work.image_id, blob.id, now=site.clock.now())


async def shown(site: Site, caller: Caller, image_id: str) -> list[Location]:
    """`GET /v2/images/{id}/locations`: for services and administrators. Raises NotFound, Forbidden."""
    if not (caller.is_service or caller.is_admin):
        raise Forbidden("Locations are shown to services.", remedy="Download the image instead.")
    async with site.catalog.read() as tx:
        await visible(tx, caller, image_id)
        return await listed(site, tx, image_id)


async def listed(site: Site, tx: Transaction, image_id: str) -> list[Location]:
    """Every place the image may be read from, best first."""
    metadata = await tx.location_metadata(image_id)
    blobs = in_order(site, await tx.locations(image_id))
    return [Location(site.store(b.store).url(b.key), {**metadata[b.id], "store": b.store}) for b in blobs]


async def for_owner(site: Site, caller: Caller, image: Image) -> Sequence[Location] | None:
    """The same, as `locations` of an image; None for callers of other projects."""
    if not (caller.is_admin or caller.is_service or caller.project_id == image.owner):
        return None
    async with site.catalog.read() as tx:
        return await listed(site, tx, image.id)
