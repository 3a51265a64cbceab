"""The ring between the loop and the storing thread: the same bytes out as in, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import BrokenUpload
from gateway.ports import LASTING
from gateway.service.ingest import Ring


async def through(chunks: list[bytes], *, blocks: int, size: int) -> list[bytes]:
    ring = Ring(blocks, size)

    def drain() -> list[bytes]:
        return [bytes(block) for block in ring.blocks()]

    drained = asyncio.create_task(asyncio.to_thread(drain))
    for chunk in chunks:
        await ring.write(chunk)
    ring.close()
    return await drained


@settings(deadline=None, max_examples=60)
@given(
    chunks=st.lists(st.binary(max_size=40), max_size=30),
    blocks=st.integers(min_value=1, max_value=3),
    size=st.integers(min_value=1, max_value=16),
)
def test_the_same_bytes_come_out_in_blocks_of_one_size(chunks: list[bytes], blocks: int, size: int) -> None:
    out = asyncio.run(through(chunks, blocks=blocks, size=size))
    whole = b"".join(chunks)
    assert b"".join(out) == whole
    assert [len(block) for block in out[:-1]] == [size] * (len(out) - 1)


def test_an_error_of_the_sender_is_raised_where_the_bytes_are_stored() -> None:
    async def scene() -> None:
        ring = Ring(2, 4)
        stored: list[bytes] = []

        def drain() -> None:
            stored.extend(bytes(block) for block in ring.blocks())

        drained = asyncio.create_task(asyncio.to_thread(drain))
        await ring.write(b"12345")
        ring.close(BrokenUpload("gone"))
        with pytest.raises(BrokenUpload, match="gone"):
            await drained

    asyncio.run(scene())


def test_a_consumer_that_leaves_wakes_the_writer() -> None:
    async def scene() -> bool:
        ring = Ring(1, 4)

        def take_one() -> None:
            blocks = ring.blocks()
            next(blocks)
            blocks.close()

        taken = asyncio.create_task(asyncio.to_thread(take_one))
        # Far more than the ring holds: without the wake-up this would wait for ever.
        wanted = await asyncio.wait_for(ring.write(b"x" * 400), timeout=10)
        await taken
        return wanted

    assert asyncio.run(scene()) is False


def test_memory_is_the_ring_whatever_the_stream() -> None:
    async def scene() -> set[int]:
        ring = Ring(3, 8)
        seen: set[int] = set()

        def drain() -> None:
            for block in ring.blocks():
                seen.add(id(block.obj))

        drained = asyncio.create_task(asyncio.to_thread(drain))
        for _ in range(500):
            await ring.write(b"abcdefg")
        ring.close()
        await drained
        return seen

    assert len(asyncio.run(scene())) <= 3 + LASTING - 1
