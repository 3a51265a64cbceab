"""More stores: one blob is verified, the others are copies of it, hashed again on the way.

A copy that an earlier attempt has finished is found by its row and not made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.errors import Conflict, ContentRefused, Interrupted, Refusal, Unavailable
from gateway.model.image import Blob, BlobState, Image
from gateway.model.verdict import Verdict
from gateway.service.attempt import Attempt
from gateway.service.delivery import Delivery, deliver, new_blob
from gateway.service.reading import in_order
from gateway.service.site import Site
from gateway.service.usage import charge
from gateway.stages.pipeline import Declared, Pipeline
from gateway.stages.verdicts import verdict_from_json, verdict_to_json


@dataclass(frozen=True, slots=True)
class Original:
    """A blob and what its bytes are known to be. A verdict without any hash proves nothing and is refused."""

    blob: Blob
    verdict: Verdict


async def kept_original(site: Site, image: Image) -> Original:
    """The blob an active image is copied from. Raises Conflict where nobody knows what its bytes should be."""
    async with site.catalog.read() as tx:
        kept = in_order(site, await tx.locations(image.id))
    for blob in kept:
        if blob.verdict is not None:
            return Original(blob, verdict_from_json(blob.verdict))
    raise Conflict(
        f"The bytes of image {image.id} were never looked at, so a copy could not be compared with them.",
        remedy="Import the image anew.",
        code="not-verified",
    )


async def filled(attempt: Attempt, original: Original, *, last: bool) -> list[Blob]:
    """One staged blob for each store that could be filled, the original among them where it is in one of them.

    Unless this is the `last` try, or all must succeed, a store that fails is not given up yet: its refusal is raised.
    """
    found = await _found(attempt, original)
    attempt.left = tuple(store for store in attempt.work.stores if store not in found)
    attempt.progress.total = attempt.progress.done + original.verdict.size * len(attempt.left)
    for store in attempt.left:
        if store not in attempt.failed:
            await _fill(attempt, original, store, found)
    if attempt.failed and (attempt.work.all_must_succeed or not last or not found):
        raise next(iter(attempt.failed.values()))
    return list(found.values())


async def _fill(attempt: Attempt, original: Original, store: str, found: dict[str, Blob]) -> None:
    try:
        found[store] = await _copied(attempt, original, store)
    except Interrupted:
        raise
    except Unavailable as refusal:
        attempt.failed[store] = refusal
    attempt.left = tuple(name for name in attempt.left if name != store)


async def _found(attempt: Attempt, original: Original) -> dict[str, Blob]:
    """By store: what is staged already, and is the same bytes."""
    async with attempt.site.catalog.read() as tx:
        staged = [blob for blob in await tx.blobs(attempt.image.id) if blob.state is BlobState.STAGED]
    same = {
        blob.store: blob
        for blob in staged
        if blob.verdict is not None and verdict_from_json(blob.verdict).hashes == original.verdict.hashes
    }
    if original.blob.state is BlobState.STAGED:
        same[original.blob.store] = original.blob
    return {store: blob for store, blob in same.items() if store in attempt.work.stores}


async def _copied(attempt: Attempt, original: Original, store: str) -> Blob:
    site, source = attempt.site, original.blob
    blob = new_blob(site, attempt.image.id, store)
    delivery = Delivery(
        blob=blob, store=site.store(store), pipeline=comparing(site, original), progress=attempt.progress
    )
    with site.writes(blob.id, attempt.progress):
        async with site.catalog.begin() as tx:
            await tx.add_blob(blob)
            await charge(tx, attempt.image.owner, blob, attempt.quotas, original.verdict.size)
        try:
            await deliver(site, delivery, lambda: site.store(source.store).get(source.key))
        except ContentRefused as refusal:
            raise damaged(source) from refusal
        async with site.catalog.begin() as tx:
            row = {"size": original.verdict.size, "verdict": verdict_to_json(original.verdict)}
            return await tx.move_blob(blob.id, BlobState.STAGED, row)


def comparing(site: Site, original: Original) -> Pipeline:
    """No stage looks at these bytes again; they have to be the same."""
    return Pipeline(
        (),
        declared=Declared(),
        hashes=(),
        expected=original.verdict.hashes,
        tools=site.stream_tools,
    )


def prove(site: Site, original: Original, check: Callable[[], None]) -> None:
    """Read a blob once more, in a worker thread. Raises Refusal (`blob-damaged`) where it is not what it was."""
    source, pipeline = original.blob, comparing(site, original)
    blocks = site.store(source.store).get(source.key)
    try:
        for block in blocks:
            check()
            list(pipeline.feed(block))
        list(pipeline.finish())
    except ContentRefused as refusal:
        raise damaged(source) from refusal
    finally:
        pipeline.release()
        close = getattr(blocks, "close", None)
        if close is not None:
            close()


def damaged(source: Blob) -> Refusal:
    return Refusal(
        f"The bytes in store {source.store} are not those the image was made of.",
        remedy="Tell the operators of your cloud: that copy is damaged.",
        code="blob-damaged",
    )
