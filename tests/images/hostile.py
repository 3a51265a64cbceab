"""Hostile images: name -> (bytes, the disk format they pretend to be, the finding that must refuse them)."""

from __future__ import annotations

import struct
from uuid import UUID

from tests.images.sound import (
    DESCRIPTOR,
    ITEMS,
    MIB,
    fixed_vhd,
    gpt,
    iso,
    luks,
    mbr,
    patched,
    ploop,
    qcow2,
    raw,
    vdi,
    vhd,
    vhd_footer,
    vhdx,
    vmdk,
)

CANARY = "/etc/hostname"
Hostile = dict[str, tuple[bytes, str, str]]


def backed_qcow2(name: str = CANARY) -> bytes:
    image = patched(qcow2(), 8, ">QI", 1024, len(name))
    return patched(image, 1024, f"{len(name)}s", name.encode())


def extended_qcow2(kind: int, length: int, content: bytes = b"") -> bytes:
    return patched(qcow2(), 104, f">II{len(content)}s", kind, length, content)


def v2_backed_qcow2() -> bytes:
    return patched(patched(qcow2(version=2), 8, ">QI", 1024, 13), 1024, "13s", CANARY.encode())


QCOW2: Hostile = {
    "qcow2 backing file": (backed_qcow2(), "qcow2", "backing-file"),
    "qcow2 backing file by json": (backed_qcow2('json:{"driver":"file"}'), "qcow2", "backing-file"),
    "qcow2 v2 backing file": (v2_backed_qcow2(), "qcow2", "backing-file"),
    "qcow2 backing place alone": (patched(qcow2(), 8, ">Q", 1024), "qcow2", "backing-file"),
    "qcow2 backing length alone": (patched(qcow2(), 16, ">I", 13), "qcow2", "backing-file"),
    "qcow2 data file": (patched(qcow2(), 72, ">Q", 4), "qcow2", "data-file"),
    "qcow2 data file name": (extended_qcow2(0x44415441, 13, CANARY.encode()), "qcow2", "data-file"),
    "qcow2 data file and its name": (
        patched(extended_qcow2(0x44415441, 13, CANARY.encode()), 72, ">Q", 4),
        "qcow2",
        "data-file",
    ),
    "qcow2 unknown feature": (patched(qcow2(), 72, ">Q", 1 << 9), "qcow2", "unknown-features"),
    "qcow2 highest feature": (patched(qcow2(), 72, ">Q", 1 << 63), "qcow2", "unknown-features"),
    "qcow2 extended l2": (patched(qcow2(), 72, ">Q", 16), "qcow2", "unknown-features"),
    "qcow2 marked corrupt": (patched(qcow2(), 72, ">Q", 2), "qcow2", "bad-header"),
    "qcow2 version 4": (patched(qcow2(), 4, ">I", 4), "qcow2", "unknown-features"),
    "qcow2 version 0": (patched(qcow2(), 4, ">I", 0), "qcow2", "unknown-features"),
    "qcow2 version 1": (patched(qcow2(), 4, ">I", 1), "qcow2", "unsupported-format"),
    "qcow2 unknown encryption": (patched(qcow2(), 32, ">I", 3), "qcow2", "unknown-features"),
    "qcow2 tiny clusters": (patched(qcow2(), 20, ">I", 3), "qcow2", "bad-header"),
    "qcow2 vast clusters": (patched(qcow2(), 20, ">I", 60), "qcow2", "bad-header"),
    "qcow2 header length": (patched(qcow2(), 100, ">I", 1 << 30), "qcow2", "bad-header"),
    "qcow2 endless extension": (extended_qcow2(0x12345678, 0xFFFFFFF0), "qcow2", "bad-header"),
    "qcow2 odd size": (qcow2(MIB - 1), "qcow2", "implausible-size"),
    "qcow2 no size": (qcow2(0), "qcow2", "implausible-size"),
    "qcow2 16 EiB": (qcow2(2**64 - 512), "qcow2", "implausible-size"),
    "qcow2 more than its table": (qcow2(1 << 40), "qcow2", "implausible-size"),
    "qcow2 vast l1": (patched(qcow2(), 36, ">I", 1 << 31), "qcow2", "implausible-size"),
    "qcow2 vast refcounts": (patched(qcow2(), 56, ">I", 1 << 31), "qcow2", "implausible-size"),
    "qcow2 vast snapshots": (patched(qcow2(), 60, ">I", 1 << 31), "qcow2", "implausible-size"),
    "qcow2 l1 off the end": (patched(qcow2(), 40, ">Q", 1 << 40), "qcow2", "truncated"),
    "qcow2 l1 off the grid": (patched(qcow2(), 40, ">Q", 3 * 65536 + 8), "qcow2", "bad-header"),
    "qcow2 snapshots off the end": (patched(qcow2(), 60, ">IQ", 1, 1 << 40), "qcow2", "truncated"),
    "qcow2 cut in its header": (qcow2()[:80], "qcow2", "truncated"),
    "qcow2 cut in its tables": (qcow2()[:70000], "qcow2", "truncated"),
    "qcow2 magic alone": (b"QFI\xfb", "qcow2", "truncated"),
}


