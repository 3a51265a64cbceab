"""The disk images tempest sends: sound and unsound ones of every format, and the manifest that names them."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from tests.images import sound
from tests.images.hostile import QCOW2, VMDK

MANIFEST = "manifest.yaml"
WEB_IMAGE = "small.qcow2"

USABLE = {
    "raw": ("raw", "raw"),
    "qcow2": ("qcow2", "qcow2"),
    "qcow2-compat0.10": ("qcow2", "qcow2, version 2"),
    "vdi": ("vdi", "vdi"),
    "vhd": ("vhd", "vhd, dynamic"),
    "vhd-fixed": ("vhd", "vhd, fixed"),
    "vhdx": ("vhdx", "vhdx"),
    "vmdk-monolithicSparse": ("vmdk", "vmdk"),
    "iso": ("iso", "iso"),
}
"""A name in the manifest -> the disk format to declare, the sound image."""

UNUSABLE = {
    "qcow2-backing-file": ("qcow2", QCOW2["qcow2 backing file"][0]),
    "qcow2-data-file": ("qcow2", QCOW2["qcow2 data file"][0]),
    "qcow2-unknown-feature": ("qcow2", QCOW2["qcow2 unknown feature"][0]),
    "vmdk-monolithicFlat": ("vmdk", VMDK["vmdk monolithicFlat"][0]),
}


def write_samples(folder: Path, without: Collection[str] = ()) -> Path:
    """Images and their manifest, in the shape tempest reads (`image.images_manifest_file`). Gives the manifest."""
    folder.mkdir()
    entries = [_write(folder, name, kind, sound.SOUND[key][0], usable=True) for name, (kind, key) in USABLE.items()]
    entries += [_write(folder, name, kind, content, usable=False) for name, (kind, content) in UNUSABLE.items()]
    chosen = [entry for entry in entries if entry["name"] not in without]
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"images": chosen}))
    return manifest


def write_web(folder: Path) -> None:
    """What imports fetch."""
    folder.mkdir()
    (folder / WEB_IMAGE).write_bytes(sound.qcow2())


def _write(folder: Path, name: str, kind: str, content: bytes, *, usable: bool) -> dict[str, object]:
    (folder / f"{name}.img").write_bytes(content)
    return {"name": name, "format": kind, "filename": f"{name}.img", "usable": usable}
