"""Putting one object: whole where it is small, else by a multipart upload that is completed last.

What is told to fail is aborted, so that no object appears and no part stays behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import md5
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import obstore

from gateway.model.errors import Conflict, OverLimit, Refusal
from gateway.ports import Block
from gateway.stores.claims import taken
from gateway.stores.objects.faults import broken, said
from gateway.stores.objects.memory import Memory, Share
from gateway.stores.objects.parts import Part, Parts
from gateway.stores.place import Place

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

MOST_PARTS = 10_000


@contextmanager
def or_nothing(key: str, remove: Callable[[str], None]) -> Iterator[None]:
    """What is raised within leaves nothing of ours; after a Conflict the object is another's."""
    try:
        yield
    except Conflict:
        raise
    except BaseException:  # goes on to the caller; whatever the server has made of it must not stay
        with suppress(Refusal):
            remove(key)
        raise


class Uploads(Protocol):
    """How an object is put in parts."""

    def send(self, key: str, parts: Iterator[Part], last_look: Callable[[], None]) -> None:
        """Begins an upload, and completes it when they end, after a `last_look` for another's
        object, whose place it would take. Each part is closed once it was sent.

        Raises Unavailable, and what `parts` and `last_look` raise; then nothing of it stays.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How bytes reach the server."""

    place: Place
    remote: Remote
    parts: Parts
    memory: Memory
    uploads: Uploads


@dataclass(slots=True)
class Writing:
    """One put. `remove` takes away the object and what there is of an upload."""

    ways: Ways
    key: str
    remove: Callable[[str], None]
    count: int = 0

    def put(self, blocks: Iterable[Block]) -> int:
        """Raises Conflict, Unavailable, OverLimit, and what `blocks` raises."""
        self._refuse_existing()
        parts = self.ways.parts.of(blocks)
        with closing(parts):
            first = next(parts, None)
            try:
                if first is not None and len(first) == self.ways.parts.size:
                    self.ways.uploads.send(self.key, self._counted(chain([first], parts)), self._refuse_existing)
                else:
                    self._put_whole(first)
            finally:
                if first is not None:
                    first.close()
        self._check()
        return self.count

    def _put_whole(self, part: Part | None) -> None:
        content = memoryview(b"") if part is None else self.ways.memory.holding(part, Share())
        self.count = len(content)
        try:
            with or_nothing(self.key, self.remove), said(self.place):
                obstore.put(self.ways.remote, self.key, content, mode="create", use_multipart=False)
        except Conflict:
            # A try whose answer was lost has put it there; the library's next try found it.
            if not self._is(content):
                raise

    def _counted(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            if self.count == MOST_PARTS * self.ways.parts.size:
                part.close()
                raise self._too_large()
            self.count += len(part)
            yield part

    @property
    def place(self) -> Place:
        return self.ways.place

    def _refuse_existing(self) -> None:
        with said(self.place), suppress(FileNotFoundError):
            obstore.head(self.ways.remote, self.key)
            raise taken(self.place.name)

    def _is(self, content: memoryview) -> bool:
        with said(self.place):
            found = obstore.head(self.ways.remote, self.key)
        return (found["e_tag"] or "").strip('"') == md5(content, usedforsecurity=False).hexdigest()

    def _check(self) -> None:
        with or_nothing(self.key, self.remove):
            with said(self.place):
                found = obstore.head(self.ways.remote, self.key)["size"]
            if found != self.count:
                raise broken(self.place, f"it keeps {found} of {self.count} bytes")

    def _too_large(self) -> OverLimit:
        most = MOST_PARTS * self.ways.parts.size
        return OverLimit(
            f"Store {self.place.name} takes {most} bytes at the most.",
            remedy=f"The operators of your cloud can raise the store's `part_size`, now {self.ways.parts.size} bytes.",
        )
