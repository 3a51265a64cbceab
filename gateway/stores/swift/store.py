"""A container that belongs to the service alone. `KEY` is a blob; `KEY/PUT/NUMBER` are its segments.

Swift cannot compare and swap: of two processes that begin the same key in the same moment both may think they won.
Keys are drawn at random and recorded before they are written, so none is ever begun twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import httpcore

from gateway.model.errors import Unavailable
from gateway.ports import Block
from gateway.stores.claims import Claims, taken
from gateway.stores.exchange import Answer, Exchange, named
from gateway.stores.faults import absent
from gateway.stores.place import Place
from gateway.stores.shards import KEY, check_key
from gateway.stores.swift import refusals
from gateway.stores.swift.account import PAUSES, Account
from gateway.stores.swift.container import Container
from gateway.stores.swift.draft import Draft
from gateway.stores.swift.reading import Reading
from gateway.stores.swift.refusals import Misplaced

log = logging.getLogger(__name__)


class SwiftStore:
    """`gateway.ports.Store`. Keys are lower-case UUIDs; any other key is NotFound."""

    kind = "swift"
    read_only = False

    def __init__(self, place: Place, pauses: tuple[float, ...] = PAUSES) -> None:
        """`pauses` are the seconds before each further try.

        Raises Unavailable where the server says that the container is not there or not ours, and BadRequest for a
        `ca_file` that cannot be read. A server that does not answer now may do so later.
        """
        self.name = place.name
        self._account = Account(place, Exchange(place.patience, place.ca_file), pauses)
        self._container = Container(place.name, self._account, place.bucket)
        self._prefix = f"{place.prefix.strip('/')}/" if place.prefix.strip("/") else ""
        self._segment_size = place.segment_size
        self._claims = Claims(place.name)
        self._check()

    @property
    def properties(self) -> Mapping[str, object]:
        """In MiB, as Images API clients know them."""
        size = self._segment_size >> 20
        return {"container": self._container.name, "large_object_size": size, "large_object_chunk_size": size}

    def url(self, key: str) -> str:
        return f"swift+config://{self.name}/{self._container.name}/{self._prefix}{check_key(key)}"

    def path(self, key: str) -> Path | None:
        return None

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        check_key(key)
        with self._claims.held(key):
            if self._container.look(self._prefix + key) is not None:
                raise taken(self.name)
            draft = Draft(self.name, self._container, self._prefix, key, self._segment_size)
            try:
                return draft.write(blocks)
            except BaseException:  # goes on to the caller; only nothing must be left
                draft.discard()
                raise

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        last = None if length is None else offset + length - 1
        response = self._opened(key, offset, last) if length != 0 else self._look(key)
        if not isinstance(response, httpcore.Response):
            return self._nothing(length or 0)
        return Reading(
            response,
            offset,
            int(named(response).get("content-length", "0")) if length is None else length,
            reopen=lambda reached: self._reopened(key, reached, last, named(response).get("etag")),
            truncated=lambda missing: refusals.truncated(self.name, missing),
        )

    def size(self, key: str) -> int:
        return _size(self._look(key))

    def delete(self, key: str) -> None:
        """First the manifest with the segments it names, then what broken puts have left under the key."""
        name = self._prefix + check_key(key)
        found = self._container.look(name)
        if found is not None and found.headers.get("x-static-large-object", "").lower() == "true":
            self._container.remove_large(name, 1 + _size(found) // self._segment_size)
        # Whatever the look said: Ceph's gateway hides a manifest that has lost a segment.
        self._container.remove(name)
        for left in self._container.names(name + "/"):
            self._container.remove(left)

    def keys(self) -> Iterator[str]:
        """In order; the segments of a broken put count as its key."""
        before = None
        for name in self._container.names(self._prefix, "/"):
            key = name.removeprefix(self._prefix).removesuffix("/")
            if KEY.fullmatch(key) and key != before:
                yield key
            before = key

    def close(self) -> None:
        """Let go of idle connections; later calls open new ones."""
        self._account.close()

    def _check(self) -> None:
        try:
            self._container.reach()
        except Misplaced:
            self.close()
            raise
        except Unavailable as refusal:
            log.warning("%s; the store is used once it answers", refusal.message)

    def _look(self, key: str) -> Answer:
        found = self._container.look(self._prefix + check_key(key))
        if found is None:
            raise absent(key)
        return found

    def _opened(self, key: str, offset: int, last: int | None) -> httpcore.Response | None:
        """None where the range begins at the blob's end, or beyond."""
        wanted = f"bytes={offset}-{'' if last is None else last}" if offset or last is not None else None
        reply = self._container.open(self._prefix + check_key(key), wanted)
        if reply is None:
            # Ceph's gateway says so too where the first segment is gone; where a later one is, it falls silent.
            raise absent(key)
        if isinstance(reply, Answer):
            return None
        if wanted and reply.status != 206:
            reply.close()
            raise refusals.broken(self.name, "it does not know ranges")
        return reply

    def _reopened(self, key: str, offset: int, last: int | None, etag: str | None) -> httpcore.Response:
        """The same bytes from an offset on: somebody else's would make a blob that never was."""
        response = self._opened(key, offset, last)
        if response is None:
            raise refusals.truncated(self.name, 1 if last is None else last + 1 - offset)
        if named(response).get("etag") != etag:
            response.close()
            raise refusals.changed(self.name)
        return response

    def _nothing(self, missing: int) -> Iterator[bytes]:
        if missing:
            raise refusals.truncated(self.name, missing)
        yield from ()


def _size(answer: Answer) -> int:
    return int(answer.headers.get("content-length", "0"))
