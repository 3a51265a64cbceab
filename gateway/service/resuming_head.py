"""The first bytes of an upload, judged as soon as they are there: what is hostile by its header is sent no further."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

from gateway.model.errors import Refusal, Unavailable
from gateway.model.image import Blob, Image
from gateway.model.upload import Upload
from gateway.service.afterwards import streaming
from gateway.service.delivery import in_thread
from gateway.service.judge import Judgement
from gateway.service.site import Progress, Site
from gateway.stages.pipeline import Declared, Pipeline

CHEAP = ("decompress", "inspect")
"""The stages that look at a header; the others need all of the bytes."""


async def check_head(site: Site, image: Image, upload: Upload, judgement: Judgement, size: int) -> Refusal | None:
    """What is wrong with the first `size` bytes; None where nothing is seen yet. The verdict comes with the whole."""
    calls = [call for call in streaming(judgement.decision.plan.stages) if call.name in CHEAP]
    if not any(call.name == "inspect" for call in calls):
        return None
    declared = Declared(image.disk_format, image.container_format)
    pipeline = Pipeline(calls, declared=declared, hashes=(), tools=site.stream_tools)
    async with site.catalog.read() as tx:
        parts = await tx.upload_parts(upload.id)
    return await in_thread(Progress(), partial(_judge, pipeline, site, parts, size))


def _judge(pipeline: Pipeline, site: Site, parts: Sequence[Blob], size: int) -> Refusal | None:
    try:
        for _ in pipeline.feed(b"".join(_first(site, parts, size))):
            pass
    except Unavailable:
        return None  # a store or a tool that is away: the verdict on the whole will meet it
    except Refusal as refusal:
        return refusal
    finally:
        pipeline.release()
    return None


def _first(site: Site, parts: Sequence[Blob], size: int) -> Iterator[bytes]:
    with closing(joined(site, parts)) as blocks:
        while size and (block := next(blocks, None)) is not None:
            yield block[:size]
            size -= min(size, len(block))


def joined(site: Site, parts: Sequence[Blob]) -> Generator[bytes, None, None]:
    """The parts' bytes, one part after the other, in runs of at most 1 MiB. Raises NotFound, Unavailable."""
    for part in parts:
        yield from site.store(part.store).get(part.key)
