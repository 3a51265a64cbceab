"""What is remembered is bounded, and what failed is not remembered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.identity.remembered import MOST, Remembered


async def unasked() -> tuple[str, float]:
    raise AssertionError("this was known")


async def answer() -> tuple[str, float]:
    return "answer", 60.0


def test_the_oldest_is_forgotten_first() -> None:
    async def scene() -> None:
        remembered: Remembered[int, str] = Remembered(lambda: 0.0)
        for number in range(MOST + 1):
            await remembered.get(number, answer)
        assert await remembered.get(1, unasked) == await remembered.get(MOST, unasked) == "answer"
        with pytest.raises(AssertionError):
            await remembered.get(0, unasked)

    asyncio.run(scene())


def test_a_failure_goes_to_all_who_wait_and_is_asked_again_afterwards() -> None:
    asked = []

    async def fail() -> tuple[str, float]:
        asked.append("once")
        await asyncio.sleep(0)
        raise ConnectionError

    async def scene() -> None:
        remembered: Remembered[str, str] = Remembered(lambda: 0.0)
        failed = await asyncio.gather(*(remembered.get("x", fail) for _ in range(9)), return_exceptions=True)
        assert ([type(each) for each in failed], asked) == ([ConnectionError] * 9, ["once"])
        assert await remembered.get("x", answer) == "answer"

    asyncio.run(scene())


def test_only_the_answer_that_was_wrong_is_forgotten() -> None:
    async def scene() -> None:
        remembered: Remembered[str, str] = Remembered(lambda: 0.0)
        held = await remembered.get("x", answer)
        remembered.forget("x", "ans" + "wers")
        assert await remembered.get("x", unasked) == held
        remembered.forget("x", held)
        with pytest.raises(AssertionError):
            await remembered.get("x", unasked)

    asyncio.run(scene())
