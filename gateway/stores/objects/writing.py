"""Putting one object: whole where it is small, else by a multipart upload that is completed last.

What is told to fail is aborted by its own thread, so that no object appears and no part stays behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from hashlib import md5
from typing import TYPE_CHECKING

import obstore

from gateway.model.errors import Conflict, OverLimit, Refusal
from gateway.ports import Block
from gateway.stores.claims import taken
from gateway.stores.objects.faults import broken, said
from gateway.stores.objects.feed import Feed
from gateway.stores.objects.parts import MOST_AT_ONCE, Parts
from gateway.stores.place import Place

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

MOST_PARTS = 10_000
TRAVELLING = MOST_AT_ONCE

_threads = ThreadPoolExecutor(max_workers=1024, thread_name_prefix="parts")


@dataclass(slots=True)
class Writing:
    """One put. `remove` takes away the object and what there is of an upload."""

    place: Place
    remote: Remote
    parts: Parts
    key: str
    remove: Callable[[str], None]
    count: int = 0

    def put(self, blocks: Iterable[Block]) -> int:
        """Raises Conflict, Unavailable, OverLimit, and what `blocks` raises."""
        self._refuse_existing()
        parts = self.parts.of(blocks)
        # Taken out when it goes: whatever still holds a part that has travelled makes the others wait.
        first = [next(parts, memoryview(b""))]
        try:
            if len(first[0]) < self.parts.size:
                self._put_whole(first.pop())
            else:
                self._put_parts(first, parts)
            self._check()
        except Conflict:
            raise  # the object is another's
        except BaseException:  # goes on to the caller; whatever the server has made of it must not stay
            with suppress(Refusal):
                self.remove(self.key)
            raise
        return self.count

    def _put_whole(self, content: memoryview) -> None:
        self.count = len(content)
        try:
            with said(self.place):
                obstore.put(self.remote, self.key, content, mode="create", use_multipart=False)
        except Conflict:
            # A try whose answer was lost has put it there; the library's next try found it.
            if not self._is(content):
                raise

    def _put_parts(self, first: list[memoryview], parts: Iterator[memoryview]) -> None:
        feed = Feed()
        sending = _threads.submit(self._send, feed)
        try:
            going = feed.put(self._counted(first.pop()))
            while going:
                going = self._fed(feed, parts)
            if not sending.done():
                self._refuse_existing()
            feed.end()
        except BaseException:  # goes on to the caller; the upload is aborted first
            feed.fail()
            wait((sending,))
            raise
        sending.result()

    def _fed(self, feed: Feed, parts: Iterator[memoryview]) -> bool:
        """One more part; nothing holds it afterwards but the feed."""
        part = next(parts, None)
        return part is not None and feed.put(self._counted(part))

    def _send(self, feed: Feed) -> None:
        """Completes the upload when the feed ends, and aborts it when the feed raises."""
        try:
            with said(self.place):
                obstore.put(
                    self.remote,
                    self.key,
                    feed,
                    use_multipart=True,
                    chunk_size=self.parts.size,
                    max_concurrency=TRAVELLING,
                )
        finally:
            feed.leave()

    def _counted(self, part: memoryview) -> memoryview:
        if self.count == MOST_PARTS * self.parts.size:
            raise self._too_large()
        self.count += len(part)
        return part

    def _refuse_existing(self) -> None:
        with said(self.place), suppress(FileNotFoundError):
            obstore.head(self.remote, self.key)
            raise taken(self.place.name)

    def _is(self, content: memoryview) -> bool:
        with said(self.place):
            found = obstore.head(self.remote, self.key)
        return (found["e_tag"] or "").strip('"') == md5(content, usedforsecurity=False).hexdigest()

    def _check(self) -> None:
        with said(self.place):
            found = obstore.head(self.remote, self.key)["size"]
        if found != self.count:
            raise broken(self.place, f"it keeps {found} of {self.count} bytes")

    def _too_large(self) -> OverLimit:
        most = MOST_PARTS * self.parts.size
        return OverLimit(
            f"Store {self.place.name} takes {most} bytes at the most.",
            remedy=f"The operators of your cloud can raise the store's `part_size`, now {self.parts.size} bytes.",
        )
