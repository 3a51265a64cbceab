"""Blocks of a download are read ahead: all of them, in their order, and no further than there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.api import ahead
from gateway.api.ahead import AHEAD, Ahead

GENEROUS = 60


def numbered(count: int, made: list[int]) -> Iterator[bytes]:
    for number in range(count):
        made.append(number)
        yield b"%d" % number


@pytest.mark.parametrize("count", [0, 1, AHEAD, AHEAD + 1, 5000])
@pytest.mark.parametrize("pauses", [0, 1, 3])
def test_all_blocks_come_in_their_order(count: int, pauses: int) -> None:
    async def sent() -> list[bytes]:
        found = []
        async with asyncio.timeout(GENEROUS):
            async for block in Ahead(numbered(count, [])).sent():
                found.append(block)
                for _ in range(pauses):
                    await asyncio.sleep(0)
        return found

    assert asyncio.run(sent()) == [b"%d" % number for number in range(count)]


def test_what_came_before_a_break_is_sent() -> None:
    def broken() -> Iterator[bytes]:
        yield from numbered(AHEAD + 2, [])
        raise ConnectionError("cut")

    async def sent(found: list[bytes]) -> None:
        async with asyncio.timeout(GENEROUS):
            async for block in Ahead(broken()).sent():
                found.append(block)

    found: list[bytes] = []
    with pytest.raises(ConnectionError, match="cut"):
        asyncio.run(sent(found))
    assert len(found) == AHEAD + 2


def test_a_client_that_takes_nothing_more_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    async def stalled(one: ThreadPoolExecutor) -> int:
        blocks = Ahead(numbered(1000, made)).sent()
        await anext(blocks)
        async with asyncio.timeout(GENEROUS):
            while len(made) < AHEAD + 1:
                await asyncio.get_running_loop().run_in_executor(one, int)
            await asyncio.get_running_loop().run_in_executor(one, int)
        await blocks.aclose()
        return len(made)

    with ThreadPoolExecutor(max_workers=1) as one:
        monkeypatch.setattr(ahead, "_readers", one)
        assert asyncio.run(stalled(one)) == AHEAD + 1
