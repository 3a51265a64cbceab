"""Walks bytes through a pipeline, in chunks of any size, as the service does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.model.decision import StageCall
from gateway.model.errors import Refusal
from gateway.model.verdict import Verdict
from gateway.stages.pipeline import Declared, Pipeline

MIB = 1 << 20


def chunked(data: bytes, sizes: Iterable[int]) -> Iterator[memoryview]:
    """`data` in chunks of the given sizes; the last size repeats."""
    view, size = memoryview(data), MIB
    for size in sizes:
        yield view[:size]
        view = view[size:]
    while view:
        yield view[:size]
        view = view[size:]


@dataclass(frozen=True)
class Outcome:
    """What came out: stored bytes, and the verdict or the refusal's code and message."""

    stored: bytes
    verdict: Verdict | None
    code: str | None
    message: str
    remedy: str
    pipeline: Pipeline


def walk(
    data: bytes,
    disk_format: str | None = None,
    container_format: str | None = "bare",
    *,
    stages: Sequence[str | StageCall] = ("inspect",),
    chunks: Iterable[int] = (MIB,),
    **settings: Any,
) -> Outcome:
    calls = [StageCall(stage) if isinstance(stage, str) else stage for stage in stages]
    pipeline = Pipeline(calls, declared=Declared(disk_format, container_format), **settings)
    stored = bytearray()
    try:
        for chunk in chunked(data, chunks):
            for block in pipeline.feed(chunk):
                stored += block
        for block in pipeline.finish():
            stored += block
    except Refusal as refusal:
        return Outcome(bytes(stored), None, refusal.code, refusal.message, refusal.remedy, pipeline)
    return Outcome(bytes(stored), pipeline.verdict(), None, "", "", pipeline)
