"""An object in parts through the library: for what speaks another API than S3, or is given its keys by the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import obstore

from gateway.stores.objects.faults import said
from gateway.stores.objects.feed import Feed
from gateway.stores.objects.memory import Memory, Share
from gateway.stores.objects.parts import MOST_AT_ONCE, Part
from gateway.stores.objects.writing import or_nothing
from gateway.stores.place import Place

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

_threads = ThreadPoolExecutor(max_workers=1024, thread_name_prefix="parts")


class LibraryUploads:
    """`gateway.stores.objects.writing.Uploads`."""

    def __init__(self, place: Place, remote: Remote, memory: Memory, remove: Callable[[str], None]) -> None:
        """`remove` takes away the object of a key and what there is of an upload."""
        self._place = place
        self._remote = remote
        self._memory = memory
        self._remove = remove

    def send(self, key: str, parts: Iterator[Part], last_look: Callable[[], None]) -> None:
        with or_nothing(key, self._remove):  # the library does not say how far it came
            self._send(key, parts, last_look)

    def close(self) -> None:
        """Its threads are all stores'."""

    def _send(self, key: str, parts: Iterator[Part], last_look: Callable[[], None]) -> None:
        feed, share = Feed(), Share()
        sending = _threads.submit(self._drain, key, feed)
        try:
            # Nothing holds a part afterwards but the feed: whatever still does makes the others wait.
            while (part := next(parts, None)) is not None and feed.put(self._memory.holding(part, share)):
                pass
            if not sending.done():
                last_look()
            feed.end()
        except BaseException:  # goes on to the caller; the upload is aborted first
            feed.fail()
            wait((sending,))
            raise
        sending.result()

    def _drain(self, key: str, feed: Feed) -> None:
        """Completes the upload when the feed ends, and aborts it when the feed raises."""
        try:
            with said(self._place):
                obstore.put(
                    self._remote,
                    key,
                    feed,
                    use_multipart=True,
                    chunk_size=self._place.part_size,
                    max_concurrency=MOST_AT_ONCE,
                )
        finally:
            feed.leave()
