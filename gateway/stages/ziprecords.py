"""The records of a zip (PKWARE's APPNOTE 6.3.10, section 4.3), read strictly."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64_MARK, LOCATOR_MARK, DESCRIPTOR_MARK = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
ZIP64, SECOND_NAME = 0x0001, 0x7075
UTF8 = 1 << 11


NEWEST = 63
"""Version 6.3, in tenths."""


class Fault(StrEnum):
    """The codes a zip is refused by."""

    MEMBERS = "not-one-member"
    CONTRADICTION = "bad-archive"
    ENCRYPTED = "encrypted-archive"
    METHOD = "unsupported-compression"
    UNSAFE = "unsafe-member"
    BEHIND = "trailing-bytes"


class Wrong(Exception):
    """What is wrong with a zip, to be read after 'The zip'."""

    def __init__(self, fault: Fault, what: str) -> None:
        super().__init__(what)
        self.fault = fault


def contradiction(what: str) -> Wrong:
    return Wrong(Fault.CONTRADICTION, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member, as its local header or the directory tells. Sizes are in bytes."""

    flags: int
    method: int
    sum: int
    packed: int
    unpacked: int
    name: str
    folder: bool = False
    mode: int = 0


def local_member(head: bytes) -> Member:
    """A whole local header. Raises Wrong."""
    _, needed, flags, method, _, _, total, packed, unpacked, name, _ = LOCAL.unpack_from(head)
    _check_version(needed)
    wide = extra(head[LOCAL.size + name :])
    unpacked, packed = widened((unpacked, packed), wide)
    text = named(head[LOCAL.size : LOCAL.size + name], flags)
    return Member(flags=flags, method=method, sum=total, packed=packed, unpacked=unpacked, name=text)


def central_member(record: bytes) -> Member:
    """The directory's one entry, and nothing behind it. Raises Wrong."""
    if len(record) < CENTRAL.size or not record.startswith(CENTRAL_MARK):
        raise contradiction("has no directory where it says")
    fields = CENTRAL.unpack_from(record)
    _, made, needed, flags, method, _, _, total, packed, unpacked, name, more, comment, disk, _, attributes, at = fields
    _check_version(needed)
    end = CENTRAL.size + name + more
    if record[end + comment :].startswith(CENTRAL_MARK):
        raise Wrong(Fault.MEMBERS, "has several members")
    if len(record) != end + comment:
        raise contradiction("has a directory of a length that is not its entry's")
    unpacked, packed, at = widened((unpacked, packed, at), extra(record[CENTRAL.size + name : end]))
    if at or disk:
        raise contradiction("has a member that does not begin where the file begins")
    mode = attributes >> 16 if made >> 8 == 3 else 0
    text = named(record[CENTRAL.size : CENTRAL.size + name], flags)
    return Member(
        flags=flags, method=method, sum=total, packed=packed, unpacked=unpacked, name=text,
        folder=bool(attributes & 0x10), mode=mode,
    )  # fmt: skip


def _check_version(needed: int) -> None:
    """APPNOTE 4.4.3 ends at 6.3; readers that know no more refuse what asks for it."""
    if needed & 0xFF > NEWEST:
        raise Wrong(Fault.METHOD, f"needs version {(needed & 0xFF) / 10} of a reader")


def named(run: bytes, flags: int) -> str:
    try:
        return run.decode("utf-8" if flags & UTF8 else "cp437")
    except UnicodeDecodeError:
        raise Wrong(Fault.UNSAFE, "has a member whose name nobody can read") from None


def extra(run: bytes) -> bytes | None:
    """The zip64 field among the extra ones, if there is one."""
    wide: list[bytes] = []
    for kind, value in _extras(run):
        if kind == SECOND_NAME:
            raise Wrong(Fault.UNSAFE, "has a member with two names")
        if kind == ZIP64:
            wide.append(value)
    if len(wide) > 1:
        raise contradiction("says its sizes twice")
    return wide[0] if wide else None


def _extras(run: bytes) -> Iterator[tuple[int, bytes]]:
    while run:
        if len(run) < 4 or len(run) < 4 + (length := int.from_bytes(run[2:4], "little")):
            raise contradiction("has extra fields that do not fit their place")
        yield int.from_bytes(run[:2], "little"), run[4 : 4 + length]
        run = run[4 + length :]


def widened(values: tuple[int, ...], wide: bytes | None) -> tuple[int, ...]:
    """Each value that is full stands in the zip64 field instead, in their order."""
    wide = wide or b""
    found = []
    for value in values:
        if value == FULL32 and wide:
            if len(wide) < 8:
                raise contradiction("has a zip64 field that is too short")
            found.append(int.from_bytes(wide[:8], "little"))
            wide = wide[8:]
        else:
            found.append(value)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the directory stands in the file: from `at` on, `size` bytes, and where its end records begin."""

    at: int
    size: int
    end: int


def directory(tail: bytes, start: int) -> Directory | None:
    """What the end records say; None where they are not there (yet). `tail` begins at `start` in the file."""
    if len(tail) < END.size or tail[-END.size :][:4] != END_MARK:
        if 0 <= tail.rfind(END_MARK) < len(tail) - END.size:
            raise Wrong(Fault.BEHIND, "goes on behind its end")
        return None
    _, *counted, size, at, comment = END.unpack_from(tail, len(tail) - END.size)
    if comment:
        raise Wrong(Fault.BEHIND, "goes on behind its end")
    end = start + len(tail) - END.size
    if tail[-END.size - LOCATOR.size :].startswith(LOCATOR_MARK):
        return _wide(tail, start, (*counted, size, at))
    return _checked(Directory(at, size, end), counted)


def _wide(tail: bytes, start: int, narrow: tuple[int, ...]) -> Directory:
    place = len(tail) - END.size - LOCATOR.size - END64.size
    _, disk, at64, disks = LOCATOR.unpack_from(tail, place + END64.size) if place >= 0 else (b"", 1, 0, 0)
    if disk or disks != 1 or at64 != start + place or not tail.startswith(END64_MARK, place):
        raise contradiction("has end records that contradict each other")
    _, length, _, _, *counted, size, at = END64.unpack_from(tail, place)
    told = (*counted, size, at)
    fulls = (FULL16,) * 4 + (FULL32,) * 2
    if length != END64.size - 12 or any(
        n not in (wide, full) for n, wide, full in zip(narrow, told, fulls, strict=True)
    ):
        raise contradiction("has end records that contradict each other")
    return _checked(Directory(at, size, at64), counted)


def _checked(found: Directory, counted: list[int]) -> Directory:
    disk, first, here, members = counted
    if members != 1 or here != 1:
        raise Wrong(Fault.MEMBERS, f"has {members} members")
    if disk or first:
        raise contradiction("is a part of a split archive")
    if found.at + found.size != found.end:
        raise contradiction("has bytes between its directory and its end")
    return found
