"""Threads beside a stream: each hash of each stream is a lane of its own, and lanes run beside each other.

Hashing releases the GIL, so two hashes and a write cost the time of one. Calls that wait for somebody else have threads
of their own: a tool that hangs holds no hash up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from gateway.stages.stage import Wait

_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="hash")
_waiting = ThreadPoolExecutor(max_workers=1024, thread_name_prefix="wait")


class Lane:
    """Runs its calls in their order, one at a time, on whatever thread is free; none while it has nothing to do."""

    def __init__(self, threads: ThreadPoolExecutor = _threads) -> None:
        self._threads = threads
        self._waiting: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._lock = Lock()
        self._running = False

    def __call__(self, call: Callable[[], None]) -> Wait:
        done: Future[None] = Future()
        with self._lock:
            self._waiting.append((call, done))
            starts, self._running = not self._running, True
        if starts:
            self._threads.submit(self._run)
        return done.result

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            call, done = turn
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the call gets it
                done.set_exception(error)
            else:
                done.set_result(None)

    def _next(self) -> tuple[Callable[[], None], Future[None]] | None:
        with self._lock:
            self._running = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None


def waiting_lane() -> Lane:
    """A lane for calls that wait for somebody else."""
    return Lane(_waiting)
