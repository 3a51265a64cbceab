"""Bytes that have been judged here go to the image service behind the gateway. Nothing of rejected ones ever does.

A delivery can be tried again at any time: the service keeps nothing of one that broke off, and one that it took whole
is known by its hash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import Cancelled, Conflict, ContentRefused, Refusal, Unavailable
from gateway.model.image import Image, Status
from gateway.model.verdict import Verdict
from gateway.ports import Block
from gateway.ports.upstream import Record, Upstream
from gateway.service.copies import Original, comparing, damaged
from gateway.service.delivery import in_thread
from gateway.service.images import activation
from gateway.service.judge import about, judge, who
from gateway.service.site import Progress, Site
from gateway.service.targets import behind_of

_FORMATS = ("disk_format", "container_format")
POLL_SECONDS = 0.5
LONGEST_SILENCE = 3600.0
"""Seconds in which the image service's own import has to move: Glance lets others take the image over after as many."""


async def judge_copy(site: Site, caller: Caller, record: Record, body: Mapping[str, Any]) -> None:
    """Whether the caller may have copies of an image made between the image service's own stores."""
    stores = body.get("stores")
    asked = tuple(name for name in stores if isinstance(name, str)) if isinstance(stores, list) else ()
    values = {**who(caller), **about(record.image), "request.stores": asked or await behind_of(site).stores()}
    if record.size is not None:
        values |= {"request.size": record.size}
    await judge(site, "copy-image", values, image_id=record.image.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What an image shall be there: its formats, bytes that were judged, properties of its rules and its source.

    `again` says that an earlier try may have got part of the way.
    """

    image: Image
    original: Original
    stores: Sequence[str]
    properties: Mapping[str, str]
    again: bool = False


async def fill(site: Site, filling: Filling, progress: Progress) -> None:
    """Give the image its bytes. It is active there when this returns.

    Raises Conflict where its record is not any more what was judged, Unavailable where trying again may help.
    """
    behind, image = behind_of(site), filling.image
    async with site.catalog.read() as tx:
        asked = await tx.image(image.id)
    if asked is None:
        raise Cancelled(f"Image {image.id} is gone.")
    record = await _unchanged(behind, asked)
    if same(record, filling.original.verdict):
        return
    if filling.again and record.status == Status.UPLOADING and len(filling.stores) > 1:
        await behind.import_staged(image.id, filling.stores)
    else:
        _check_free(record)
    if record.status == Status.QUEUED:
        await _send(site, filling, _changes(site, asked, filling), progress)
    await _settled(behind, image, filling.original.verdict, progress)


def _changes(site: Site, asked: Image, filling: Filling) -> dict[str, tuple[object, object]]:
    """What has to change there together with the bytes: from what, to what."""
    wanted = activation(filling.image, filling.original.verdict, site.limits.image_hash)
    formats = {name: wanted.get(name, getattr(filling.image, name)) for name in _FORMATS}
    changed = {name: (getattr(asked, name), value) for name, value in formats.items() if value != getattr(asked, name)}
    return changed | {name: (asked.properties.get(name), value) for name, value in filling.properties.items()}


async def _send(site: Site, filling: Filling, changes: Mapping[str, tuple[object, object]], progress: Progress) -> None:
    behind, image = behind_of(site), filling.image
    put = await behind.opened()
    values = {name: value for name, (_, value) in changes.items()}
    before = {name: value for name, (value, _) in changes.items()}
    if values:
        await behind.change(image.id, values)
    try:
        blocks = partial(_proven, site, filling.original, progress)
        size = filling.original.verdict.size
        await in_thread(progress, lambda: put(image.id, filling.stores, blocks(), size))
    except BaseException:  # goes on to the caller; the record is again what its owner wrote
        if values:
            await asyncio.shield(_changed_back(behind, image.id, before))
        raise


def _proven(site: Site, original: Original, progress: Progress) -> Iterator[Block]:
    """The staged bytes, hashed once more: one that has changed breaks the delivery off before its end.

    The last block is held back until the hash is known to be right.
    """
    pipeline = comparing(site, original)
    blocks: Iterable[Block] = site.store(original.blob.store).get(original.blob.key)
    held = b""
    try:
        for block in blocks:
            progress.check()
            for fed in pipeline.feed(block):
                yield held
                held = bytes(fed)
        for fed in pipeline.finish():
            yield held
            held = bytes(fed)
        yield held
    except ContentRefused as refusal:
        raise damaged(original.blob) from refusal
    finally:
        pipeline.release()


async def _settled(behind: Upstream, image: Image, verdict: Verdict, progress: Progress) -> None:
    """Until the image is active there, with our bytes."""
    try:
        async with asyncio.timeout(LONGEST_SILENCE) as limit:
            await _filled(behind, image, progress, limit)
    except TimeoutError:
        raise _failed(f"nothing of it has moved for {LONGEST_SILENCE / 60:.0f} minutes") from None
    if not same(await _there(behind, image), verdict):
        await behind.deactivate(image.id)
        raise _different(image)


async def _filled(behind: Upstream, image: Image, progress: Progress, limit: asyncio.Timeout) -> None:
    """Until the image is active there. `limit` is moved on as long as the work on it moves."""
    mark = ""
    while (record := await _there(behind, image)).status != Status.ACTIVE:
        if record.status == Status.QUEUED:
            raise Unavailable(
                f"The image service behind the gateway gave up image {image.id}.", code="upstream-gave-up"
            )
        work = await behind.filling(image.id)
        if work.failure is not None:
            raise _failed(work.failure)
        if work.mark != mark:
            mark = work.mark
            limit.reschedule(asyncio.get_running_loop().time() + LONGEST_SILENCE)
        progress.check()
        await asyncio.sleep(POLL_SECONDS)


async def _there(behind: Upstream, image: Image) -> Record:
    record = await behind.record(image.id)
    if record is None:
        raise Cancelled(f"Image {image.id} is gone.")
    return record


def same(record: Record, verdict: Verdict) -> bool:
    """Whether an image has these bytes there: by its own hash, or by its checksum where we know no such hash."""
    if record.status != Status.ACTIVE or record.size != verdict.size:
        return False
    ours = verdict.hashes.get(record.os_hash_algo or "")
    if ours is not None:
        return record.os_hash_value == ours
    return record.checksum is not None and record.checksum == verdict.hashes.get("md5")


async def _unchanged(behind: Upstream, image: Image) -> Record:
    """What was judged is what will be there: another owner or format would be another decision."""
    record = await _there(behind, image)
    for name in ("owner", *_FORMATS):
        if record.status == Status.QUEUED and getattr(record.image, name) != getattr(image, name):
            raise Conflict(
                f"The {name} of image {image.id} was changed while it was imported.",
                remedy="Import it again.",
                code="upstream-changed",
            )
    return record


def _check_free(record: Record) -> None:
    if record.status in (Status.SAVING, Status.UPLOADING):
        raise Unavailable(
            f"Image {record.image.id} is being filled by somebody else.", remedy="Try again soon.", code="upstream-busy"
        )
    if record.status not in (Status.QUEUED, Status.IMPORTING):
        raise Conflict(
            f"Image {record.image.id} has become {record.status} with other data meanwhile.",
            remedy="Delete it, and import it as a new image.",
            code="upstream-differs",
        )


async def _changed_back(behind: Upstream, image_id: str, before: Mapping[str, object]) -> None:
    try:
        await behind.change(image_id, before)
    except Refusal:
        return  # it is away, or has the bytes after all: the next try finds either


def _failed(said: str) -> Refusal:
    return Refusal(
        f"The image service behind the gateway could not import the image: {said}",
        remedy="Delete the image, and import it as a new one.",
        code="upstream-failed",
    )


def _different(image: Image) -> Refusal:
    return Refusal(
        f"The image service behind the gateway has other bytes of image {image.id} than it was sent.",
        remedy="Tell the operators of your cloud: the image is deactivated there.",
        code="upstream-differs",
    )
