"""Formats that hold their disk byte by byte: ISO 9660 and UDF media, plain disks, LUKS volumes.

A hybrid of a medium and a partitioned disk counts as a medium, because that is how it is used. The primary volume
descriptor (ECMA-119, 8.4) says how much of it there must be.
"""

from __future__ import annotations

from gateway.model.verdict import Finding
from gateway.stages.images.fields import be16, be32, le16, le32
from gateway.stages.images.reader import End, Reader

DESCRIPTOR = 32768


class Iso(Reader):
    name = "iso"
    needed = 0

    def start(self, head: bytes) -> None:
        if head[DESCRIPTOR : DESCRIPTOR + 6] == b"\x01CD001":
            self.needed = le32(head, DESCRIPTOR + 80) * le16(head, DESCRIPTOR + 128)
            self._note_name(head[DESCRIPTOR + 40 : DESCRIPTOR + 72])

    def _note_name(self, field: bytes) -> None:
        name = field.decode("ascii", "replace").strip(" \0")
        if name and name.isprintable():
            self.findings.append(Finding(code="volume-id", message=f"The medium is called '{name}'.", fatal=False))

    def finish(self, end: End) -> None:
        self.virtual_size = end.size
        if self.needed > end.size:
            raise self.truncated(end.size, self.needed)


class Raw(Reader):
    """Anything that is no format at all: its virtual size is its size."""

    def finish(self, end: End) -> None:
        self.virtual_size = end.size


class Luks(Reader):
    """An encrypted volume (LUKS version 1); what is inside cannot be seen."""

    name = "luks"

    def start(self, head: bytes) -> None:
        if be16(head, 6) != 1:
            raise self.unknown(f"has version {be16(head, 6)}")
        self.needed = be32(head, 104) * 512

    def finish(self, end: End) -> None:
        if self.needed >= end.size:
            raise self.truncated(end.size, self.needed)
        self.virtual_size = end.size - self.needed
