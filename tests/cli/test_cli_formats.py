"""The proposed disk format: what the bytes show wins over what the name says."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway.cli.formats import format_of_file, format_of_name

ISO = bytes(0x8001) + b"CD001" + bytes(4000)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("disk.qcow2", b"QFI\xfb\x00\x00\x00\x03" + bytes(600), "qcow2"),
        ("disk.img", b"QFI\xfb\x00\x00\x00\x03" + bytes(600), "qcow2"),
        ("disk.raw", b"QFI\xfb\x00\x00\x00\x03" + bytes(600), "qcow2"),
        ("disk.vmdk", b"KDMV" + bytes(600), "vmdk"),
        ("disk.vhdx", b"vhdxfile" + bytes(600), "vhdx"),
        ("disk.vhd", bytes(4096) + b"conectix" + bytes(504), "vhd"),
        ("disk.vdi", bytes(64) + b"\x7f\x10\xda\xbe" + bytes(600), "vdi"),
        ("boot.iso", ISO, "iso"),
        ("boot.img", b"\xeb\x63" + bytes(508) + b"\x55\xaa" + bytes(600), "raw"),
        ("disk.qcow2", bytes(600), "raw"),
        ("short", b"", "raw"),
        ("disk.qcow2.gz", gzip.compress(b"QFI\xfb" + bytes(600), mtime=0), "qcow2"),
        ("disk.gz", gzip.compress(b"QFI\xfb" + bytes(600), mtime=0), "raw"),
    ],
)
def test_a_file(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert format_of_file(file) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/a/b/disk.qcow2", "qcow2"),
        ("/a/DISK.QCOW2.XZ", "qcow2"),
        ("noble-server-cloudimg-amd64.img", None),
        ("/", None),
        ("debian-12.6.0-amd64-netinst.iso", "iso"),
        ("disk.raw.zst", "raw"),
        ("archive.tar.gz", None),
    ],
)
def test_a_name(name: str, expected: str | None) -> None:
    assert format_of_name(name) == expected
