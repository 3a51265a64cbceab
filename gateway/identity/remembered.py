"""Answers that stay true for a while. Whoever asks for the same thing meanwhile shares one question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 10_000


class Remembered(Generic[K, V]):
    """At most MOST answers, the oldest forgotten first. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._held: dict[K, tuple[V, float]] = {}
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        """What is known, or what `ask` says: an answer and the seconds it holds from now.

        An exception goes to all who wait for it, and is not remembered. A waiter that leaves disturbs no other.
        """
        answer, until = self._held.get(key, (None, float("-inf")))
        if answer is not None and until > self._monotonic():
            return answer
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._ask(key, ask))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def forget(self, key: K, answer: V) -> None:
        """Unless another answer has come in meanwhile."""
        if self._held.get(key, (None, 0.0))[0] is answer:
            del self._held[key]

    async def _ask(self, key: K, ask: Callable[[], Awaitable[tuple[V, float]]]) -> V:
        answer, seconds = await ask()
        self._held.pop(key, None)
        if seconds > 0:
            self._held[key] = (answer, self._monotonic() + seconds)
        if len(self._held) > MOST:
            del self._held[next(iter(self._held))]
        return answer

    def _landed(self, key: K, flight: asyncio.Task[V]) -> None:
        """Looking at the exception keeps asyncio from complaining where every waiter has left."""
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()
