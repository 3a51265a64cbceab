"""Are the bytes in the stores still those that were recorded? Every blob is read again; nothing is changed."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from gateway.model.errors import NotFound, Unavailable
from gateway.model.image import Blob, BlobState, Image
from gateway.ports import Catalog, Store
from gateway.stages.verdicts import verdict_from_json

PAGE = 50


class Kind(StrEnum):
    """`UNREAD`: its store could not be read to the end. `UNKNOWN`: nothing was recorded to compare it with."""

    SOUND = "sound"
    DAMAGED = "damaged"
    MISSING = "missing"
    UNREAD = "unread"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of one blob; `size` are the bytes that were read, `why` is for people."""

    blob: Blob
    image: Image
    kind: Kind
    size: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What shall be read: the blobs in `stores` behind the one with the id `after`, at no more than `rate` bytes a
    second, 0 for as fast as they come. `monotonic` are seconds that only grow.
    """

    catalog: Catalog
    stores: Mapping[str, Store]
    monotonic: Callable[[], float]
    after: str | None = None
    rate: int = 0


async def verify(round_: Round) -> AsyncIterator[Verified]:
    """Every blob of an image, in the order of their ids, beside a service that runs. Raises Unavailable."""
    after = round_.after
    while True:
        async with round_.catalog.read() as tx:
            page = await tx.kept_blobs(after, PAGE)
        for blob in page:
            if blob.store in round_.stores and (found := await _verified(round_, blob)) is not None:
                yield found
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _verified(round_: Round, blob: Blob) -> Verified | None:
    """None for a blob that was given up while it was looked at."""
    async with round_.catalog.read() as tx:
        image = await tx.image(blob.image_id)
    if image is None:
        return None
    stop = threading.Event()
    try:
        found = await asyncio.to_thread(_read, round_, image, blob, stop)
    finally:
        stop.set()
    return found if found.kind is Kind.SOUND or await _is_kept(round_, blob) else None


async def _is_kept(round_: Round, blob: Blob) -> bool:
    async with round_.catalog.read() as tx:
        now = await tx.blob(blob.id)
    return now is not None and now.state is BlobState.KEPT


def _read(round_: Round, image: Image, blob: Blob, stop: threading.Event) -> Verified:
    expected = recorded(image, blob)
    if not expected:
        return Verified(blob=blob, image=image, kind=Kind.UNKNOWN, why="no digest of its bytes was recorded")
    try:
        size, found = _digests(round_, blob, list(expected), stop)
    except NotFound:
        return Verified(blob=blob, image=image, kind=Kind.MISSING, why="its bytes are gone")
    except Unavailable as refusal:
        return Verified(blob=blob, image=image, kind=Kind.UNREAD, why=refusal.message)
    why = _difference(image.size if image.size is not None else blob.size, size, expected, found)
    return Verified(blob=blob, image=image, kind=Kind.DAMAGED if why else Kind.SOUND, size=size, why=why)


def recorded(image: Image, blob: Blob) -> dict[str, str]:
    """The digests an image's record names, by hashlib name; where it names none, those its bytes were judged by."""
    named = {image.os_hash_algo: image.os_hash_value, "md5": image.checksum}
    of_record = {algorithm: digest for algorithm, digest in named.items() if algorithm and digest}
    if of_record or blob.verdict is None:
        return of_record
    return dict(verdict_from_json(blob.verdict).hashes)


def _digests(round_: Round, blob: Blob, algorithms: list[str], stop: threading.Event) -> tuple[int, dict[str, str]]:
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    size, began = 0, round_.monotonic()
    with closing(cast(Any, round_.stores[blob.store].get(blob.key))) as runs:
        for run in runs:
            for each in hashes.values():
                each.update(run)
            size += len(run)
            if round_.rate:
                stop.wait(max(0.0, began + size / round_.rate - round_.monotonic()))
            if stop.is_set():
                break
    return size, {name: each.hexdigest() for name, each in hashes.items()}


def _difference(size: int | None, read: int, expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """In words; empty where there is none."""
    if size is not None and read != size:
        return f"it has {read} bytes, and {size} were recorded"
    wrong = [name for name, digest in expected.items() if found[name] != digest]
    return f"its {wrong[0]} is {found[wrong[0]]}, and {expected[wrong[0]]} was recorded" if wrong else ""
