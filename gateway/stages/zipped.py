"""A zip with exactly one member, stored or deflated, read from its front in one pass (PKWARE's APPNOTE 6.3.10).

A zip says everything twice, before its content and in a directory behind it, and readers differ in which they believe.
So both must say the same, and what they say must be what came: sizes, checksum, places, and nothing in between.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gateway.stages.images.names import fault_of
from gateway.stages.stage import BLOCK_SIZE, Block, refused
from gateway.stages.ziprecords import (
    DESCRIPTOR_MARK,
    END_MARK,
    LOCAL,
    LOCAL_MARK,
    Fault,
    Member,
    Wrong,
    central_member,
    contradiction,
    directory,
    local_member,
)

MAX_TAIL = 512 << 10
"""Descriptor, directory entry (three fields of 64 KiB at most) and end records."""

STORED, DEFLATED = 0, 8
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
STREAMED = 1 << 3
HARMLESS = 0b110 | STREAMED | 1 << 11
"""How hard the packer tried, sizes behind the content, and a name in UTF-8."""

FILE_MODES = (0, 0o100000, 0o010000)
"""Not said, a file, and what the zip command makes of its standard input."""

AGAIN = "Pack the disk image alone: zip -X image.zip DISK; or use gzip, xz, bzip2 or zstd."


class Zip:
    """Raises ContentRefused by itself, beside zlib's errors. `eof` only once the directory was found sound."""

    def __init__(self) -> None:
        self.eof = False
        self.spare = False
        self._head = bytearray()
        self._body: Body | None = None
        self._tail = bytearray()

    def feed(self, block: Block) -> Iterator[bytes]:
        try:
            yield from self._feed(memoryview(block))
        except Wrong as wrong:
            raise refused(wrong.fault.value, f"The zip {wrong}.", AGAIN) from wrong

    def finish(self) -> Iterator[bytes]:
        yield from ()
        try:
            self.eof = self._body is not None and self._body.done and self._is_whole(self._body)
        except Wrong as wrong:
            raise refused(wrong.fault.value, f"The zip {wrong}.", AGAIN) from wrong

    def _feed(self, view: memoryview) -> Iterator[bytes]:
        if self._body is None:
            view = self._front(view)
        if self._body is not None and not self._body.done:
            yield from self._body.feed(view)
            view = memoryview(self._body.rest)
        self._tail += view
        if self._tail.startswith(LOCAL_MARK):
            raise Wrong(Fault.MEMBERS, "has several members")
        if len(self._tail) > MAX_TAIL:
            raise Wrong(Fault.BEHIND, "goes on behind its one member")

    def _front(self, view: memoryview) -> memoryview:
        """Gather the local header, whose length stands in its first 30 bytes."""
        while view and len(self._head) < (needed := self._length()):
            taken = min(needed - len(self._head), len(view))
            self._head += view[:taken]
            view = view[taken:]
        if len(self._head) == self._length():
            self._body = Body(checked(local_member(bytes(self._head))))
        return view

    def _length(self) -> int:
        if self._head[:4] == END_MARK:
            raise Wrong(Fault.MEMBERS, "has no members")
        if len(self._head) < LOCAL.size:
            return LOCAL.size
        if not self._head.startswith(LOCAL_MARK):
            raise contradiction("does not begin with a member")
        *_, name, extra = LOCAL.unpack_from(self._head)
        return LOCAL.size + int(name) + int(extra)

    def _is_whole(self, body: Body) -> bool:
        """Hold what stands behind the content against what came. False where the end is not there."""
        behind = len(self._head) + body.packed
        found = directory(bytes(self._tail), behind)
        if found is None:
            return False
        if found.at < behind:
            raise contradiction("has a directory that overlaps its content")
        place = found.at - behind
        if self._tail.find(LOCAL_MARK, 0, place) >= 0:
            raise Wrong(Fault.MEMBERS, "has several members")
        body.check_descriptor(bytes(self._tail[:place]))
        body.check_member(central_member(bytes(self._tail[place : place + found.size])))
        return True


