"""The smallest sound image of each format, as bytes. Each holds an empty disk of 1 MiB unless it says otherwise."""

from __future__ import annotations

import struct
from functools import cache
from uuid import UUID

MIB = 1 << 20
CLUSTER = 1 << 16


def patched(image: bytes, at: int, form: str, *values: object) -> bytes:
    """`image` with `values`, packed by the struct format, written at `at` (counted from the end if negative)."""
    run = struct.pack(form, *values)
    at = at if at >= 0 else len(image) + at
    return image[:at] + run + image[at + len(run) :]


def raw(size: int = MIB) -> bytes:
    return bytes(size)


def mbr(size: int = MIB) -> bytes:
    image = patched(raw(size), 446, "<B3BB3BII", 0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, size // 512 - 1)
    return patched(image, 510, "<H", 0xAA55)


def gpt(size: int = MIB) -> bytes:
    image = patched(raw(size), 446, "<B3BB3BII", 0, 0, 2, 0, 0xEE, 0, 0, 0, 1, size // 512 - 1)
    return patched(patched(image, 510, "<H", 0xAA55), 512, "8s", b"EFI PART")


def iso(size: int = MIB) -> bytes:
    image = patched(raw(size), 32768, "<B5sB", 1, b"CD001", 1)
    return patched(patched(image, 32768 + 80, "<I", size // 2048), 32768 + 128, "<H", 2048)


def hybrid_iso(size: int = MIB) -> bytes:
    return patched(iso(size), 510, "<H", 0xAA55)


def qcow2(virtual_size: int = MIB, *, version: int = 3) -> bytes:
    """Header, refcount table, refcount block, L1 table: four clusters, nothing allocated."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", version, 0, 0, 16, virtual_size, 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0),
        *(0, 0, 0, 4, 104),
    )
    table = struct.pack(">Q", 2 * CLUSTER).ljust(CLUSTER, b"\0")
    counts = struct.pack(">4H", 1, 1, 1, 1).ljust(CLUSTER, b"\0")
    return header[: 104 if version == 3 else 72].ljust(CLUSTER, b"\0") + table + counts + bytes(CLUSTER)


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=4e9ab1d1
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW 2048 SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "2"
ddb.adapterType = "ide"
"""

SHORTER = DESCRIPTOR.replace("4e9ab1d1", "9ab1d")


def vmdk(descriptor: str = DESCRIPTOR) -> bytes:
    """Header, 20 sectors of descriptor, two grain directories with one table each."""
    header = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 21, 26, 128, 0, b"\n \r\n", 0)
    start = header.ljust(512, b"\0") + descriptor.encode("latin-1").ljust(20 * 512, b"\0")
    directories = b"".join(struct.pack("<I", at).ljust(512, b"\0") + bytes(4 * 512) for at in (22, 27))
    return (start + directories).ljust(128 * 512, b"\0")


def _vhd_sum(run: bytes, at: int) -> bytes:
    run = patched(run, at, ">I", 0)
    return patched(run, at, ">I", ~sum(run) & 0xFFFFFFFF)


def vhd_footer(kind: int, size: int = MIB) -> bytes:
    """A footer; its checksum fits whatever the kind."""
    creator = (b"conectix", 2, 0x10000, 512 if kind != 2 else 2**64 - 1, 0, b"win ", 0x50003, b"Wi2k", size, size)
    run = struct.pack(">8sIIQI4sI4sQQHBBII16s", *creator, 30, 4, 17, kind, 0, b"\x11" * 16)
    return _vhd_sum(run.ljust(512, b"\0"), 64)


def vhd(kind: int = 3, *, parent: bytes = b"") -> bytes:
    """Footer copy, dynamic header, block table, footer; `parent` is the parent's id."""
    head = struct.pack(">8sQQIIII16s", b"cxsparse", 2**64 - 1, 1536, 0x10000, 1, 2 * MIB, 0, parent)
    footer = vhd_footer(kind)
    return footer + _vhd_sum(head.ljust(1024, b"\0"), 36) + b"\xff" * 512 + footer


def fixed_vhd(content: bytes = bytes(MIB)) -> bytes:
    return content + vhd_footer(2, len(content))


def vdi(kind: int = 1) -> bytes:
    image = patched(bytes(2 * 512 + 512), 0, "64sIIII", b"<<< a disk >>>", 0xBEDA107F, 0x10001, 0x190, kind)
    image = patched(image, 0x154, "<IIIIIIIQIIII", 512, 1024, 0, 0, 0, 512, 0, MIB, MIB, 0, 1, 0)
    return patched(patched(image, 0x188, "16s", b"\x22" * 16), 512, "<I", 0xFFFFFFFF)


BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
ITEMS = {
    UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"): struct.pack("<II", 8 * MIB, 0),
    UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8"): struct.pack("<Q", MIB),
    UUID("beca12ab-b2e6-4523-93ef-c309e000c746"): b"\x33" * 16,
    UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f"): struct.pack("<I", 512),
    UUID("cda348c7-445d-4471-9cc9-e9885251c556"): struct.pack("<I", 512),
}


def vhdx(items: dict[UUID, bytes] | None = None, *, extra_region: UUID | None = None, log: bytes = b"") -> bytes:
    """Headers, region tables, metadata at 2 MiB, block table at 3 MiB."""
    head = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, 1, b"\x44" * 16, b"\x55" * 16, log, 0, 1, MIB, MIB)
    regions = [(METADATA, 2 * MIB, MIB), (BAT, 3 * MIB, MIB)] + ([(extra_region, 4 * MIB, MIB)] if extra_region else [])
    table = struct.pack("<4sIII", b"regi", 0, len(regions), 0)
    table += b"".join(struct.pack("<16sQII", kind.bytes_le, at, size, 1) for kind, at, size in regions)
    image = b"vhdxfile".ljust(64 << 10, b"\0")
    image += 2 * _summed(head, 4096).ljust(64 << 10, b"\0") + 2 * _summed(table, 64 << 10)
    return image.ljust(2 * MIB, b"\0") + _metadata(ITEMS if items is None else items) + bytes(MIB)


@cache
def _summed(run: bytes, size: int) -> bytes:
    """`run`, padded to `size`, with its CRC-32C at 4."""
    run, rest = run.ljust(size, b"\0"), 0xFFFFFFFF
    for byte in run:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return patched(run, 4, "<I", rest ^ 0xFFFFFFFF)


def _metadata(items: dict[UUID, bytes]) -> bytes:
    entries, content = b"", b""
    for kind, value in items.items():
        entries += struct.pack("<16sIIII", kind.bytes_le, (64 << 10) + len(content), len(value), 4, 0)
        content += value
    region = struct.pack("<8sHH20s", b"metadata", 0, len(items), b"") + entries
    return (region.ljust(64 << 10, b"\0") + content).ljust(MIB, b"\0")


def ploop(sectors: int = 2048) -> bytes:
    header = struct.pack("<16sIIIIIQIIQ", b"WithouFreSpacExt", 2, 4, 1, 2048, 1, sectors, 0, 2048, 0)
    return header.ljust(MIB, b"\0")


def luks() -> bytes:
    return patched(
        bytes(2 * MIB), 0, ">6sH32s32s32sII", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 2048, 64
    )


SOUND = {
    "raw": (raw(), "raw", MIB),
    "raw, empty": (b"", "raw", 0),
    "raw, small": (b"a few bytes", "raw", 11),
    "raw with an MBR": (mbr(), "raw", MIB),
    "raw with a GPT": (gpt(), "raw", MIB),
    "ami": (raw(), "ami", MIB),
    "aki, compressed": (b"\x1f\x8b\x08" + bytes(600), "aki", None),
    "ari, compressed": (b"\xfd7zXZ\0" + bytes(600), "ari", None),
    "gpt": (gpt(), "gpt", MIB),
    "iso": (iso(), "iso", MIB),
    "iso, hybrid": (hybrid_iso(), "iso", MIB),
    "qcow2": (qcow2(), "qcow2", MIB),
    "qcow2, version 2": (qcow2(version=2), "qcow2", MIB),
    "vmdk": (vmdk(), "vmdk", MIB),
    "vmdk, an id made shorter in place": (vmdk(SHORTER + "\0" + SHORTER[-2:]), "vmdk", MIB),
    "vhd, dynamic": (vhd(), "vhd", MIB),
    "vhd, fixed": (fixed_vhd(), "vhd", MIB),
    "vhd, fixed, partitioned": (fixed_vhd(mbr()), "vhd", MIB),
    "vhdx": (vhdx(), "vhdx", MIB),
    "vdi": (vdi(), "vdi", MIB),
    "ploop": (ploop(), "ploop", MIB),
    "luks": (luks(), "luks", MIB),
}
"""Name -> (bytes, the disk format to declare, virtual size in bytes)."""
