"""Hostile archives: name -> (bytes, disk format and container format they pretend to be, the finding that refuses)."""

from __future__ import annotations

from tests.images.archives import (
    END,
    LAYER,
    OVF,
    docker,
    header,
    manifest,
    member,
    ova,
    squeezed,
    tar,
    zip_by_hand,
    zip_of_two,
    zipped,
)
from tests.images.hostile import CANARY, HOSTILE
from tests.images.sound import MIB, fixed_vhd, iso, patched, qcow2, raw, vhd_footer, vmdk

HostileArchives = dict[str, tuple[bytes, str, str, str]]
FIRST = member("machine.ovf", OVF.encode())
DISK = member("disk.vmdk", vmdk())


def described(old: str, new: str) -> bytes:
    assert old in OVF
    return ova(ovf=OVF.replace(old, new))


def bad_disk(name: str) -> bytes:
    return ova(disk=HOSTILE[name][0])


OVAS: HostileArchives = {
    "ova, backed qcow2": (bad_disk("qcow2 backing file"), "qcow2", "ova", "backing-file"),
    "ova, flat vmdk": (bad_disk("vmdk flat extent"), "vmdk", "ova", "data-file"),
    "ova, bare descriptor": (bad_disk("vmdk descriptor, flat"), "vmdk", "ova", "data-file"),
    "ova, differencing vhd": (bad_disk("vhd fixed, differencing"), "vhd", "ova", "backing-file"),
    "ova, qed": (bad_disk("qed"), "vmdk", "ova", "unsupported-format"),
    "ova, polyglot": (bad_disk("vmdk and iso"), "vmdk", "ova", "polyglot"),
    "ova, cut disk": (bad_disk("vmdk cut"), "vmdk", "ova", "truncated"),
    "ova, second disk": (ova(("b.vmdk", HOSTILE["vmdk parent"][0])), "vmdk", "ova", "backing-file"),
    "ova, hostile nvram": (ova(("vm.nvram", qcow2())), "vmdk", "ova", "bad-archive"),
    "ova, packed disk": (ova(disk=squeezed(vmdk())), "vmdk", "ova", "bad-archive"),
    "ova, archive in it": (ova(("more.img", LAYER)), "vmdk", "ova", "bad-archive"),
    "ova, two formats": (ova(("b.qcow2", qcow2())), "vmdk", "ova", "bad-archive"),
    "ova, no disk": (tar(("m.ovf", OVF.encode())), "vmdk", "ova", "data-file"),
    "ova, no disk wanted": (tar(("m.ovf", b"<Envelope/>")), "vmdk", "ova", "bad-archive"),
    "ova, no descriptor": (tar(("disk.vmdk", vmdk())), "vmdk", "ova", "format-mismatch"),
    "ova, descriptor last": (DISK + FIRST + END, "vmdk", "ova", "format-mismatch"),
    "ova, two descriptors": (ova(("b.ovf", OVF.encode())), "vmdk", "ova", "bad-archive"),
    "ova, descriptor by http": (described("disk.vmdk", "http://10.0.0.1/d.vmdk"), "vmdk", "ova", "data-file"),
    "ova, descriptor by path": (described("disk.vmdk", CANARY), "vmdk", "ova", "data-file"),
    "ova, descriptor upwards": (described("disk.vmdk", "../disk.vmdk"), "vmdk", "ova", "data-file"),
    "ova, in pieces": (described("ovf:size=", 'ovf:chunkSize="9" ovf:size='), "vmdk", "ova", "data-file"),
    "ova, delta disk": (described("ovf:fileRef=", 'ovf:parentRef="d0" ovf:fileRef='), "vmdk", "ova", "backing-file"),
    "ova, packed file": (
        described("ovf:size=", 'ovf:compression="gzip" ovf:size='), "vmdk", "ova", "unsupported-compression",
    ),
    "ova, entities": (
        described("<Envelope", f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{CANARY}">]><Envelope'),
        "vmdk", "ova", "bad-archive",
    ),
    "ova, no xml": (ova(ovf="CID=1"), "vmdk", "ova", "bad-archive"),
    "ova, other xml": (ova(ovf="<html/>"), "vmdk", "ova", "bad-archive"),
    "ova, vast descriptor": (ova(ovf=OVF + " " * (5 * MIB)), "vmdk", "ova", "bad-archive"),
    "ova, binary manifest": (ova(("m.mf", b"\0" * 20)), "vmdk", "ova", "bad-archive"),
    "ova, link": (FIRST + member("disk.vmdk", kind=b"2", link=CANARY) + END, "vmdk", "ova", "unsafe-member"),
    "ova, hard link": (FIRST + DISK + member("b.vmdk", kind=b"1", link="disk.vmdk") + END, "vmdk", "ova",
                       "unsafe-member"),
    "ova, device": (FIRST + member("disk.vmdk", kind=b"4") + END, "vmdk", "ova", "unsafe-member"),
    "ova, folder": (FIRST + member("d/", kind=b"5") + DISK + END, "vmdk", "ova", "unsafe-member"),
    "ova, disk in a folder": (ova(("a/b.vmdk", vmdk())), "vmdk", "ova", "unsafe-member"),
    "ova, sparse": (FIRST + member("disk.vmdk", vmdk(), kind=b"S") + END, "vmdk", "ova", "unsafe-member"),
    "ova, long name": (FIRST + member("././@LongLink", b"/etc/passwd", kind=b"L") + DISK + END, "vmdk", "ova",
                       "unsafe-member"),
    "ova, extended header": (FIRST + member("x", b"30 path=/etc/cron.d/everything\n", kind=b"x") + DISK + END,
                             "vmdk", "ova", "unsafe-member"),
    "ova, absolute": (ova((CANARY, b"x")), "vmdk", "ova", "unsafe-member"),
    "ova, upwards": (ova(("../x", b"x")), "vmdk", "ova", "unsafe-member"),
    "ova, backslash": (ova(("..\\x", b"x")), "vmdk", "ova", "unsafe-member"),
    "ova, drive": (ova(("C:x", b"x")), "vmdk", "ova", "unsafe-member"),
    "ova, the same twice": (ova(("disk.vmdk", vmdk())), "vmdk", "ova", "unsafe-member"),
    "ova, the same in capitals": (ova(("DISK.VMDK", vmdk())), "vmdk", "ova", "unsafe-member"),
    "ova, name behind its end": (
        FIRST + patched(header("disk.vmdk", 0), 50, "4s", b"/etc") + END, "vmdk", "ova", "bad-archive",
    ),
    "ova, checksum": (patched(ova(), 0, "1s", b"n"), "vmdk", "ova", "bad-archive"),
    "ova, behind its end": (ova() + DISK, "vmdk", "ova", "trailing-bytes"),
    "ova, cut": (ova()[:40000], "vmdk", "ova", "truncated"),
    "ova, no end": (ova()[:-1024], "vmdk", "ova", "truncated"),
    "ova, called qcow2": (patched(ova(), 0, "4s", b"QFI\xfb"), "vmdk", "ova", "polyglot"),
    "ova, called a descriptor": (tar(("# Disk DescriptorFile\n.ovf", b"x")), "vmdk", "ova", "polyglot"),
    "ova, medium as well": (patched(ova(), 32769, "5s", b"CD001"), "vmdk", "ova", "polyglot"),
}  # fmt: skip

DOCKERS: HostileArchives = {
    "docker, disk as a layer": (docker(layer=qcow2()), "raw", "docker", "bad-archive"),
    "docker, backed disk": (docker(layer=HOSTILE["qcow2 backing file"][0]), "raw", "docker", "bad-archive"),
    "docker, vmdk descriptor": (docker(layer=HOSTILE["vmdk descriptor, flat"][0]), "raw", "docker", "data-file"),
    "docker, no manifest": (tar(("a.tar", LAYER)), "raw", "docker", "format-mismatch"),
    "docker, layer elsewhere": (docker(named=manifest(CANARY)), "raw", "docker", "data-file"),
    "docker, config elsewhere": (docker(named=manifest("abc/layer.tar", config="../x")), "raw", "docker", "data-file"),
    "docker, odd manifest": (docker(named=b'{"Layers": 1}'), "raw", "docker", "bad-archive"),
    "docker, deep manifest": (docker(named=b"[" * 99999), "raw", "docker", "bad-archive"),
    "docker, no images": (docker(named=b"[]"), "raw", "docker", "bad-archive"),
    "docker, link": (member("l", kind=b"2", link=CANARY) + docker(), "raw", "docker", "unsafe-member"),
    "docker, upwards": (docker(("a/../../x", b"x")), "raw", "docker", "unsafe-member"),
    "docker, folder with content": (member("d/", b"x", kind=b"5") + docker(), "raw", "docker", "bad-archive"),
    "docker, long name upwards": (member("x", b"18 path=../../etc\n", kind=b"x") + docker(), "raw", "docker",
                                  "unsafe-member"),
    "docker, size in an extended header": (member("x", b"13 size=9999\n", kind=b"x") + docker(), "raw", "docker",
                                           "bad-archive"),
    "docker, global header": (member("g", b"18 comment=abcdefg\n", kind=b"g") + docker(), "raw", "docker",
                              "unsafe-member"),
    "docker, behind its end": (docker() + b"x" * 512, "raw", "docker", "trailing-bytes"),
}  # fmt: skip

COMPRESSED: HostileArchives = {
    "compressed, backed qcow2": (squeezed(HOSTILE["qcow2 backing file"][0]), "qcow2", "compressed", "backing-file"),
    "compressed, flat vmdk": (squeezed(HOSTILE["vmdk flat extent"][0]), "vmdk", "compressed", "data-file"),
    "compressed, descriptor": (squeezed(HOSTILE["vmdk descriptor, flat"][0]), "raw", "compressed", "data-file"),
    "compressed, twice": (squeezed(squeezed(raw())), "raw", "compressed", "format-mismatch"),
    "compressed, two members": (squeezed(raw()) * 2, "raw", "compressed", "trailing-bytes"),
    "compressed, cut": (squeezed(qcow2())[:-4], "qcow2", "compressed", "truncated"),
    "compressed, nothing": (b"\x1f\x8b\x08" + bytes(600), "raw", "compressed", "bad-compression"),
    "compressed, bomb": (squeezed(bytes(70 * MIB), 9), "raw", "compressed", "decompression-bomb"),
}

ZIPS: HostileArchives = {
    "zip, backed qcow2": (zipped(HOSTILE["qcow2 backing file"][0]), "qcow2", "compressed", "backing-file"),
    "zip, two members": (zip_of_two(qcow2(), raw()), "qcow2", "compressed", "not-one-member"),
    "zip, no member": (b"PK\5\6" + bytes(18), "raw", "compressed", "not-one-member"),
    "zip, one told, two there": (zip_by_hand(qcow2(), between=zip_by_hand(raw())[:99]), "qcow2", "compressed",
                                 "not-one-member"),
    "zip, two told": (zip_by_hand(qcow2(), members=2), "qcow2", "compressed", "not-one-member"),
    "zip, encrypted": (patched(zip_by_hand(qcow2()), 6, "<H", 1), "qcow2", "compressed", "encrypted-archive"),
    "zip, strongly encrypted": (patched(zip_by_hand(qcow2()), 6, "<H", 65), "qcow2", "compressed", "encrypted-archive"),
    "zip, deflate64": (patched(zip_by_hand(qcow2()), 8, "<H", 9), "qcow2", "compressed", "unsupported-compression"),
    "zip, lzma": (zipped(qcow2(), method=14), "qcow2", "compressed", "unsupported-compression"),
    "zip, stored and streamed": (zipped(qcow2(), method=0, streamed=True), "qcow2", "compressed",
                                 "unsupported-compression"),
    "zip, absolute": (zipped(qcow2(), CANARY), "qcow2", "compressed", "unsafe-member"),
    "zip, upwards": (zipped(qcow2(), "../disk"), "qcow2", "compressed", "unsafe-member"),
    "zip, nameless": (zip_by_hand(qcow2(), name=b""), "qcow2", "compressed", "unsafe-member"),
    "zip, folder": (zipped(b"", "d/", method=0), "raw", "compressed", "unsafe-member"),
    "zip, nul in its name": (zip_by_hand(qcow2(), name=b"disk\0.img"), "qcow2", "compressed", "unsafe-member"),
    "zip, link": (zip_by_hand(qcow2(), mode=0o120777), "qcow2", "compressed", "unsafe-member"),
    "zip, two names": (zip_by_hand(qcow2(), inside=b"other"), "qcow2", "compressed", "bad-archive"),
    "zip, two methods": (zip_by_hand(qcow2(), method=0), "qcow2", "compressed", "bad-archive"),
    "zip, two sums": (zip_by_hand(qcow2(), sum=7), "qcow2", "compressed", "bad-archive"),
    "zip, two sizes": (zip_by_hand(qcow2(), unpacked=7), "qcow2", "compressed", "bad-archive"),
    "zip, two lengths": (zip_by_hand(qcow2(), packed=7), "qcow2", "compressed", "bad-archive"),
    "zip, flags apart": (zip_by_hand(qcow2(), flags=2048), "qcow2", "compressed", "bad-archive"),
    "zip, member elsewhere": (zip_by_hand(qcow2(), at=9), "qcow2", "compressed", "bad-archive"),
    "zip, directory elsewhere": (zip_by_hand(qcow2(), shift=-4), "qcow2", "compressed", "bad-archive"),
    "zip, directory over its content": (zip_by_hand(qcow2(), shift=-40), "qcow2", "compressed", "bad-archive"),
    "zip, something between": (zip_by_hand(qcow2(), between=b"hidden"), "qcow2", "compressed", "bad-archive"),
    "zip, wrong descriptor": (zip_by_hand(qcow2(), descriptor=bytes(12)), "qcow2", "compressed", "bad-archive"),
    "zip, no descriptor": (zip_by_hand(qcow2(), descriptor=b""), "qcow2", "compressed", "bad-archive"),
    "zip, comment": (zipped(qcow2())[:-2] + b"\4\0gift", "qcow2", "compressed", "trailing-bytes"),
    "zip, behind its end": (zipped(qcow2()) + b"more", "qcow2", "compressed", "trailing-bytes"),
    "zip, another behind": (zipped(qcow2()) * 2, "qcow2", "compressed", "bad-archive"),
    "zip, cut": (zipped(qcow2())[:-5], "qcow2", "compressed", "truncated"),
    "zip, cut in its content": (zipped(qcow2())[:60], "qcow2", "compressed", "truncated"),
    "zip, cut in its header": (zipped(qcow2())[:20], "qcow2", "compressed", "truncated"),
    "zip, content that goes on": (patched(zipped(qcow2()), 18, "<I", 20), "qcow2", "compressed", "bad-archive"),
    "zip, broken content": (patched(zipped(qcow2()), 60, "4s", b"\xff" * 4), "qcow2", "compressed", "bad-compression"),
    "zip, bomb": (zipped(bytes(70 * MIB)), "raw", "compressed", "decompression-bomb"),
}  # fmt: skip

SIGNED: HostileArchives = {
    "ova with a VHD's end": (ova() + bytes(512) + vhd_footer(2, len(ova())), "vmdk", "ova", "trailing-bytes"),
    "iso in a VHD in an ova": (ova(disk=fixed_vhd(iso())), "vhd", "ova", "polyglot"),
}

HOSTILE_ARCHIVES: HostileArchives = {**OVAS, **DOCKERS, **COMPRESSED, **ZIPS, **SIGNED}

MISDECLARED_ARCHIVES: HostileArchives = {
    "an ova of another disk": (ova(disk=qcow2()), "vmdk", "ova", "format-mismatch"),
    "an ova as docker": (ova(), "raw", "docker", "bad-archive"),
    "an ova as a disk": (ova(), "vmdk", "bare", "format-mismatch"),
    "a docker archive as an ova": (docker(), "raw", "ova", "unsafe-member"),
    "a docker archive of qcow2": (docker(), "qcow2", "docker", "format-mismatch"),
    "an ova, compressed": (squeezed(ova()), "vmdk", "compressed", "format-mismatch"),
    "another disk, compressed": (squeezed(qcow2()), "raw", "compressed", "format-mismatch"),
}
"""Archives that are fine under another name."""
