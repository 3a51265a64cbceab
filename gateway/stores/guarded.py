"""What stands around every store, whatever its type: a limit and numbers.

A second try is the store's own matter: only there a request can be sent again without the bytes that have gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore

from gateway.model.errors import Refusal, Unavailable
from gateway.ports import Block, Store

TURN_SECONDS = 60.0
"""How long somebody waits for his turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a store that has ended. `seconds` are the store's own: waiting for the source, or for the reader, is
    not among them. `code` is empty for success.
    """

    store: str
    name: str
    seconds: float
    bytes_in: int = 0
    bytes_out: int = 0
    code: str = ""


class Around:
    """A store that passes everything on."""

    def __init__(self, store: Store) -> None:
        self.name, self.kind, self.read_only = store.name, store.kind, store.read_only
        self._store = store

    @property
    def properties(self) -> Mapping[str, object]:
        return self._store.properties

    def url(self, key: str) -> str:
        return self._store.url(key)

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        return self._store.put(key, blocks)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._store.get(key, offset, length)

    def size(self, key: str) -> int:
        return self._store.size(key)

    def delete(self, key: str) -> None:
        self._store.delete(key)

    def keys(self) -> Iterator[str]:
        return self._store.keys()

    def path(self, key: str) -> Path | None:
        return self._store.path(key)

    def close(self) -> None:
        self._store.close()


class Limited(Around):
    """At most so many blobs are written at once, and as many read: each holds memory and a connection."""

    def __init__(self, store: Store, at_once: int, turn: float = TURN_SECONDS) -> None:
        super().__init__(store)
        self._writers, self._readers = BoundedSemaphore(at_once), BoundedSemaphore(at_once)
        self._turn = turn

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        self._take(self._writers)
        try:
            return self._store.put(key, blocks)
        finally:
            self._writers.release()

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._take(self._readers)
        try:
            runs = self._store.get(key, offset, length)
        except BaseException:  # goes on to the caller; nobody will read
            self._readers.release()
            raise
        return Runs(runs, lambda _: self._readers.release())

    def _take(self, turns: BoundedSemaphore) -> None:
        if not turns.acquire(timeout=self._turn):
            raise Unavailable(
                f"Store {self.name} is busy: it may take no more images at once.",
                remedy="Try again later.",
                code="store-busy",
            )


class Counted(Around):
    """Tells `told` of every call that moves bytes or asks the server."""

    def __init__(self, store: Store, told: Callable[[Call], None]) -> None:
        super().__init__(store)
        self._told = told

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        taken = _Taken(iter(blocks))
        with self._watched("put") as spent:
            try:
                return self._store.put(key, taken)
            finally:
                spent.bytes_in, spent.elsewhere = taken.count, taken.seconds

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._watched("get"):
            runs = self._store.get(key, offset, length)
        return Runs(runs, self._read)

    def size(self, key: str) -> int:
        with self._watched("size"):
            return self._store.size(key)

    def delete(self, key: str) -> None:
        with self._watched("delete"):
            self._store.delete(key)

    def _read(self, runs: Runs) -> None:
        self._told(Call(store=self.name, name="read", seconds=runs.seconds, bytes_out=runs.count, code=runs.code))

    @contextmanager
    def _watched(self, name: str) -> Iterator[_Spent]:
        spent, start, code = _Spent(), time.monotonic(), "interrupted"
        try:
            yield spent
            code = ""
        except Refusal as refusal:
            code = refusal.code
            raise
        finally:
            seconds = max(0.0, time.monotonic() - start - spent.elsewhere)
            self._told(Call(store=self.name, name=name, seconds=seconds, bytes_in=spent.bytes_in, code=code))


@dataclass(slots=True)
class _Spent:
    bytes_in: int = 0
    elsewhere: float = 0.0


class _Taken(Iterator[Block]):
    """Blocks on their way into a store: how many bytes, and the seconds their source took."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self.count = 0
        self.seconds = 0.0

    def __next__(self) -> Block:
        start = time.monotonic()
        try:
            block = next(self._blocks)
        finally:
            self.seconds += time.monotonic() - start
        self.count += len(block)
        return block


class Runs(Iterator[bytes]):
    """Runs on their way out. `ended` is called once: at the end, at an error, by `close` or when they are forgotten."""

    def __init__(self, runs: Iterator[bytes], ended: Callable[[Runs], None]) -> None:
        self._runs = runs
        self._ended: Callable[[Runs], None] | None = ended
        self.count = 0
        self.seconds = 0.0
        self.code = ""

    def __next__(self) -> bytes:
        start = time.monotonic()
        try:
            run = next(self._runs)
        except BaseException as error:  # goes on to the caller
            self.code = getattr(error, "code", "")
            self.close()
            raise
        finally:
            self.seconds += time.monotonic() - start
        self.count += len(run)
        return run

    def close(self) -> None:
        close = getattr(self._runs, "close", None)
        if close is not None:
            close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)

    def __del__(self) -> None:
        self.close()


def guarded(store: Store, *, at_once: int | None, told: Callable[[Call], None]) -> Store:
    return Counted(store if at_once is None else Limited(store, at_once), told)
