"""Image records: create, show, list, change, delete. Bytes are elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import Cancelled, Forbidden, NotFound
from gateway.model.image import MOVES, Blob, BlobState, Image, Move
from gateway.model.imports import Import, ImportMove, ImportStatus
from gateway.model.usage import Counted
from gateway.model.verdict import Verdict
from gateway.ports import ImageQuery, Transaction
from gateway.service.site import Site
from gateway.service.usage import hold, offered
from gateway.stages.images.agreement import opened


async def sees(tx: Transaction, caller: Caller, image: Image) -> bool:
    """Glance's get_image rule: admin, owner, public, community, or shared with the caller, whatever it has answered.

    Without a role that reads there is nothing to see.
    """
    if not caller.reads:
        return False
    if caller.is_admin or image.owner == caller.project_id or image.visibility in ("public", "community"):
        return True
    return image.visibility == "shared" and await tx.member(image.id, caller.project_id) is not None


async def visible(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """The image, or NotFound: an image the caller may not see does not exist for it."""
    image = await tx.image(image_id)
    if image is None or not await sees(tx, caller, image):
        raise NotFound(f"No image found with ID {image_id}")
    return image


async def writable(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """The image, or Forbidden where the caller sees it but may not change it."""
    image = await visible(tx, caller, image_id)
    if not caller.may_write(image.owner):
        raise Forbidden(
            f"You are not permitted to change image {image_id}.",
            remedy="Only members of the project that owns it may.",
        )
    return image


async def show(site: Site, caller: Caller, image_id: str) -> Image:
    async with site.catalog.read() as tx:
        return await visible(tx, caller, image_id)


async def page(site: Site, query: ImageQuery) -> tuple[Sequence[Image], bool]:
    """One page, and whether more follow. Raises Forbidden, Glance's get_images rule."""
    if not query.caller.reads:
        raise Forbidden("You are not permitted to list images.", remedy="Ask for the role 'reader' in this project.")
    async with site.catalog.read() as tx:
        found = await tx.images(replace(query, limit=query.limit + 1) if query.limit else query)
    return found[: query.limit], len(found) > query.limit


async def create(site: Site, caller: Caller, values: Mapping[str, Any]) -> Image:
    """`values` are fields of Image, already checked by the wire. Raises Forbidden, Conflict, OverQuota."""
    if "member" not in caller.roles and not caller.is_admin:
        raise Forbidden("You are not permitted to create images.", remedy="Ask for the role 'member' in this project.")
    now = site.clock.now()
    image = Image(**{"id": site.new_id(), **values}, created_at=now, updated_at=now)
    quotas = (await offered(site, caller)).quotas
    async with site.catalog.begin() as tx:
        await tx.add_image(image)
        await hold(tx, image.owner, quotas, {Counted.IMAGES: 1})
    return image


async def change(site: Site, caller: Caller, image_id: str, changed: Callable[[Image], Mapping[str, Any]]) -> Image:
    """Set the fields `changed` makes of the record, under the write lock: two changes at once both count."""
    async with site.catalog.begin() as tx:
        values = changed(await writable(tx, caller, image_id))
        return await tx.change_image(image_id, values, now=site.clock.now())


async def switch(site: Site, caller: Caller, image_id: str, move: Move) -> None:
    """Deactivate or reactivate; done again, it changes nothing. Raises NotFound, Forbidden."""
    async with site.catalog.begin() as tx:
        image = await writable(tx, caller, image_id)
        sources, after = MOVES[move]
        if image.status not in sources:
            raise Forbidden(
                f"Not allowed to {move} image in status '{image.status}'",
                remedy="Only images that have their data can be deactivated and reactivated.",
            )
        if image.status is not after:
            await tx.move_image(image_id, move, now=site.clock.now())


async def delete(site: Site, caller: Caller, image_id: str) -> None:
    """Delete the record, end its import, doom its bytes: all in one transaction. The reaper removes the bytes."""
    now = site.clock.now()
    async with site.catalog.begin() as tx:
        image = await writable(tx, caller, image_id)
        if image.protected:
            raise Forbidden(
                f"Image {image_id} is protected and cannot be deleted.", remedy="Set its 'protected' to false first."
            )
        await tx.move_image(image_id, Move.DELETE, now=now)
        await end_imports(tx, await tx.imports(image_id), now=now)
        blobs = await tx.blobs(image_id)
        await doom(tx, blobs)
        await tx.drop_locations(image_id)
    site.halt(Cancelled(f"Image {image_id} was deleted."), [blob.id for blob in blobs])
    site.kick_reaper()


async def end_imports(tx: Transaction, works: Sequence[Import], *, now: datetime) -> None:
    """Fail every open import by name; what still runs finds its attempt fenced out."""
    for work in works:
        if work.status in (ImportStatus.PENDING, ImportStatus.PROCESSING):
            values = {"code": "cancelled", "message": "The image was deleted while it was imported.", "sealed": None}
            await tx.move_import(work.id, ImportMove.FAIL, attempt=None, now=now, values=values)


async def doom(tx: Transaction, blobs: Sequence[Blob]) -> None:
    for blob in blobs:
        if blob.state is not BlobState.DOOMED:
            await tx.move_blob(blob.id, BlobState.DOOMED)


async def unkept(tx: Transaction, image_id: str) -> list[Blob]:
    """Blobs that are no location of the image: being written, staged, or doomed."""
    return [blob for blob in await tx.blobs(image_id) if blob.state is not BlobState.KEPT]


def activation(image: Image, verdict: Verdict, algorithm: str) -> dict[str, Any]:
    """The fields an image gets with its bytes. `checksum` is md5, absent where the site has switched it off.

    What was taken out of its compressed container is in it no more.
    """
    unpacked = image.container_format == "compressed" and opened(verdict)
    return {
        **({"container_format": "bare"} if unpacked else {}),
        **({"disk_format": verdict.disk_format} if verdict.made_of else {}),
        "size": verdict.size,
        "virtual_size": verdict.virtual_size,
        "checksum": verdict.hashes.get("md5"),
        "os_hash_algo": algorithm,
        "os_hash_value": verdict.hashes[algorithm],
    }
