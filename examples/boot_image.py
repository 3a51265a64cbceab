"""A small bootable disk as a qcow2 file, made from nothing: what `make demo` uploads when no file is given.

The disk holds a boot sector that a PC BIOS starts (it prints one line and halts) and, behind it, enough data to make
an upload worth a progress bar. Layout: the qcow2 specification (docs/interop/qcow2.txt of QEMU), version 3.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

CLUSTER = 1 << 16
SECTOR = 512
GREETING = b"Import Gateway: this image boots.\r\n\0"


def boot_sector() -> bytes:
    """16-bit code: print GREETING through BIOS interrupt 10h, function 0Eh, then halt."""
    code = bytes.fromhex("31c0 8ed8 be107c ac 08c0 7406 b40e cd10 ebf5 f4 ebfd".replace(" ", ""))
    # The text starts at 0x7c10 + the distance below, so the address in `mov si` is patched here.
    code = code[:5] + struct.pack("<H", 0x7C00 + len(code)) + code[7:]
    return (code + GREETING).ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def disk(size: int) -> bytes:
    """A raw disk of `size` bytes: the boot sector, then data that always comes out the same."""
    return boot_sector() + random.Random(2017).randbytes(size - SECTOR)


def qcow2(raw: bytes) -> bytes:
    """`raw` as a qcow2 image with every cluster allocated: header, L1, L2, refcounts, data."""
    clusters = -(-len(raw) // CLUSTER)
    assert clusters <= CLUSTER // 8, "one L2 table is enough for 512 MiB"
    total = clusters + 5  # header, L1, L2, refcount table, refcount block
    assert total <= CLUSTER // 2, "one refcount block is enough"
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, len(raw), 0, 1, CLUSTER, 3 * CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    copied = 1 << 63
    l1 = struct.pack(">Q", copied | 2 * CLUSTER)
    l2 = b"".join(struct.pack(">Q", copied | (5 + number) * CLUSTER) for number in range(clusters))
    tables = [header, l1, l2, struct.pack(">Q", 4 * CLUSTER), struct.pack(">H", 1) * total]
    return b"".join(table.ljust(CLUSTER, b"\0") for table in tables) + raw.ljust(clusters * CLUSTER, b"\0")


def write(path: Path, size: int = 64 << 20) -> Path:
    """Write the image; `size` of its disk in bytes."""
    path.write_bytes(qcow2(disk(size)))
    return path


def write_with_backing_file(path: Path, backing: str = "/etc/hostname") -> Path:
    """An image that asks whoever opens it to read another file: it must never be accepted."""
    image = bytearray(qcow2(disk(CLUSTER)))
    name = backing.encode()
    struct.pack_into(">QI", image, 8, 1024, len(name))
    image[1024 : 1024 + len(name)] = name
    path.write_bytes(image)
    return path