def described(old: str, new: str) -> bytes:
    assert old in DESCRIPTOR
    return vmdk(DESCRIPTOR.replace(old, new))


EXTENT = 'RW 2048 SPARSE "disk.vmdk"'
VMDK: Hostile = {
    "vmdk flat extent": (described(EXTENT, f'RW 2048 FLAT "{CANARY}" 0'), "vmdk", "data-file"),
    "vmdk sparse extent by path": (described(EXTENT, f'RW 2048 SPARSE "{CANARY}"'), "vmdk", "data-file"),
    "vmdk sparse extent by backslash": (described(EXTENT, 'RW 2048 SPARSE "..\\disk"'), "vmdk", "data-file"),
    "vmdk second extent": (described(EXTENT, f'{EXTENT}\nRW 1 FLAT "{CANARY}" 0'), "vmdk", "data-file"),
    "vmdk zero extent": (described(EXTENT, "RW 2048 ZERO"), "vmdk", "data-file"),
    "vmdk no extent": (described(EXTENT, ""), "vmdk", "data-file"),
    "vmdk odd extent": (described(EXTENT, 'RW  2048\tFLAT "/x"'), "vmdk", "bad-header"),
    "vmdk monolithicFlat": (described("monolithicSparse", "monolithicFlat"), "vmdk", "data-file"),
    "vmdk device": (described("monolithicSparse", "fullDevice"), "vmdk", "data-file"),
    "vmdk no type": (described('createType="monolithicSparse"', ""), "vmdk", "data-file"),
    "vmdk type twice": (described("parentCID", 'createType="fullDevice"\nparentCID'), "vmdk", "bad-header"),
    "vmdk parent": (described("ffffffff", f'ffffffff\nparentFileNameHint="{CANARY}"'), "vmdk", "backing-file"),
    "vmdk parent in a comment": (described("#DDB", f'#parentFileNameHint="{CANARY}"'), "vmdk", "backing-file"),
    "vmdk parent by id": (described("ffffffff", "12345678"), "vmdk", "backing-file"),
    "vmdk unknown key": (described("CID=4e9ab1d1", f'CID=4e9ab1d1\nchangeTrackPath="{CANARY}"'), "vmdk", "bad-header"),
    "vmdk not ascii": (described("ide", "id\xe9"), "vmdk", "bad-header"),
    "vmdk behind its end": (patched(vmdk(), 512 + 5000, "13s", CANARY.encode()), "vmdk", "bad-header"),
    "vmdk, a letter behind its end": (patched(vmdk(), 512 + len(DESCRIPTOR) + 1, "1s", b"x"), "vmdk", "bad-header"),
    "vmdk, its end again and more": (vmdk(f"{DESCRIPTOR}\0{DESCRIPTOR[-8:]}"), "vmdk", "bad-header"),
    "vmdk descriptor elsewhere": (patched(vmdk(), 28, "<Q", 9), "vmdk", "bad-header"),
    "vmdk vast descriptor": (patched(vmdk(), 36, "<Q", 1 << 40), "vmdk", "bad-header"),
    "vmdk no capacity": (patched(vmdk(), 12, "<Q", 0), "vmdk", "data-file"),
    "vmdk two capacities": (patched(vmdk(), 12, "<Q", 4096), "vmdk", "implausible-size"),
    "vmdk absurd capacity": (patched(vmdk(), 12, "<Q", 1 << 60), "vmdk", "implausible-size"),
    "vmdk version 9": (patched(vmdk(), 4, "<I", 9), "vmdk", "unknown-features"),
    "vmdk vast grains": (patched(vmdk(), 20, "<Q", 1 << 40), "vmdk", "bad-header"),
    "vmdk grains of nothing": (patched(vmdk(), 20, "<Q", 0), "vmdk", "bad-header"),
    "vmdk no footer": (patched(vmdk(), 56, "<Q", 2**64 - 1), "vmdk", "bad-header"),
    "vmdk directory off the end": (patched(vmdk(), 56, "<Q", 1 << 40), "vmdk", "truncated"),
    "vmdk cut": (vmdk()[:30000], "vmdk", "truncated"),
    "vmdk descriptor alone": (DESCRIPTOR.encode(), "vmdk", "data-file"),
    "vmdk descriptor, flat": (DESCRIPTOR.replace(EXTENT, f'RW 1 FLAT "{CANARY}" 0').encode(), "vmdk", "data-file"),
    "vmdk descriptor, monolithicFlat": (
        DESCRIPTOR.replace("monolithicSparse", "monolithicFlat")
        .replace(EXTENT, f'RW 1 FLAT "{CANARY}" 0')
        .encode()
        .ljust(2048, b"\n"),
        "vmdk",
        "data-file",
    ),
    "vmdk descriptor, untitled": (b'# x\n\nversion=1\nRW 1 FLAT "/etc/hostname" 0\n', "vmdk", "data-file"),
    "vmdk cowd": (b"COWD" + bytes(2000), "vmdk", "unsupported-format"),
}


