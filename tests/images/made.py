"""Images that qemu-img makes: every format with every option that changes what is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.images.sound import MIB, mbr, raw
from tests.stages.qemu import driver, qemu_img

VARIANTS = [
    ("qcow2", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=2M"),
    ("qcow2", "lazy_refcounts=on"),
    ("qcow2", "compression_type=zstd"),
    ("qcow2", "refcount_bits=1"),
    ("qcow2", "refcount_bits=64"),
    ("qcow2", "preallocation=full"),
    ("qcow2", "preallocation=metadata"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
    ("vmdk", "adapter_type=lsilogic"),
    ("vmdk", "compat6"),
    ("vmdk", "hwversion=14"),
    ("vmdk", "zeroed_grain=on"),
    ("vhd", "subformat=dynamic"),
    ("vhd", "subformat=fixed"),
    ("vhd", "subformat=dynamic,force_size=on"),
    ("vhd", "subformat=fixed,force_size=on"),
    ("vhdx", ""),
    ("vhdx", "subformat=fixed"),
    ("vhdx", "block_size=1M"),
    ("vhdx", "log_size=2M"),
    ("vhdx", "block_state_zero=off"),
    ("vdi", ""),
    ("vdi", "static=on"),
    ("ploop", ""),
    ("ploop", "cluster_size=64k"),
    ("raw", ""),
]
"""Disk format, and the options of `-o`."""

SECRET = ("--object", "secret,id=s,data=0123456789")
LUKS = "key-secret=s,iter-time=10"
LUKS_INSIDE = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
TRIES = 10


def source(folder: Path, size: int) -> Path:
    """A partitioned disk: a table, some noise, nothing."""
    path = folder / "source.raw"
    path.write_bytes(mbr() + Random(7).randbytes(size // 2 - MIB) + raw(size // 2))
    return path


def convert(folder: Path, disk_format: str, *words: str, size: int = 8 * MIB) -> Path:
    image = folder / "image"
    done = qemu_img("convert", "-f", "raw", "-O", driver(disk_format), *words, str(source(folder, size)), str(image))
    assert done.returncode == 0, done.stderr
    return image


def converted(folder: Path, disk_format: str, options: str, *, size: int = 8 * MIB) -> Path:
    return convert(folder, disk_format, *(("-o", options) if options else ()), size=size)


def encrypted(folder: Path, disk_format: str, options: str) -> Path:
    """On a busy machine qemu-img sometimes cannot measure how long its key derivation takes, and gives up."""
    image = folder / "image"
    for _ in range(TRIES):
        image.unlink(missing_ok=True)
        done = qemu_img("create", *SECRET, "-f", disk_format, "-o", options, str(image), "8M")
        if done.returncode == 0:
            return image
    raise AssertionError(done.stderr)


def snapshotted(folder: Path) -> Path:
    image = converted(folder, "qcow2", "")
    for name in ("one", "two"):
        assert qemu_img("snapshot", "-c", name, str(image)).returncode == 0
    return image


def noted(folder: Path) -> Path:
    """With a dirty bitmap, as backups leave them."""
    image = converted(folder, "qcow2", "")
    assert qemu_img("bitmap", "--add", str(image), "backup").returncode == 0
    return image


def made(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Small ones of each kind: disk format, what is special, bytes."""
    for disk_format, options in VARIANTS:
        yield disk_format, options, converted(folder, disk_format, options, size=2 * MIB + 512).read_bytes()
    yield "qcow2", "compressed", convert(folder, "qcow2", "-c").read_bytes()
    yield "qcow2", "snapshots", snapshotted(folder).read_bytes()
    yield "qcow2", "bitmap", noted(folder).read_bytes()
    yield "qcow2", "luks", encrypted(folder, "qcow2", LUKS_INSIDE).read_bytes()
    yield "luks", "real", encrypted(folder, "luks", LUKS).read_bytes()
