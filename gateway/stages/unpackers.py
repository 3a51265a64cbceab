"""Decompressors of five kinds behind one shape: fed runs of bytes, they yield pieces of bounded size."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import zstandard

from gateway.stages.stage import BLOCK_SIZE, Block
from gateway.stages.zipped import Zip

XZ_MEMORY = 128 << 20
"""`xz -9` needs 65 MiB to unpack."""

ZSTD_WINDOW = 128 << 20
"""What `zstd --long` needs without a special setting of the reader."""

ZSTD_RUN = 2048
"""zstd gives all a run unpacks to at once, 128 KiB for every 4 bytes at worst: 64 MiB for a run of this length."""

BROKEN = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, ValueError, EOFError)
"""What the libraries raise for streams that are no such streams."""


class Unpacker(Protocol):
    """`eof` once the one member has ended; `spare` tells whether bytes came after it."""

    eof: bool
    spare: bool

    def feed(self, block: Block) -> Iterator[bytes]: ...
    def finish(self) -> Iterator[bytes]: ...


class _Bounded(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: Block, max_length: int = -1) -> bytes: ...


class Streamed:
    """xz and bzip2: the standard library's decompressors keep what they have not unpacked yet."""

    def __init__(self, stream: _Bounded) -> None:
        self._stream = stream
        self.eof = False
        self.spare = False

    def feed(self, block: Block) -> Iterator[bytes]:
        yield self._stream.decompress(block, BLOCK_SIZE)
        while not self._stream.eof and not self._stream.needs_input:
            yield self._stream.decompress(b"", BLOCK_SIZE)
        self.eof, self.spare = self._stream.eof, bool(self._stream.unused_data)

    def finish(self) -> Iterator[bytes]:
        yield from ()


class Gzip:
    """RFC 1952, header and trailer checked by zlib."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)
        self.eof = False
        self.spare = False

    def feed(self, block: Block) -> Iterator[bytes]:
        yield self._stream.decompress(block, BLOCK_SIZE)
        while self._stream.unconsumed_tail and not self._stream.eof:
            yield self._stream.decompress(self._stream.unconsumed_tail, BLOCK_SIZE)
        self._look()

    def finish(self) -> Iterator[bytes]:
        yield self._stream.flush()
        self._look()

    def _look(self) -> None:
        self.eof, self.spare = self._stream.eof, bool(self._stream.unused_data)


class Zstd:
    """RFC 8878, one frame."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self.eof = False
        self.spare = False

    def feed(self, block: Block) -> Iterator[bytes]:
        view = memoryview(block)
        for at in range(0, len(view), ZSTD_RUN):
            if self.eof:
                self.spare = True
                return
            yield self._stream.decompress(view[at : at + ZSTD_RUN])
            self.eof, self.spare = self._stream.eof, bool(self._stream.unused_data)

    def finish(self) -> Iterator[bytes]:
        yield from ()


UNPACKERS: Mapping[str, Callable[[], Unpacker]] = {
    "gzip": Gzip,
    "xz": lambda: Streamed(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
    "bzip2": lambda: Streamed(bz2.BZ2Decompressor()),
    "zstd": Zstd,
    "zip": Zip,
}
