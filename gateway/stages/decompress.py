"""The `decompress` stage: takes one layer of compression off, if the bytes are compressed at all.

What comes out is what is stored, hashed and inspected. Kernels and ramdisks are compressed on purpose and stay as they
are. One stream holds one member; bytes behind it are refused, because readers differ in whether they see them.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused, OverLimit
from gateway.stages.images.agreement import DECOMPRESSED, KEPT_COMPRESSED
from gateway.stages.images.magic import COMPRESSED, sniff
from gateway.stages.stage import Block, Brief, Seen, Stage, refused
from gateway.stages.unpackers import BROKEN, UNPACKERS, Unpacker

MAX_RATIO = 1000
"""Sparse disks of 20 GiB with an operating system in them pack 100:1 at best; gzip itself ends at 1032:1."""

RATIO_FREE = 64 << 20
"""Below this much output no ratio is a danger, and small empty disks are real.

Input counts by whole blocks, so a long run of zeros at the front of a larger image is no bomb either.
"""


class Decompress(Stage):
    """Options: `max_size`, a cap on what comes out beside the import's own; `max_ratio` (default 1000), unpacked bytes
    for each packed one, beyond the first 64 MiB.
    """

    options = frozenset({"max_size", "max_ratio"})

    def __init__(self, call: StageCall, brief: Brief) -> None:
        super().__init__(call, brief)
        self._max_size = lower(brief.max_size, call.as_mapping().get("max_size"))
        self._max_ratio = int(call.as_mapping().get("max_ratio", MAX_RATIO))
        self._unpacker: Unpacker | None = None
        self._kind = ""
        self._started = False
        self._taken = 0
        self._given = 0

    def feed(self, block: Block) -> Iterator[Block]:
        if not self._started:
            self._start(bytes(memoryview(block)[:512]))
        if not self._unpacker:
            yield block
            return
        self._taken += len(block)
        if self._unpacker.eof:
            raise self._spare()
        yield from self._unpack(self._unpacker, self._unpacker.feed(block))

    def finish(self) -> Iterator[Block]:
        if self._unpacker:
            yield from self._unpack(self._unpacker, self._unpacker.finish())
            if not self._unpacker.eof:
                raise self._truncated()

    def close(self, seen: Seen) -> None:
        if not self._started:
            self._start(b"")
        if self._unpacker:
            self.note(DECOMPRESSED, f"{self._kind} taken off: {self._taken} bytes became {self._given}.")

    def _start(self, head: bytes) -> None:
        self._started = True
        kinds = sniff(head) & COMPRESSED
        declared = self.brief.declared
        if not kinds and declared.container_format == "compressed":
            raise self._not_compressed()
        if kinds and declared.disk_format not in KEPT_COMPRESSED:
            self._kind = min(kinds)
            self._unpacker = UNPACKERS[self._kind]()
            self.changes = True

    def _unpack(self, unpacker: Unpacker, pieces: Iterator[bytes]) -> Iterator[Block]:
        while (piece := self._next(pieces)) is not None:
            yield from self._capped(piece)
        if unpacker.spare:
            raise self._spare()

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        try:
            return next(pieces, None)
        except BROKEN as error:
            raise refused(
                "bad-compression",
                f"The {self._kind} stream is broken ({error}).",
                "Compare the file's digest with the original and send it again, or send it uncompressed.",
            ) from error

    def _capped(self, piece: bytes) -> Iterator[Block]:
        """Pieces up to the caps go on, so that what follows judges the same bytes however they came."""
        ratio_cap = max(RATIO_FREE, self._taken * self._max_ratio)
        size_cap = ratio_cap + 1 if self._max_size is None else self._max_size
        room = min(size_cap, ratio_cap) - self._given
        self._given += len(piece)
        if piece[:room]:
            yield piece[:room]
        if room < len(piece):
            raise self._over_limit() if size_cap <= ratio_cap else self._bomb()

    def _over_limit(self) -> OverLimit:
        return OverLimit(
            f"The image unpacks to more than the {self._max_size} bytes this import may have.",
            remedy="Shrink the disk inside, or ask the operator for a higher limit.",
        )

    def _bomb(self) -> ContentRefused:
        return refused(
            "decompression-bomb",
            f"{self._taken} bytes unpack to more than {self._max_ratio} times as much.",
            "Send the image as qcow2, where empty space costs nothing, or ask the operator for a higher ratio.",
        )

    def _spare(self) -> ContentRefused:
        return refused(
            "trailing-bytes",
            f"There are bytes behind the end of the {self._kind} stream: a second member, or something else.",
            "Pack the image as one stream, with nothing behind it.",
        )

    def _truncated(self) -> ContentRefused:
        return refused(
            "truncated",
            f"The {self._kind} stream ends before its end, after {self._taken} bytes.",
            "Compare the file's size and digest with the original and send it again.",
        )

    def _not_compressed(self) -> ContentRefused:
        return refused(
            "format-mismatch",
            "The container is declared 'compressed', but the bytes are not.",
            "Declare container_format bare.",
        )


def lower(cap: int | None, option: str | int | bool | None) -> int | None:
    """The lower of two caps in bytes, either of which may be absent."""
    caps = [int(value) for value in (cap, option) if value is not None]
    return min(caps, default=None)
