"""What stands at the front of a plain disk: partition tables, and names for what they speak of."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from gateway.stages.images.fields import le32, le64

GPT_HEADER = 512
MBR_TYPES = {
    0x01: "FAT",
    0x04: "FAT",
    0x06: "FAT",
    0x07: "Windows (NTFS)",
    0x0B: "FAT",
    0x0C: "FAT",
    0x0E: "FAT",
    0x82: "Linux swap",
    0x83: "Linux",
    0x8E: "Linux LVM",
    0xA5: "FreeBSD",
    0xA6: "OpenBSD",
    0xA9: "NetBSD",
    0xAF: "Apple HFS",
    0xEF: "EFI system",
    0xFD: "Linux RAID",
}
GPT_TYPES = {
    UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"): "EFI system",
    UUID("21686148-6449-6e6f-744e-656564454649"): "BIOS boot",
    UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"): "Linux",
    UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "Linux",
    UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"): "Linux",
    UUID("e6d6d379-f507-44c2-a23c-238f2a3df928"): "Linux LVM",
    UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"): "Linux swap",
    UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae"): "Windows",
    UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"): "Windows",
    UUID("de94bba4-06d1-4d40-a16a-bfd50179d6ac"): "Windows",
    UUID("516e7cb6-6ecf-11d6-8ff8-00022d09712b"): "FreeBSD",
    UUID("48465300-0000-11aa-aa11-00306543ecac"): "Apple HFS",
}
"""What an operator would want to know. The types are those of the UEFI specification and of its users' registries."""

FILE_SYSTEMS = (
    ("an ext", 1080, b"\x53\xef"),
    ("an XFS", 0, b"XFSB"),
    ("an NTFS", 3, b"NTFS    "),
    ("a FAT", 54, b"FAT"),
    ("a FAT", 82, b"FAT32"),
    ("a Btrfs", 65600, b"_BHRfS_M"),
    ("a squashfs", 0, b"hsqs"),
)
BOOT_FILES = (
    ("a Linux kernel", 514, b"HdrS"),
    ("an ELF file", 0, b"\x7fELF"),
    ("an arm64 kernel", 56, b"ARM\x64"),
    ("a cpio archive", 0, b"07070"),
)


def has_partitions(head: bytes) -> bool:
    """A sane MBR, or a GPT's protective one (UEFI 2.10, 5.2): one partition of type 0xEE that starts at sector 1."""
    entries = [head[at : at + 16] for at in range(446, 510, 16)]
    if head[510:512] != b"\x55\xaa" or any(entry[0] not in (0, 0x80) for entry in entries):
        return False
    used = [entry for entry in entries if entry[4]]
    if any(entry[4] == 0xEE for entry in used):
        return len(used) == 1 and entries[0][8:12] == b"\x01\x00\x00\x00"
    return bool(used)


def table(head: bytes) -> str:
    """The partition table in words: `a GPT: EFI system, Linux`. Only for a head that `has_partitions`."""
    if head[450] == 0xEE:
        return "a GPT" + listed(_gpt(head))
    return "an MBR" + listed(MBR_TYPES.get(head[at + 4], f"type {head[at + 4]:#04x}") for at in _used(head))


def listed(names: Iterator[str]) -> str:
    found = ", ".join(dict.fromkeys(names))
    return f": {found}" if found else ""


def _used(head: bytes) -> list[int]:
    return [at for at in range(446, 510, 16) if head[at + 4]]


def _gpt(head: bytes) -> Iterator[str]:
    """The types of the first 128 entries, where they are in the first MiB; a hint, so nothing is checked."""
    if not head.startswith(b"EFI PART", GPT_HEADER) or len(head) < GPT_HEADER + 92:
        return
    start, count, size = le64(head, 584), le32(head, 592), le32(head, 596)
    for at in range(start * 512, start * 512 + min(count, 128) * max(size, 16), max(size, 16)):
        kind = bytes(head[at : at + 16])
        if len(kind) == 16 and any(kind):
            yield GPT_TYPES.get(UUID(bytes_le=kind), "another type")


def content(head: bytes) -> str | None:
    """A file system or a kernel that begins right here, in words."""
    if name := next((name for name, at, magic in BOOT_FILES if head.startswith(magic, at)), None):
        return name
    name = next((name for name, at, magic in FILE_SYSTEMS if head.startswith(magic, at)), None)
    return None if name is None else f"{name} file system"
