"""Which disk format a file or a URL probably is: a proposal for the record, which the service checks for itself."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from gateway.stages.images.magic import COMPRESSED, sniff, sniff_tail

HEAD = 1 << 20
TAIL = 512

_DISK_FORMATS = ("qcow2", "vmdk", "vhdx", "vhd", "vdi", "ploop", "iso")
_EXTENSIONS = {f".{name}": name for name in (*_DISK_FORMATS, "raw")}
_PACKED = frozenset({".gz", ".xz", ".zst", ".bz2", ".zip"})


def format_of_name(name: str) -> str | None:
    """By extension, looking through one of compression: `disk.qcow2.xz` is qcow2. `.img` says nothing."""
    path = PurePosixPath(name.lower())
    return _EXTENSIONS.get(path.suffix if path.suffix not in _PACKED else PurePosixPath(path.stem).suffix)


def is_compressed(head: bytes) -> bool:
    return not COMPRESSED.isdisjoint(sniff(head))


def format_of_file(path: Path) -> str:
    """Bytes win over the name; what shows no mark is raw. What a compressed file holds, only its name can tell."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, path.stat().st_size - TAIL))
        found = sniff(head) | sniff_tail(file.read(TAIL))
    if not COMPRESSED.isdisjoint(found):
        return format_of_name(path.name) or "raw"
    return next((name for name in _DISK_FORMATS if name in found), "raw")
