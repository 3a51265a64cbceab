"""VMDK, one sparse extent in one file, by VMware's "Virtual Disk Format 5.0".

The header is 512 little-endian bytes; a text descriptor follows it, and in a stream-optimised file a footer with a
second header takes precedence. Both headers must agree, and the descriptor is read strictly: it names files.
"""

from __future__ import annotations

from gateway.stages.images.descriptor import Descriptor, Malformed
from gateway.stages.images.fields import is_zero, le32, le64
from gateway.stages.images.reader import End, Reader

SECTOR = 512
DESCRIPTOR_AT = 1
MAX_DESCRIPTOR = (1 << 20) // SECTOR - 1
READ_ANYWAY = 20 * SECTOR
"""Some readers search this much for a parent, however short the descriptor claims to be."""

AT_END = 0xFFFFFFFFFFFFFFFF
FOOTER = 3 * SECTOR
RGD = 1 << 1


class Vmdk(Reader):
    name = "vmdk"

    def start(self, head: bytes) -> None:
        if len(head) < 2 * SECTOR:
            raise self.truncated(len(head), 2 * SECTOR)
        self.header = head[:SECTOR]
        self._check_header(self.header)
        self._check_descriptor(head)

    def _check_header(self, header: bytes) -> None:
        version, self.capacity, grain, tables = le32(header, 4), le64(header, 12), le64(header, 20), le32(header, 44)
        if version not in (1, 2, 3):
            raise self.unknown(f"has version {version}")
        if not self.capacity:
            raise self.data_file("has no content of its own, only a descriptor")
        self.virtual_size = self.plausible(self.capacity * SECTOR)
        if grain & (grain - 1) or not 8 <= grain <= 1 << 16 or tables != 512:
            raise self.bad(f"claims grains of {grain} sectors and tables of {tables} entries")
        self._check_directories(header, -(-self.capacity // (grain * tables)) * 4)

    def _check_directories(self, header: bytes, directory: int) -> None:
        """`directory` is the length of a grain directory in bytes; the content starts at the overhead's end."""
        ends = [le64(header, 64) * SECTOR]
        if le64(header, 56) != AT_END:
            ends.append(le64(header, 56) * SECTOR + directory)
        if le32(header, 8) & RGD and le64(header, 48) != AT_END:
            ends.append(le64(header, 48) * SECTOR + directory)
        self.needed = max(ends)

    def _check_descriptor(self, head: bytes) -> None:
        place, sectors = le64(self.header, 28), le64(self.header, 36)
        if place != DESCRIPTOR_AT or not 0 < sectors <= MAX_DESCRIPTOR:
            raise self.bad("has its descriptor at an unusual place")
        start, length = place * SECTOR, sectors * SECTOR
        if len(head) < start + length:
            raise self.truncated(len(head), start + length)
        if b"parentfilenamehint" in head[start : start + max(length, READ_ANYWAY)].lower():
            raise self.backing("names a parent disk")
        self._judge(self._parse(head[start : start + length]))

    def _parse(self, run: bytes) -> Descriptor:
        try:
            return Descriptor.parse(run)
        except Malformed as malformed:
            raise self.bad(f"has a descriptor that {malformed}") from None

    def _judge(self, descriptor: Descriptor) -> None:
        if descriptor.parent not in ("", "ffffffff"):
            raise self.backing(f"is based on the disk {descriptor.parent}")
        if descriptor.kind not in ("monolithicsparse", "streamoptimized"):
            raise self.data_file(f"is of type '{descriptor.kind[:32]}', which keeps its content in other files")
        if len(descriptor.extents) != 1:
            raise self.data_file(f"has {len(descriptor.extents)} extents; a whole image has one")
        extent = descriptor.extents[0]
        if extent.kind != "SPARSE" or "/" in extent.file or "\\" in extent.file:
            raise self.data_file(f"has a {extent.kind} extent in another file")
        if extent.sectors != self.capacity:
            raise self.implausible(f"claims {self.capacity} sectors, and {extent.sectors} in its descriptor")

    def finish(self, end: End) -> None:
        if le64(self.header, 56) == AT_END:
            self._check_footer(end)
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)

    def _check_footer(self, end: End) -> None:
        """Marker, header, end marker. Only the place of the grain directory may differ from the first header."""
        footer = end.tail[-2 * SECTOR : -SECTOR]
        marker, stop = end.tail[-FOOTER : -2 * SECTOR], end.tail[-SECTOR:]
        if len(end.tail) < FOOTER or le32(marker, 12) != 3 or not is_zero(stop, 0, SECTOR):
            raise self.bad("does not end with the footer its header speaks of")
        if footer[:56] != self.header[:56] or footer[64:] != self.header[64:] or le64(footer, 56) == AT_END:
            raise self.bad("has a footer that contradicts its header")
        self.needed = max(self.needed, le64(footer, 56) * SECTOR)