def differing_footers() -> bytes:
    return vhd()[:-512] + vhd_footer(4)


def vast_table() -> bytes:
    return patched(patched(vhdx(), (192 << 10) + 8, "<I", 1 << 31), 256 << 10, "4s", b"")


MICROSOFT: Hostile = {
    "vhd differencing": (vhd(4), "vhd", "backing-file"),
    "vhd parent id": (vhd(parent=b"\x66" * 16), "vhd", "backing-file"),
    "vhd differencing at the end": (differing_footers(), "vhd", "bad-header"),
    "vhd fixed, differencing": (raw() + vhd_footer(4), "vhd", "backing-file"),
    "vhd fixed, wrong size": (raw() + vhd_footer(2, 2 * MIB), "vhd", "implausible-size"),
    "vhd fixed, as dynamic": (raw() + vhd_footer(3), "vhd", "bad-header"),
    "vhd bad checksum": (patched(vhd(), 64, ">I", 7), "vhd", "bad-header"),
    "vhd no dynamic header": (patched(vhd(), 512, "8s", b""), "vhd", "bad-header"),
    "vhd parent name": (patched(vhd(), 512 + 576, "4s", b"W2ku"), "vhd", "bad-header"),
    "vhd cut": (vhd()[:1700], "vhd", "truncated"),
    "vhd without its end": (vhd()[:-512] + bytes(512), "vhd", "bad-header"),
    "vhdx differencing": (vhdx({**ITEMS, next(iter(ITEMS)): struct.pack("<II", 8 * MIB, 2)}), "vhdx", "backing-file"),
    "vhdx parent locator": (
        vhdx({**ITEMS, UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c"): b"\x77" * 20}),
        "vhdx",
        "backing-file",
    ),
    "vhdx unknown metadata": (vhdx({**ITEMS, UUID(int=5): b"\x77" * 20}), "vhdx", "unknown-features"),
    "vhdx no size": (vhdx(dict(list(ITEMS.items())[:1])), "vhdx", "unknown-features"),
    "vhdx unknown region": (vhdx(extra_region=UUID(int=9)) + bytes(MIB), "vhdx", "unknown-features"),
    "vhdx metadata twice": (vhdx(extra_region=UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")), "vhdx", "bad-header"),
    "vhdx waiting log": (vhdx(log=b"\x88" * 16), "vhdx", "bad-header"),
    "vhdx two tables": (patched(vhdx(), (256 << 10) + 8, "<I", 1), "vhdx", "bad-header"),
    "vhdx absurd size": (vhdx({**ITEMS, list(ITEMS)[1]: struct.pack("<Q", 1 << 60)}), "vhdx", "implausible-size"),
    "vhdx vast table": (
        patched(patched(vhdx(), (192 << 10) + 8, "<I", 2**31), (256 << 10), "4s", b""),
        "vhdx",
        "implausible-size",
    ),
    "vhdx size off the edge": (patched(vhdx(), 2 * MIB + 80, "<II", MIB - 4, 4), "vhdx", "bad-header"),
    "vhdx cut before its metadata": (vhdx()[: MIB + 5], "vhdx", "truncated"),
    "vhdx identifier alone": (b"vhdxfile", "vhdx", "truncated"),
}

OTHERS: Hostile = {
    "vdi differencing": (vdi(4), "vdi", "backing-file"),
    "vdi undo": (vdi(3), "vdi", "backing-file"),
    "vdi parent": (patched(vdi(), 0x1B8, "16s", b"\x99" * 16), "vdi", "backing-file"),
    "vdi link": (patched(vdi(), 0x1A8, "16s", b"\x99" * 16), "vdi", "backing-file"),
    "vdi absurd size": (patched(vdi(), 0x170, "<Q", 1 << 62), "vdi", "implausible-size"),
    "vdi more than its map": (patched(vdi(), 0x170, "<Q", 1 << 40), "vdi", "implausible-size"),
    "vdi vast map": (patched(vdi(), 0x180, "<I", 1 << 31), "vdi", "implausible-size"),
    "vdi cut": (patched(vdi(), 0x184, "<I", 1), "vdi", "truncated"),
    "vdi version": (patched(vdi(), 0x44, "<I", 9), "vdi", "unknown-features"),
    "ploop absurd size": (ploop(1 << 60), "ploop", "implausible-size"),
    "ploop extensions": (patched(ploop(), 56, "<Q", 1), "ploop", "unknown-features"),
    "luks 2": (patched(luks(), 6, ">H", 2), "luks", "unknown-features"),
    "luks cut": (luks()[:MIB], "luks", "truncated"),
    "iso cut": (iso()[: MIB // 2], "iso", "truncated"),
    "qed": (b"QED\0" + bytes(1020), "qcow2", "unsupported-format"),
    "bochs": (b"Bochs Virtual HD Image\0" + bytes(1020), "raw", "unsupported-format"),
    "cloop": (b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop" + bytes(1020), "raw", "unsupported-format"),
    "dmg": (raw() + b"koly" + bytes(508), "raw", "unsupported-format"),
}

POLYGLOTS: Hostile = {
    "qcow2 and iso": (patched(qcow2(), 32769, "5s", b"CD001"), "qcow2", "polyglot"),
    "backed qcow2 and iso": (patched(backed_qcow2(), 32769, "5s", b"CD001"), "iso", "polyglot"),
    "vmdk and iso": (patched(vmdk(), 32769, "5s", b"CD001"), "iso", "polyglot"),
    "vhd and vdi": (patched(vhd(), 64, "4s", b"\x7f\x10\xda\xbe"), "vdi", "polyglot"),
    "qcow2 and vdi": (patched(qcow2(), 64, "4s", b"\x7f\x10\xda\xbe"), "qcow2", "polyglot"),
    "gzip and iso": (b"\x1f\x8b\x08" + iso()[3:], "iso", "polyglot"),
    "tar and iso": (patched(iso(), 257, "5s", b"ustar"), "iso", "polyglot"),
    "qcow2 with a VHD's end": (qcow2() + vhd_footer(2, len(qcow2())), "qcow2", "polyglot"),
    "iso with a VHD's end": (fixed_vhd(iso()), "iso", "polyglot"),
    "vmdk with a DMG's end": (vmdk() + b"koly" + bytes(508), "vmdk", "polyglot"),
}

HOSTILE: Hostile = {**QCOW2, **VMDK, **MICROSOFT, **OTHERS, **POLYGLOTS}

MISDECLARED: Hostile = {
    "gpt with a second partition": (patched(gpt(), 462 + 4, "B", 0x83), "gpt", "format-mismatch"),
    "gpt with a strange boot flag": (patched(mbr(), 446, "B", 0x55), "gpt", "format-mismatch"),
    "a web page": (b"<!DOCTYPE html><title>404</title>", "qcow2", "format-mismatch"),
    "bomb as it is": (b"\x1f\x8b\x08" + bytes(5000), "raw", "format-mismatch"),
    "a zip": (b"PK\x03\x04" + bytes(5000), "raw", "format-mismatch"),
    "a tar": (patched(raw(), 257, "5s", b"ustar"), "raw", "format-mismatch"),
}
"""Bytes that are fine under another name, or not wrong before a format is declared."""
