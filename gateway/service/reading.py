"""Reading an image's data: which blob, from which store, and whether its bytes are still the image's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Forbidden, Unavailable
from gateway.model.image import Blob, Image, Status
from gateway.service.images import visible
from gateway.service.site import Site


@dataclass(frozen=True, slots=True)
class Readable:
    """An image, and the blob its data is read from; None where it has no data yet.

    `whole` blobs are elsewhere: they are read from start to end and compared with the image's hash on the way.
    """

    image: Image
    blob: Blob | None
    whole: bool = False


def in_order(site: Site, blobs: Sequence[Blob], prefer: Sequence[str] = ()) -> list[Blob]:
    """Preferred stores first, then by weight, then by age."""

    def rank(blob: Blob) -> tuple[int, int]:
        return prefer.index(blob.store) if blob.store in prefer else len(prefer), -site.weights.get(blob.store, 0)

    return sorted(blobs, key=rank)


async def readable(site: Site, caller: Caller, image_id: str, prefer: Sequence[str] = ()) -> Readable:
    """Only a location row makes bytes readable.

    Raises NotFound, Forbidden (deactivated, or a reader's role), BadRequest for a preferred store nobody knows.
    """
    for name in prefer:
        if name not in site.stores:
            raise BadRequest(f"Store {name} is not known here.", remedy="GET /v2/info/stores lists them.")
    async with site.catalog.read() as tx:
        image = await visible(tx, caller, image_id)
        locations = await tx.locations(image_id)
    if image.status == Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden(f"Image {image_id} is deactivated.", remedy="Its project can reactivate it.")
    if "member" not in caller.roles and not caller.is_admin:
        raise Forbidden("You are not permitted to download images.", remedy="Ask for the role 'member'.")
    known = [blob for blob in in_order(site, locations, prefer) if blob.store in site.stores]
    blob = known[0] if known else None
    return Readable(image, blob, whole=blob is not None and site.stores[blob.store].read_only)


async def opened(site: Site, found: Readable, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes, in runs; opened in a thread, and to be read in threads. Raises NotFound, Unavailable."""
    assert found.blob is not None
    blocks = await asyncio.to_thread(site.store(found.blob.store).get, found.blob.key, offset, length)
    if found.whole:
        return _compared(blocks, found.image, _changed(found.image))
    if site.limits.verify_downloads and offset == 0 and length in (None, found.blob.size):
        return _compared(blocks, found.image, _damaged(found.image, found.blob))
    return blocks


def _changed(image: Image) -> Unavailable:
    return Unavailable(
        f"The data of image {image.id} has changed at its source.",
        remedy="Import the image anew.",
        code="source-changed",
    )


def _damaged(image: Image, blob: Blob) -> Unavailable:
    return Unavailable(
        f"The data of image {image.id} in store {blob.store} is not what was recorded: blob {blob.key} is damaged.",
        remedy="Read it from another store (?prefer=), or import the image anew.",
        code="blob-damaged",
    )


def _compared(blocks: Iterator[bytes], image: Image, wrong: Unavailable) -> Iterator[bytes]:
    """The last run is held back until the hash is known to be right: whoever reads it to the end has the image."""
    digest = hashlib.new(image.os_hash_algo) if image.os_hash_algo else None
    held = b""
    for block in blocks:
        if digest is not None:
            digest.update(block)
        if held:
            yield held
        held = block
    if digest is not None and digest.hexdigest() != image.os_hash_value:
        raise wrong
    yield held
