"""VHD, by Microsoft's "Virtual Hard Disk Image Format Specification": a 512-byte footer, at the front too if dynamic.

Readers differ in which copy they believe, so both must say the same.
"""

from __future__ import annotations

from gateway.stages.images.fields import be32, be64, is_zero
from gateway.stages.images.reader import End, Reader

FOOTER = 512
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
MAX_SIZE = 2040 << 30


class Vhd(Reader):
    """A dynamic disk: footer copy, dynamic header, block table, blocks, footer."""

    name = "vhd"

    def start(self, head: bytes) -> None:
        if len(head) < FOOTER + 1024:
            raise self.truncated(len(head), FOOTER + 1024)
        self.footer = head[:FOOTER]
        self._check_footer(self.footer, DYNAMIC)
        self._check_header(head)

    def _check_footer(self, footer: bytes, wanted: int) -> None:
        kind = be32(footer, 60)
        if kind == DIFFERENCING:
            raise self.backing("is a differencing disk, so part of its content is elsewhere")
        if kind != wanted:
            raise self.bad(f"is of type {kind}, which does not fit its layout")
        if checksum(footer, 64) != be32(footer, 64):
            raise self.bad("has a footer whose checksum does not fit")
        self.virtual_size = self.plausible(be64(footer, 48))
        if self.virtual_size > MAX_SIZE:
            raise self.implausible(f"claims {self.virtual_size} bytes, more than the format allows")

    def _check_header(self, head: bytes) -> None:
        at = be64(head, 16)
        header = head[at : at + 1024]
        if at != FOOTER or header[:8] != b"cxsparse" or checksum(header, 36) != be32(header, 36):
            raise self.bad("has no sound dynamic header behind its footer copy")
        if not is_zero(header, 40, 16) or not is_zero(header, 576, 24 * 8):
            raise self.backing("names a parent disk")
        self._check_table(be64(header, 16), be32(header, 28), be32(header, 32))

    def _check_table(self, table_at: int, blocks: int, block: int) -> None:
        if block < 4096 or block & (block - 1) or block > 256 << 20:
            raise self.bad(f"claims blocks of {block} bytes")
        if blocks * block < (self.virtual_size or 0) or blocks * 4 > 64 << 20:
            raise self.implausible(f"claims {self.virtual_size} bytes in {blocks} blocks")
        self.needed = table_at + 4 * blocks + FOOTER

    def finish(self, end: End) -> None:
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)
        if end.tail[-FOOTER:] != self.footer:
            raise self.bad("does not end with the footer it begins with")


class FixedVhd(Vhd):
    """A fixed disk: raw content, then the footer."""

    def start(self, head: bytes) -> None: ...

    def finish(self, end: End) -> None:
        self._check_footer(end.tail[-FOOTER:], FIXED)
        if self.virtual_size != end.size - FOOTER:
            raise self.implausible(f"claims {self.virtual_size} bytes but holds {end.size - FOOTER}")


def checksum(run: bytes, at: int) -> int:
    """One's complement of the sum of all bytes, without the checksum's own four."""
    return ~(sum(run) - sum(run[at : at + 4])) & 0xFFFFFFFF
