"""Which formats the bytes could be taken for, by anybody.

At least as broad as what emulators probe for: content counts as raw only if nothing here fires. A polyglot is content
that could be taken for more than one thing.
"""

from __future__ import annotations

import re

MAGIC: tuple[tuple[str, int, bytes], ...] = (
    ("qcow2", 0, b"QFI\xfb"),
    ("qed", 0, b"QED\x00"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk-cowd", 0, b"COWD"),
    ("vhd", 0, b"conectix"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
    ("luks", 0, b"LUKS\xba\xbe"),
    ("ploop", 0, b"WithoutFreeSpace"),
    ("ploop", 0, b"WithouFreSpacExt"),
    ("bochs", 0, b"Bochs Virtual HD Image"),
    ("cloop", 0, b"#!/bin/sh\n#V2.0 Format"),
    ("iso", 32769, b"CD001"),
    ("iso", 32769, b"BEA01"),
    ("iso", 32769, b"NSR02"),
    ("iso", 32769, b"NSR03"),
    ("gzip", 0, b"\x1f\x8b"),
    ("xz", 0, b"\xfd7zXZ\x00"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("bzip2", 4, b"1AY&SY"),
    ("zip", 0, b"PK\x03\x04"),
    ("zip", 0, b"PK\x05\x06"),
    ("zip", 0, b"PK\x07\x08"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("tar", 257, b"ustar"),
)

TAIL_MAGIC: tuple[tuple[str, int, bytes], ...] = (("vhd", -512, b"conectix"), ("dmg", -512, b"koly"))

COMPRESSED = frozenset({"gzip", "xz", "zstd", "bzip2", "zip"})
"""Content that is a compressed stream of something else."""

ARCHIVED = COMPRESSED | {"tar", "ova", "docker", "7z"}
"""Content that holds files, not a disk. A tar is an OVA or a docker archive if somebody is to look into it."""

UNSUPPORTED = frozenset({"qcow1", "qed", "vmdk-cowd", "vmdk-descriptor", "bochs", "cloop", "dmg"})
"""Formats that are recognised so that they can be refused, whatever the record says."""

# What emulators take for a bare VMDK descriptor: comments and blank lines, then the version line.
_DESCRIPTOR = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*\d", re.IGNORECASE)
_DESCRIPTOR_TITLE = re.compile(rb"\s*#\s*disk\s*descriptor\s*file", re.IGNORECASE)


def sniff(head: bytes) -> frozenset[str]:
    """Every format whose signature stands in the first MiB; empty means raw."""
    found = {name for name, at, magic in MAGIC if head.startswith(magic, at)}
    if "qcow2" in found and head[4:8] == b"\x00\x00\x00\x01":
        found = found - {"qcow2"} | {"qcow1"}
    if _DESCRIPTOR.match(head) or _DESCRIPTOR_TITLE.match(head):
        found.add("vmdk-descriptor")
    return frozenset(found)


def sniff_tail(tail: bytes) -> frozenset[str]:
    """Formats that sign at their end. `tail` holds the last 512 bytes or more, if there are that many."""
    return frozenset(name for name, at, magic in TAIL_MAGIC if tail[at:].startswith(magic) and len(tail) >= -at)
