"""Parallels expanding images, which OpenStack calls ploop: a 64-byte little-endian header, a block table, blocks."""

from __future__ import annotations

from gateway.stages.images.fields import le32, le64
from gateway.stages.images.reader import End, Reader

SECTOR = 512
VERSION = 2


class Ploop(Reader):
    name = "ploop"

    def start(self, head: bytes) -> None:
        if len(head) < 64:
            raise self.truncated(len(head), 64)
        if le32(head, 16) != VERSION:
            raise self.unknown(f"has version {le32(head, 16)}")
        track, entries, sectors = le32(head, 28), le32(head, 32), le64(head, 36)
        if not head.startswith(b"WithouFreSpacExt"):
            sectors &= 0xFFFFFFFF
        self.virtual_size = self.plausible(sectors * SECTOR)
        if not track or track > 1 << 20 or entries * track < sectors:
            raise self.implausible(f"claims {sectors} sectors in {entries} tracks of {track}")
        if le64(head, 56):
            raise self.unknown("uses format extensions")
        self.needed = 64 + 4 * entries

    def finish(self, end: End) -> None:
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)
