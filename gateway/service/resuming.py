"""Uploads that go on after they broke: begun, looked at, gone on with, given up.

No state outlives a request but in the records: the next one may come after a crash, or reach another process. Who
changes an upload's record holds its version from then on; whoever has an older one is told that it was taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.model.caller import Caller
from gateway.model.errors import (
    BadRequest,
    Conflict,
    Gone,
    NotFound,
    OverLimit,
    Refusal,
    TooLarge,
    UploadOpen,
    WrongOffset,
)
from gateway.model.image import Image, Move, Status, target
from gateway.model.upload import Upload, UploadState, refusal_from_json
from gateway.model.usage import Counted
from gateway.service.images import doom, writable
from gateway.service.judge import FactValues, about, judge, remember, who
from gateway.service.reception import UPLOAD
from gateway.service.resuming_end import changed, close, end, expire, is_written
from gateway.service.resuming_parts import Intake
from gateway.service.site import Site, Turn
from gateway.service.targets import upload_stores
from gateway.service.usage import hold

YIELD_SECONDS = 2.5
"""What a request that is still being read gets to keep what it has, once somebody else asks for its upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What one request brings. Its body of `size` bytes (None: unknown) belongs at `offset`; the whole has `length`.

    `last` says whether the upload ends with this body; None leaves that to the length.
    """

    chunks: AsyncIterator[bytes]
    size: int | None
    offset: int = 0
    length: int | None = None
    last: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """An upload after a request, and what it was closed with, if it was."""

    upload: Upload
    refusal: Refusal | None = None

    @classmethod
    def of(cls, upload: Upload) -> Outcome:
        return cls(upload, refusal_from_json(upload.refusal) if upload.refusal else None)


async def create(site: Site, caller: Caller, image_id: str, sending: Sending, said: str = "") -> Upload:
    """An empty upload, decided about by what is known of it. `said` is kept and told again.

    Raises NotFound, Forbidden, Conflict, PolicyRefused, OverQuota, BadRequest, Unavailable.
    """
    image = await _ready(site, caller, image_id)
    store, length, now = site.default_store, _length(sending, None), site.clock.now()
    values = await _known(site, caller, image, length, store)
    judgement = await judge(site, UPLOAD, values, image_id=image_id)
    upload = Upload(
        id=site.new_id(),
        image_id=image_id,
        user_id=caller.user_id,
        store=store,
        length=length,
        facts=dict(who(caller)),
        said=said,
        created_at=now,
        expires_at=now + site.limits.upload_expires,
    )
    async with site.catalog.begin() as tx:
        await tx.move_image(image_id, Move.STAGE, now=now)
        await doom(tx, await tx.blobs(image_id))
        await tx.add_upload(upload)
        asked = {Counted.IMPORTS: 1, Counted.SIZE: 0}
        await hold(tx, image.owner, judgement.decision.plan.quotas, asked, coming=length or 1)
        await remember(tx, judgement, image_id)
    return upload


async def look(site: Site, caller: Caller, image_id: str, upload_id: str) -> Outcome:
    """The upload as it will stay until the next request: one that is still being read ends with what has come of it.

    Clients ask after a broken connection, which the service may not have noticed yet.
    """
    _, upload = await _mine(site, caller, image_id, upload_id)
    if upload.state is UploadState.OPEN:
        await _interrupt(site, upload)
        upload = await _taken(site, upload_id)
    return Outcome.of(upload)


async def append(site: Site, caller: Caller, image_id: str, upload_id: str, sending: Sending) -> Outcome:
    """Keep what the body brings, broken or not; with the last byte, the outcome is the verdict's.

    Raises NotFound, Forbidden, WrongOffset, Conflict, PolicyRefused, OverQuota, TooLarge, BadRequest, BrokenUpload,
    Unavailable. The upload stays open then, with what was kept.
    """
    image, upload = await _mine(site, caller, image_id, upload_id)
    if upload.state is not UploadState.OPEN:
        return await _again(site, upload, sending)
    with _turn(site, upload_id) as turn:
        outcome = await _append(site, caller, image, upload, sending, turn)
    if outcome.upload.state is UploadState.OPEN and _is_last(outcome.upload, sending):
        return Outcome.of(await end(site, outcome.upload))
    return outcome


async def _append(site: Site, caller: Caller, image: Image, upload: Upload, sending: Sending, turn: Turn) -> Outcome:
    if sending.offset != upload.offset:
        raise WrongOffset(expected=upload.offset, provided=sending.offset)
    length = _length(sending, upload.length)
    values = await _known(site, caller, image, length, upload.store)
    judgement = await judge(site, UPLOAD, values, image_id=image.id)
    upload = await _begun(site, upload, length)
    room = _room(upload, length, judgement.decision.plan.max_size)
    intake = Intake(site=site, image=image, upload=upload, judgement=judgement, room=room, turn=turn)
    trouble = await intake.take(sending.chunks, sending.size)
    if trouble is not None and intake.is_final(trouble):
        return Outcome.of(await close(site, intake.upload, trouble))
    if trouble is not None:
        raise trouble
    return Outcome(intake.upload)


async def give_up(site: Site, caller: Caller, image_id: str, upload_id: str) -> None:
    """The image is queued again. Raises NotFound, Forbidden, Conflict where its import has begun."""
    _, upload = await _mine(site, caller, image_id, upload_id)
    while upload.state is not UploadState.CLOSED:
        upload = await close(site, upload, Gone("The upload was ended by its client.", code="upload-ended"))


async def _ready(site: Site, caller: Caller, image_id: str) -> Image:
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
        found = await tx.open_upload(image_id) if image.status is Status.UPLOADING else None
    if found is not None:
        raise UploadOpen(image_id, found.id)
    target(image.status, Move.STAGE)
    return image


async def _mine(site: Site, caller: Caller, image_id: str, upload_id: str) -> tuple[Image, Upload]:
    async with site.catalog.read() as tx:
        image = await writable(tx, caller, image_id)
        upload = await tx.upload(upload_id)
    if upload is None or upload.image_id != image_id:
        raise NotFound(f"Image {image_id} has no upload {upload_id}.", remedy="Begin one: POST .../stage.")
    if upload.state is UploadState.OPEN and upload.expires_at <= site.clock.now():
        upload = await expire(site, upload)
    return image, upload


async def _known(site: Site, caller: Caller, image: Image, length: int | None, store: str) -> FactValues:
    claim = {} if length is None else {"request.size": length}
    return {**who(caller), **about(image), **claim, "request.stores": await upload_stores(site, store)}


def _length(sending: Sending, known: int | None) -> int | None:
    """What the whole has, by all that is said about it. Raises BadRequest where that differs, TooLarge for more."""
    ends = sending.offset + sending.size if sending.size is not None else None
    said = {one for one in (known, sending.length, ends if sending.last else None) if one is not None}
    if len(said) > 1:
        raise BadRequest(
            f"The upload cannot have both {min(said)} and {max(said)} bytes.",
            remedy="Say its length once.",
            code="inconsistent-upload-length",
        )
    length = said.pop() if said else None
    if length is not None and ends is not None and ends > length:
        raise _too_long(length)
    return length


def _too_long(length: int) -> TooLarge:
    return TooLarge(f"The upload has {length} bytes, and the request brings more.", code="upload-too-long")


def _room(upload: Upload, length: int | None, most: int | None) -> tuple[int, Refusal] | None:
    """How many bytes may still come, and the refusal of one more."""
    if length is not None:  # the policy has decided about it
        return length - upload.offset, _too_long(length)
    if most is not None:
        over = OverLimit(f"The image is larger than the {most} bytes this import may have.", remedy="Shrink the image.")
        return most - upload.offset, over
    return None


async def _begun(site: Site, upload: Upload, length: int | None) -> Upload:
    """Taken by this request alone. Raises Conflict while another one is being read."""
    async with site.catalog.begin() as tx:
        if not await is_written(site, tx, upload):
            return await changed(tx, upload, {"length": length, "blob_id": None})
    raise _busy()


@contextmanager
def _turn(site: Site, upload_id: str) -> Iterator[Turn]:
    """One request of this process at a time. Raises Conflict."""
    if upload_id in site.turns:
        raise _busy()
    turn = site.turns[upload_id] = Turn()
    try:
        yield turn
    finally:
        del site.turns[upload_id]
        turn.ended.set()


def _busy() -> Conflict:
    return Conflict(
        "Another request is sending to this upload.",
        remedy="Let it end, or ask for the offset (HEAD), which ends it.",
        code="upload-busy",
    )


async def _interrupt(site: Site, upload: Upload) -> None:
    """A request of this process that sends to it keeps what has come, and ends; but not for a store that hangs."""
    if turn := site.turns.get(upload.id):
        turn.stop.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(turn.ended.wait(), YIELD_SECONDS)


async def _taken(site: Site, upload_id: str) -> Upload:
    """The upload under a new version, so that nobody who had it before can change it any more."""
    async with site.catalog.begin() as tx:
        upload = await tx.upload(upload_id)
        if upload is None:
            raise Gone("The upload is gone.", code="upload-expired")
        if upload.state is not UploadState.OPEN:
            return upload
        return await tx.change_upload(upload, {"blob_id": None}) or upload


def _is_last(upload: Upload, sending: Sending) -> bool:
    if sending.last is None:
        return upload.offset == upload.length
    if sending.last and upload.length not in (None, upload.offset):
        raise BadRequest(
            f"The upload has {upload.offset} of {upload.length} bytes, so it is not complete.",
            remedy="Send the rest.",
            code="inconsistent-upload-length",
        )
    return sending.last


async def _again(site: Site, upload: Upload, sending: Sending) -> Outcome:
    """Nothing can be added any more. Without a body, this asks for the verdict once more."""
    if upload.state is UploadState.CLOSED:
        return Outcome.of(upload)
    if sending.size != 0 or sending.offset != upload.offset:
        raise BadRequest("The upload is complete.", remedy="Import the image.", code="completed-upload")
    return Outcome.of(await end(site, upload))
