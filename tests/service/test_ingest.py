"""The ring between the loop and the storing thread: the same bytes out as in, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import BrokenUpload
from gateway.service.ingest import MOST_SPARE, Ring, Spare, SpareBlock
from tests.serving.process import LONGEST


async def through(chunks: list[bytes], *, spare: int, lasting: int, size: int) -> list[bytes]:
    ring = Ring(Spare(spare, size), lasting)

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
    spare=st.integers(min_value=0, max_value=3),
    lasting=st.integers(min_value=1, max_value=3),
    size=st.integers(min_value=1, max_value=16),
)
def test_the_same_bytes_come_out_in_blocks_of_one_size(
    chunks: list[bytes], spare: int, lasting: int, size: int
) -> None:
    out = asyncio.run(through(chunks, spare=spare, lasting=lasting, size=size))
    whole = b"".join(chunks)
    assert b"".join(out) == whole
    assert [len(block) for block in out[:-1]] == [size] * (len(out) - 1)


def test_an_error_of_the_sender_is_raised_where_the_bytes_are_stored() -> None:
    async def scene() -> None:
        ring = Ring(Spare(2, 4))
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
        ring = Ring(Spare(0, 4))

        def take_one() -> None:
            blocks = ring.blocks()
            next(blocks)
            blocks.close()

        taken = asyncio.create_task(asyncio.to_thread(take_one))
        # Far more than the ring holds: without the wake-up this would wait for ever.
        wanted = await asyncio.wait_for(ring.write(b"x" * 400), timeout=LONGEST)
        await taken
        return wanted

    assert asyncio.run(scene()) is False


@pytest.mark.parametrize(("spare", "lasting"), [(0, 1), (0, 3), (2, 3), (20, 1), (20, 3)])
def test_memory_is_the_ring_whatever_the_stream(spare: int, lasting: int) -> None:
    async def scene() -> set[int]:
        ring = Ring(Spare(spare, 8), lasting)
        seen: dict[int, object] = {}

        def drain() -> None:
            for block in ring.blocks():
                seen[id(block.obj)] = block.obj

        drained = asyncio.create_task(asyncio.to_thread(drain))
        for _ in range(500):
            await ring.write(b"abcdefg")
        ring.close()
        await drained
        return set(seen)

    assert len(asyncio.run(scene())) <= min(max(spare, lasting), lasting + MOST_SPARE)


def test_many_streams_share_what_is_beyond_their_own() -> None:
    """Each block is seen once more after `lasting - 1` others came, as it was; all spare ones are back at the end."""
    spare = Spare(4, 8)

    async def stream(number: int) -> bytes:
        ring, out, lent = Ring(spare, 3), bytearray(), deque[memoryview]()

        def drain() -> None:
            for block in ring.blocks():
                lent.append(block)
                if len(lent) == 3:
                    out.extend(lent.popleft())
            while lent:
                out.extend(lent.popleft())

        drained = asyncio.create_task(asyncio.to_thread(drain))
        for _ in range(200):
            await ring.write(bytes([number]) * 5)
        ring.close()
        await drained
        return bytes(out)

    async def scene() -> list[bytes]:
        return await asyncio.gather(*(stream(number) for number in range(12)))

    assert asyncio.run(scene()) == [bytes([number]) * 1000 for number in range(12)]
    back = [spare.take(needed=False) for _ in range(5)]
    assert [type(block) for block in back] == [SpareBlock] * 4 + [type(None)]


def test_a_stream_gets_what_it_needs_and_another_gives_back_what_it_does_not() -> None:
    spare = Spare(6, 8)

    async def scene() -> SpareBlock | None:
        first, second = Ring(spare, 1), Ring(spare, 1)
        await first.write(b"x" * 48)
        await asyncio.wait_for(second.write(b"y" * 8), timeout=LONGEST)
        blocks = first.blocks()
        for _ in range(6):
            next(blocks)
        blocks.close()
        return spare.take(needed=False)

    assert asyncio.run(scene()) is not None


def test_a_crowd_has_no_more_than_each_needs() -> None:
    spare = Spare(4, 8)

    async def scene() -> bool:
        rings = [Ring(spare, 1) for _ in range(6)]
        for ring in rings:
            await asyncio.wait_for(ring.write(b"x" * 8), timeout=LONGEST)
        more = asyncio.create_task(rings[0].write(b"y" * 8))
        await asyncio.sleep(0)
        assert not more.done()
        blocks = rings[0].blocks()
        for _ in range(2):
            await asyncio.to_thread(next, blocks)
        blocks.close()
        return await more

    assert asyncio.run(scene())
