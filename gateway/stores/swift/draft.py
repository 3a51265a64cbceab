"""A blob on its way to becoming one: nothing bears its key before it is whole and the server has confirmed it.

What ends within its first block is one object. Anything longer is cut into segments, each of them streamed; a manifest
with their digests and sizes, which the server checks (Static Large Objects), is written last and bears the key.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from gateway.model.errors import Refusal, TooLarge
from gateway.ports import BLOCK_SIZE, Block
from gateway.stores.claims import taken
from gateway.stores.swift import refusals
from gateway.stores.swift.container import Container

MARK = "X-Object-Meta-Put"
"""Whose put wrote an object: an answer that was lost must not make us take our own blob for another's."""

MOST_SEGMENTS = 1000


class Segment(NamedTuple):
    name: str
    etag: str
    size: int


class Cut:
    """One stream in pieces of at most `size` bytes, none of them held longer than the stream lets it last."""

    def __init__(self, blocks: Iterable[Block], size: int) -> None:
        self._blocks = iter(blocks)
        self._size = size
        self._rest = memoryview(b"")

    def more(self) -> bool:
        """Whether there is another byte; asks the stream for it."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._rest = memoryview(block)
        return True

    def piece(self) -> Iterator[memoryview]:
        left = self._size
        while left and self.more():
            run, self._rest = self._rest[:left], self._rest[left:]
            left -= len(run)
            yield run


class Draft:
    """`write` once; if it raises, `discard`."""

    def __init__(self, store: str, container: Container, prefix: str, key: str, segment_size: int) -> None:
        self._store = store
        self._container = container
        self._key = key
        self._name = prefix + key
        self._segment_size = segment_size
        self._mark = secrets.token_hex(8)
        self._segments: list[Segment] = []
        self._begun = 0
        self._published = False

    def write(self, blocks: Iterable[Block]) -> int:
        """The size in bytes. Raises what the blocks raise, Conflict, Unavailable, and TooLarge."""
        stream = iter(blocks)
        start = bytearray()
        for block in stream:
            start += block
            if len(start) > BLOCK_SIZE:
                self._write_segments(chain([start], stream))
                return self._publish_manifest()
        return self._publish_whole(bytes(start))

    def discard(self) -> None:
        """Leave nothing. What cannot be removed now stays under the key's name, where `keys` finds it."""
        with suppress(Refusal):
            if self._published and self._is_ours():
                self._container.remove(self._name)
        for number in range(1, self._begun + 1):
            with suppress(Refusal):
                self._container.remove(self._segment_name(number))

    def _write_segments(self, blocks: Iterable[Block]) -> None:
        cut = Cut(blocks, self._segment_size)
        while cut.more():
            if self._begun == MOST_SEGMENTS:
                raise TooLarge(
                    f"A blob in store {self._store} has at most {MOST_SEGMENTS} segments of {self._segment_size} bytes",
                    remedy="Ask the operators of your cloud for a greater segment_size.",
                    code="blob-too-large",
                )
            self._begun += 1
            self._segments.append(self._write_segment(self._segment_name(self._begun), cut))

    def _write_segment(self, name: str, cut: Cut) -> Segment:
        digest = hashlib.md5(usedforsecurity=False)
        size = 0

        def hashed() -> Iterator[Block]:
            nonlocal size
            for run in cut.piece():
                digest.update(run)
                size += len(run)
                yield run

        etag = self._container.stream(name, hashed())
        if etag != digest.hexdigest():
            raise refusals.broken(self._store, "it has other bytes than it was sent")
        return Segment(name, etag, size)

    def _publish_manifest(self) -> int:
        container = self._container.name
        manifest = [
            {"path": f"/{container}/{part.name}", "etag": part.etag, "size_bytes": part.size} for part in self._segments
        ]
        body = json.dumps(manifest, separators=(",", ":")).encode()
        self._publish(body, "multipart-manifest=put")
        return self._confirmed(sum(part.size for part in self._segments))

    def _publish_whole(self, content: bytes) -> int:
        self._publish(content, "", ETag=hashlib.md5(content, usedforsecurity=False).hexdigest())
        return self._confirmed(len(content))

    def _publish(self, body: bytes, query: str, **headers: str) -> None:
        # Ceph's gateway does not know If-None-Match here, and would write over it.
        if self._container.look(self._name) is not None:
            raise taken(self._store)
        self._published = True
        marked = {MARK: self._mark, "Content-Type": "application/octet-stream", **headers}
        if not self._container.write(self._name, body, marked, query, len(self._segments)) and not self._is_ours():
            self._published = False
            raise taken(self._store)

    def _confirmed(self, size: int) -> int:
        """What we wrote is what the server has."""
        found = self._container.look(self._name)
        if found is not None and found.headers.get(MARK.lower()) != self._mark:
            raise taken(self._store)
        if found is None or found.headers.get("content-length") != str(size):
            raise refusals.broken(self._store, "it has another blob than it was sent")
        return size

    def _is_ours(self) -> bool:
        found = self._container.look(self._name)
        return found is not None and found.headers.get(MARK.lower()) == self._mark

    def _segment_name(self, number: int) -> str:
        return f"{self._name}/{self._mark}/{number:08d}"
