"""Bootable media nobody here made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.walk import walk

MEDIA = {
    "/usr/lib/grub-rescue/grub-rescue-cdrom.iso": ("iso", "grub-rescue-pc"),
    "/usr/lib/grub-rescue/grub-rescue-floppy.img": ("iso", "grub-rescue-pc"),  # its name deceives: it is a hybrid ISO
    "/usr/lib/ipxe/ipxe.iso": ("iso", "ipxe"),
    "/usr/lib/ipxe/ipxe.pxe": ("raw", "ipxe"),
    "/usr/lib/ipxe/snponly.efi": ("raw", "ipxe"),
    "/boot/ipxe.lkrn": ("aki", "ipxe"),
    "/usr/lib/memtest86+/memtest86+x64.iso": ("iso", "memtest86+"),
    "/usr/lib/memtest86+/memtest86+ia32.iso": ("iso", "memtest86+"),
    "/boot/memtest86+x64.bin": ("raw", "memtest86+"),
}


@pytest.mark.parametrize("path", MEDIA)
def test_real_media_pass_unchanged(path: str) -> None:
    disk_format, package = MEDIA[path]
    if not Path(path).exists():
        pytest.skip(f"{path} is missing: apt-get install {package}")
    data = Path(path).read_bytes()
    found = walk(data, disk_format)
    assert found.message == ""
    assert found.stored == data
    assert found.verdict is not None
    assert found.verdict.virtual_size == len(data)
    if disk_format == "iso":
        assert "disk_format iso" in walk(data, "raw").remedy