class Body:
    """The member's content. `rest` is what stood behind it in the run it was fed last."""

    def __init__(self, local: Member) -> None:
        self._local = local
        self._limit = None if local.flags & STREAMED else local.packed
        self._stream = zlib.decompressobj(-15) if local.method == DEFLATED else None
        self._sum = 0
        self.packed = self._unpacked = 0
        self.rest: bytes = b""
        self.done = not self._stream and not self._limit

    def feed(self, view: memoryview) -> Iterator[bytes]:
        own = view if self._limit is None else view[: self._limit - self.packed]
        if self.done:
            self.rest = bytes(view)
            return
        for piece in self._inflated(self._stream, own) if self._stream else (bytes(own),):
            self._sum = zlib.crc32(piece, self._sum)
            self._unpacked += len(piece)
            yield piece
        spare = self._stream.unused_data if self._stream else b""
        self.packed += len(own) - len(spare)
        self.done = self._stream.eof if self._stream else self.packed == self._limit
        if self._limit is not None and (self.packed == self._limit) is not self.done:
            raise contradiction("has content that does not end where it says")
        self.rest = spare + bytes(view[len(own) :])

    def _inflated(self, stream: zlib._Decompress, run: memoryview) -> Iterator[bytes]:
        yield stream.decompress(run, BLOCK_SIZE)
        while not stream.eof:
            piece = stream.decompress(stream.unconsumed_tail, BLOCK_SIZE)
            if not piece and not stream.unconsumed_tail:
                return
            yield piece

    @property
    def _came(self) -> tuple[int, int, int]:
        return self._sum, self.packed, self._unpacked

    def check_descriptor(self, run: bytes) -> None:
        """Behind the content, if its sizes were not known before it: 32 or 64 bits, with a mark or without."""
        streamed = self._local.flags & STREAMED
        if not streamed and run:
            raise contradiction("has bytes between its member and its directory")
        if streamed and run not in descriptors(*self._came):
            raise contradiction("has a data descriptor that is not of the content that came")

    def check_member(self, member: Member) -> None:
        local = self._local
        if (member.name, member.flags, member.method) != (local.name, local.flags, local.method):
            raise contradiction("names its member in two ways")
        if (member.sum, member.packed, member.unpacked) != self._came:
            raise contradiction("has a directory that is not of the content that came")
        told = (local.sum, local.packed, local.unpacked)
        if told != self._came and not (local.flags & STREAMED and not any(told)):
            raise contradiction("has a member whose header is not of the content that came")
        if member.folder or member.mode & 0o170000 not in FILE_MODES:
            raise Wrong(Fault.UNSAFE, "has a member that is no file")


def descriptors(total: int, packed: int, unpacked: int) -> list[bytes]:
    """All ways to write them."""
    wide = total.to_bytes(4, "little") + packed.to_bytes(8, "little") + unpacked.to_bytes(8, "little")
    found = [wide]
    if max(packed, unpacked) < 1 << 32:
        found.append(wide[:8] + wide[12:16])
    return [mark + run for run in found for mark in (b"", DESCRIPTOR_MARK)]


def checked(local: Member) -> Member:
    """Raises Wrong for a member that is not taken, before anything of it is unpacked."""
    if local.flags & ENCRYPTED:
        raise Wrong(Fault.ENCRYPTED, "is encrypted")
    if local.method not in (STORED, DEFLATED):
        raise Wrong(Fault.METHOD, f"is packed by method {local.method}, which is not unpacked here")
    if local.flags & ~HARMLESS or (local.method == STORED and local.flags & STREAMED):
        raise Wrong(Fault.METHOD, "is written in a way that cannot be read in one pass")
    if fault := fault_of(local.name):
        raise Wrong(Fault.UNSAFE, f"has a member '{local.name[:64]}' whose name {fault}")
    return local
