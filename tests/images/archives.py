"""Sound archives, and the pieces to make unsound ones of: tars byte by byte, OVAs, docker archives, zips."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from functools import partial

from tests.images.sound import MIB, fixed_vhd, iso, qcow2, vmdk

File = tuple[str, bytes]
END = bytes(1024)

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="disk.vmdk" ovf:size="65536"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="1048576"/></DiskSection>
  <VirtualSystem ovf:id="machine"><Info>A machine</Info></VirtualSystem>
</Envelope>
"""


def header(name: str, size: int, *, kind: bytes = b"0", link: str = "", magic: bytes = b"ustar\x0000") -> bytes:
    run = bytearray(512)
    run[:100] = name.encode().ljust(100, b"\0")
    run[100:148] = b"0000644\x000000000\x000000000\0" + f"{size:011o}".encode() + b"\0" + b"00000000000\0"
    run[148:156] = b" " * 8
    run[156:157] = kind
    run[157:257] = link.encode().ljust(100, b"\0")
    run[257:265] = magic
    run[148:156] = f"{sum(run):06o}".encode() + b"\0 "
    return bytes(run)


def member(name: str, content: bytes = b"", *, kind: bytes = b"0", link: str = "") -> bytes:
    return header(name, len(content), kind=kind, link=link) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def tar(*files: File) -> bytes:
    return b"".join(member(name, content) for name, content in files) + END


def ova(*more: File, ovf: str = OVF, disk: bytes | None = None) -> bytes:
    return tar(("machine.ovf", ovf.encode()), ("disk.vmdk", vmdk() if disk is None else disk), *more)


def tarred(files: Iterable[File], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """As the standard library writes it."""
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, content in files:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return out.getvalue()


LAYER = tar(("etc/hostname", b"guest\n"))


def manifest(*layers: str, config: str = "config.json") -> bytes:
    return json.dumps([{"Config": config, "RepoTags": ["guest:1"], "Layers": list(layers)}]).encode()


def docker(*more: File, layer: bytes = LAYER, named: bytes | None = None) -> bytes:
    said = manifest("abc/layer.tar") if named is None else named
    files = (("config.json", b"{}"), ("abc/layer.tar", layer), ("manifest.json", said), *more)
    return b"".join([member("abc/", kind=b"5"), *(member(*file) for file in files), END])


def zipped(data: bytes, name: str = "disk.img", *, method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> bytes:
    """As the standard library writes it: to a file, or to something that cannot seek."""
    out = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def zip_by_hand(
    data: bytes,
    *,
    name: bytes = b"disk.img",
    inside: bytes | None = None,
    wide: bool = False,
    descriptor: bytes | None = None,
    between: bytes = b"",
    **told: int,
) -> bytes:
    """Every field may lie: `told` overrides central ones, `inside` the directory's name, `wide` writes zip64."""
    stream = zlib.compressobj(wbits=-15)
    packed = stream.compress(data) + stream.flush()
    total, sizes, flags = zlib.crc32(data), (len(packed), len(data)), 0 if descriptor is None else 8
    full = 0xFFFFFFFF
    shown = (full, full) if wide else sizes
    extra = struct.pack("<HHQQ", 1, 16, sizes[1], sizes[0]) if wide else b""
    local = (0, 0, 0) if flags else (total, *shown)
    front = struct.pack("<4s5H3I2H", b"PK\3\4", 45, flags, 8, 0, 33, *local, len(name), 0 if flags else len(extra))
    front += name + (b"" if flags else extra) + packed + (descriptor or b"") + between
    inner = name if inside is None else inside
    entry = struct.pack(
        "<4s6H3I5H2I",
        *(b"PK\1\2", 0x031E, 45, told.get("flags", flags), told.get("method", 8), 0, 33, told.get("sum", total)),
        *(told.get("packed", shown[0]), told.get("unpacked", shown[1]), len(inner), len(extra), 0, 0, 0),
        *(told.get("mode", 0o100644) << 16, told.get("at", 0)),
    )
    return front + ends(len(front) + told.get("shift", 0), entry + inner + extra, wide=wide, told=told)


def ends(place: int, directory: bytes, *, wide: bool, told: dict[str, int]) -> bytes:
    members = told.get("members", 1)
    narrow = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if wide else (members, members, len(directory), place)
    end = struct.pack("<4sHH2H2IH", b"PK\5\6", 0, 0, *narrow, 0)
    if not wide:
        return directory + end
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, members, members, len(directory), place)
    return directory + record + struct.pack("<4sIQI", b"PK\6\7", 0, place + len(directory), 1) + end


def zip_of_two(first: bytes, second: bytes) -> bytes:
    with io.BytesIO() as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.img", first)
            archive.writestr("b.img", second)
        return out.getvalue()


squeezed = partial(gzip.compress, mtime=0)

SOUND_ARCHIVES = {
    "ova": (ova(), "vmdk", "ova", "vmdk", MIB),
    "ova, of the library": (tarred([("m.ovf", OVF.encode()), ("disk.vmdk", vmdk())]), "vmdk", "ova", "vmdk", MIB),
    "ova, gnu": (
        tarred([("m.ovf", OVF.encode()), ("disk.vmdk", vmdk())], tarfile.GNU_FORMAT), "vmdk", "ova", "vmdk", MIB,
    ),
    "ova with a manifest": (ova(("machine.mf", b"SHA1(x)= 1\n"), ("vm.nvram", bytes(99))), "vmdk", "ova", "vmdk", MIB),
    "ova with a medium": (ova(("tools.iso", iso())), "vmdk", "ova", "vmdk", 2 * MIB),
    "ova of qcow2": (ova(disk=qcow2()), "qcow2", "ova", "qcow2", MIB),
    "ova, name as a URI": (
        tar(("m.ovf", OVF.replace("disk.vmdk", "my%20disk.vmdk").encode()), ("my disk.vmdk", vmdk())),
        "vmdk", "ova", "vmdk", MIB,
    ),
    "ova of vhd": (ova(disk=fixed_vhd()), "vhd", "ova", "vhd", MIB),
    "docker": (docker(), "raw", "docker", None, None),
    "docker, packed layer": (docker(layer=squeezed(LAYER)), "raw", "docker", None, None),
    "docker, empty layer": (docker(layer=END), "raw", "docker", None, None),
    "docker, long name": (
        tarred([("x" * 150, LAYER), ("c.json", b"{}"), ("manifest.json", manifest("x" * 150, config="c.json"))],
               tarfile.PAX_FORMAT),
        "raw", "docker", None, None,
    ),
    "compressed": (squeezed(qcow2()), "qcow2", "compressed", "qcow2", MIB),
    "compressed by zip": (zipped(vmdk()), "vmdk", "compressed", "vmdk", MIB),
    "compressed kernel": (b"\x1f\x8b\x08" + bytes(600), "aki", "compressed", None, None),
}  # fmt: skip
"""Name -> (bytes, disk format and container format to declare, the disk inside, its virtual size in bytes)."""
