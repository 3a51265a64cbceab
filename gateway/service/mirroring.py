"""Records of an image service behind the gateway, kept here for as long as something is done to them.

The other service stays the one source of records: a mirrored image is a copy of what it said when an import was asked
for, and its status here says how far that import is. Only images that are queued there can be filled from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.model.caller import Caller
from gateway.model.errors import Cancelled, Conflict, NotFound
from gateway.model.image import BUSY, MOVES, Image, Move, Status
from gateway.model.imports import Import
from gateway.ports.upstream import Record
from gateway.service import settled
from gateway.service.images import doom, end_imports
from gateway.service.showing import told
from gateway.service.site import Site

_TAKEN = (
    "owner", "name", "disk_format", "container_format", "visibility", "protected", "os_hidden", "min_disk", "min_ram",
    "tags", "properties",
)  # fmt: skip


async def mirrored(site: Site, image_id: str, token: str | None) -> Record:
    """Ask for the record with the caller's own token, and keep what it says. Raises NotFound, Conflict, Unavailable."""
    assert site.upstream is not None
    record = await site.upstream.record(image_id, token)
    if record is None:
        await forget_gone(site, image_id)
        raise NotFound(f"No image found with ID {image_id}")
    if record.status == Status.QUEUED:
        await _keep(site, record.image)
    return record


async def _keep(site: Site, image: Image) -> None:
    now = site.clock.now()
    site.settled.forget(image.id)
    async with site.catalog.begin() as tx:
        known = await tx.image(image.id)
        if known is None:
            await tx.add_image(image)
        elif known.status is Status.QUEUED:
            await tx.change_image(image.id, {name: getattr(image, name) for name in _TAKEN}, now=now)
        elif known.status not in BUSY:
            # It was filled from here, and is empty there: two truths, of which neither may be built on.
            raise Conflict(
                f"Image {image.id} has lost its data in the image service behind the gateway.",
                remedy="Delete it, and import it as a new image.",
                code="upstream-differs",
            )


def check_ready(record: Record, move: Move) -> None:
    """Raises Conflict, in Glance's words, where `move` is not for an image that has its data."""
    if record.status != Status.QUEUED:
        raise Conflict(
            f"Image status transition from {record.status} to {MOVES[move][1]} is not allowed",
            remedy=f"Only a queued image takes data; this one is {record.status}.",
            code="status-conflict",
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """An image here: `image` where something is being done to it, `work` the import whose stores are told."""

    image: Image | None = None
    work: Import | None = None


NOTHING = Standing()
"""What most images are here, which were never filled from here, or long ago."""

MOST_QUIET = 10_000


def is_settled(site: Site, image_id: str) -> bool:
    """Whether what the image service says of an image may pass as it is, without a look at the records."""
    return site.settled.has(image_id, site.clock.monotonic())


def settle(site: Site, image_id: str, status: object) -> None:
    """There was nothing to tell of an image, and then the image service gave its status."""
    if isinstance(status, str) and status in settled.STATUSES:
        site.settled.add(image_id, site.clock.monotonic())


async def standing(site: Site, image_id: str) -> Standing:
    """Of which image there is nothing to tell is asked once, until something is written here: asking costs more than
    all else that is done for a call that passes.
    """
    quiet = _quiet(site)
    if image_id in quiet:
        return NOTHING
    async with site.catalog.read() as tx:
        image = await tx.image(image_id)
        work = None if image is None else await told(site, tx, image)
    found = Standing(image if image is not None and image.status in BUSY else None, work)
    if found == NOTHING and len(quiet) < MOST_QUIET:
        quiet.add(image_id)
    return found


def _quiet(site: Site) -> set[str]:
    """Images of which there was nothing to tell. What is found while somebody writes goes into a set nobody asks."""
    written = site.catalog.written
    if written is None:  # others write too
        return set()
    if site.quiet is None or site.quiet[0] != written:
        site.quiet = (written, set())
    return site.quiet[1]


async def under_way(site: Site, image_id: str) -> dict[str, Image]:
    """The image by its id, where something is being done to it here; else nothing."""
    found = await all_under_way(site)
    return {image_id: found[image_id]} if image_id in found else {}


async def all_under_way(site: Site) -> Mapping[str, Image]:
    """All images that something is being done to here, by id. Nothing is read twice that nobody can have changed."""
    written = site.catalog.written
    if site.busy is not None and site.busy[0] == written:
        return site.busy[1]
    async with site.catalog.read() as tx:
        found = {image.id: image for image in await tx.busy_images()}
    site.busy = None if written is None else (written, found)
    return found


async def imports_of(site: Site, caller: Caller, image_id: str) -> Sequence[Import]:
    """The imports of an image that the caller is known to see; other projects see none."""
    async with site.catalog.read() as tx:
        image = await tx.image(image_id)
        seen = image is not None and (caller.is_admin or image.owner == caller.project_id)
        return await tx.imports(image_id) if seen else ()


async def has_import(site: Site, import_id: str) -> bool:
    """Whether a task is an import of ours."""
    async with site.catalog.read() as tx:
        return await tx.import_(import_id) is not None


async def sweep(site: Site) -> None:
    """What is done here to images that are gone there ends, and its bytes go. Raises Unavailable."""
    for image_id in await all_under_way(site):
        await forget_gone(site, image_id)


async def forget_gone(site: Site, image_id: str) -> None:
    """Forget an image that the gateway's own user does not see any more: others may never have."""
    assert site.upstream is not None
    if await under_way(site, image_id) and await site.upstream.record(image_id) is None:
        await forget(site, image_id)


async def forget(site: Site, image_id: str) -> None:
    """The image was deleted there: what was done to it here ends by name, and its bytes go."""
    now = site.clock.now()
    site.settled.forget(image_id)
    async with site.catalog.begin() as tx:
        if await tx.image(image_id) is None:
            return
        await tx.move_image(image_id, Move.DELETE, now=now)
        await end_imports(tx, await tx.imports(image_id), now=now)
        blobs = await tx.blobs(image_id)
        await doom(tx, blobs)
    site.halt(Cancelled(f"Image {image_id} was deleted."), [blob.id for blob in blobs])
    site.kick_reaper()
