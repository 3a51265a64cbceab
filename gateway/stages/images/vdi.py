"""VirtualBox VDI, version 1.1: a 512-byte little-endian header, then the block map, then blocks of 1 MiB."""

from __future__ import annotations

from gateway.stages.images.fields import is_zero, le32, le64
from gateway.stages.images.reader import End, Reader

VERSION = 0x00010001
DYNAMIC, STATIC = 1, 2
MIN_BLOCK, MAX_BLOCK = 1 << 20, 256 << 20


class Vdi(Reader):
    name = "vdi"

    def start(self, head: bytes) -> None:
        if len(head) < 512:
            raise self.truncated(len(head), 512)
        if le32(head, 0x44) != VERSION:
            raise self.unknown(f"has version {le32(head, 0x44):#x}")
        self._check_parents(head)
        self._check_sizes(head)

    def _check_parents(self, head: bytes) -> None:
        kind = le32(head, 0x4C)
        if kind not in (DYNAMIC, STATIC):
            raise self.backing(f"is of type {kind}: an undo or differencing disk, or one nobody knows")
        if not is_zero(head, 0x1A8, 32):
            raise self.backing("names a parent disk")

    def _check_sizes(self, head: bytes) -> None:
        map_at, data_at = le32(head, 0x154), le32(head, 0x158)
        block, blocks, used = le32(head, 0x178), le32(head, 0x180), le32(head, 0x184)
        self.virtual_size = self.plausible(le64(head, 0x170))
        if not MIN_BLOCK <= block <= MAX_BLOCK or block & (block - 1):
            raise self.bad(f"claims blocks of {block} bytes")
        if not self.virtual_size <= blocks * block < self.virtual_size + block or used > blocks:
            raise self.implausible(f"claims {self.virtual_size} bytes in {blocks} blocks, {used} of them in use")
        if map_at < 512 or map_at + 4 * blocks > data_at:
            raise self.bad("has a block map that overlaps its header or its content")
        self.needed = data_at + used * block

    def finish(self, end: End) -> None:
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)
