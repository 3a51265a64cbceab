"""The text inside a VMDK, read strictly: ASCII, known keys, no key twice, nothing new behind its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

KEYS = frozenset({"version", "cid", "parentcid", "createtype", "encoding", "isnativesnapshot"})
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS) (\d{1,18}) ([A-Z]+)(?: "([^"]*)")?(?: (\d{1,18}))?')
_FIELD = re.compile(r'([A-Za-z]+)\s*=\s*"?([^"]*)"?')
REMAINDER = 7
"""Writers that exchange the content id in place for a shorter one (8 hexadecimal digits at most) leave so many bytes of
the old text's end behind the new one: qemu-img does, once in 256 images."""

_DISK_FIELD = re.compile(r'ddb\.[A-Za-z0-9_.]+\s*=\s*"[^"]*"')


class Malformed(Exception):
    """What the descriptor does that a descriptor does not do, to be read after 'has a descriptor that'."""


@dataclass(frozen=True, slots=True)
class Extent:
    """One extent line: how much (in sectors), of what kind, in which file."""

    sectors: int
    kind: str
    file: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """`kind` is createType and `parent` parentCID, both in lower case, empty where absent."""

    kind: str
    parent: str
    extents: tuple[Extent, ...]

    @classmethod
    def parse(cls, run: bytes) -> Descriptor:
        """`run` is the descriptor's place in the file, padded by zeros. Raises Malformed."""
        fields: dict[str, str] = {}
        extents: list[Extent] = []
        for line in lines(run):
            if extent := _EXTENT.fullmatch(line):
                extents.append(Extent(int(extent[2]), extent[3], extent[4] or ""))
            elif not _DISK_FIELD.fullmatch(line):
                add_field(fields, line)
        return cls(fields.get("createtype", "").lower(), fields.get("parentcid", "").lower(), tuple(extents))


def lines(run: bytes) -> list[str]:
    """The lines that say something. Comments and blank lines do not."""
    text, _, padding = run.partition(b"\x00")
    remainder = padding.rstrip(b"\x00")
    if len(remainder) > REMAINDER or not text.endswith(remainder):
        raise Malformed("goes on behind its end")
    if not text.isascii() or any(byte < 32 and byte not in b"\t\r\n" for byte in text):
        raise Malformed("is not plain text")
    stripped = (line.strip() for line in re.split("[\r\n]", text.decode("ascii")))
    return [line for line in stripped if line and not line.startswith("#")]


def add_field(fields: dict[str, str], line: str) -> None:
    field = _FIELD.fullmatch(line)
    if not field or field[1].lower() not in KEYS:
        raise Malformed(f"holds the line {line[:60]!r}")
    if field[1].lower() in fields:
        raise Malformed(f"says {field[1]} twice")
    fields[field[1].lower()] = field[2]
