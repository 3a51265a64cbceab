"""Our verdicts beside qemu-img's: what it makes is accepted, what it would follow elsewhere is not."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.images.hostile import HOSTILE
from tests.images.sound import SOUND, mbr, raw
from tests.stages.qemu import driver, info, needs_qemu, other_files, qemu_img
from tests.stages.walk import MIB, walk

pytestmark = needs_qemu

VARIANTS = [
    ("qcow2", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=2M"),
    ("qcow2", "lazy_refcounts=on"),
    ("qcow2", "compression_type=zstd"),
    ("qcow2", "refcount_bits=1"),
    ("qcow2", "preallocation=full"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
    ("vhd", "subformat=dynamic"),
    ("vhd", "subformat=fixed"),
    ("vhd", "subformat=dynamic,force_size=on"),
    ("vhd", "subformat=fixed,force_size=on"),
    ("vhdx", ""),
    ("vhdx", "subformat=fixed"),
    ("vhdx", "block_size=1M"),
    ("vdi", ""),
    ("vdi", "static=on"),
    ("ploop", ""),
]
ROUNDS = 40


def converted(folder: Path, disk_format: str, options: str) -> Path:
    source, image = folder / "source.raw", folder / "image"
    noise = Random(7).randbytes(3 * MIB)
    source.write_bytes(mbr() + noise + raw(4 * MIB))
    chosen = ["-o", options] if options else []
    made = qemu_img("convert", "-f", "raw", "-O", driver(disk_format), *chosen, str(source), str(image))
    assert made.returncode == 0, made.stderr
    return image


@pytest.mark.parametrize(("disk_format", "options"), VARIANTS)
def test_what_qemu_img_makes_is_accepted(tmp_path: Path, disk_format: str, options: str) -> None:
    image = converted(tmp_path, disk_format, options)
    found, said = walk(image.read_bytes(), disk_format), info(image, disk_format)
    assert found.message == ""
    assert found.verdict is not None
    assert said is not None
    assert (found.verdict.disk_format, found.verdict.virtual_size) == (disk_format, said["virtual-size"])
    assert walk(image.read_bytes(), "raw").code == "format-mismatch"


@pytest.mark.parametrize(("disk_format", "options"), [("qcow2", ""), ("vmdk", ""), ("vdi", ""), ("vhdx", "")])
def test_a_real_image_cut_short_is_refused(tmp_path: Path, disk_format: str, options: str) -> None:
    data = converted(tmp_path, disk_format, options).read_bytes()
    assert walk(data[:8192], disk_format).code == "truncated"


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk"])
def test_an_image_with_a_real_backing_file_is_refused(tmp_path: Path, disk_format: str) -> None:
    below, above = tmp_path / "below", tmp_path / "above"
    assert qemu_img("create", "-f", disk_format, str(below), "4M").returncode == 0
    made = qemu_img("create", "-f", disk_format, "-b", str(below), "-F", disk_format, str(above))
    assert made.returncode == 0, made.stderr
    found = walk(above.read_bytes(), disk_format)
    assert found.code == "backing-file"
    assert "qemu-img convert" in found.remedy


@pytest.mark.parametrize("options", ["data_file={}", "data_file={},data_file_raw=on"])
def test_an_image_with_a_real_data_file_is_refused(tmp_path: Path, options: str) -> None:
    image = tmp_path / "image"
    made = qemu_img("create", "-f", "qcow2", "-o", options.format(tmp_path / "content"), str(image), "4M")
    assert made.returncode == 0, made.stderr
    assert walk(image.read_bytes(), "qcow2").code == "data-file"


def test_a_disk_in_pieces_is_refused(tmp_path: Path) -> None:
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        image = converted(tmp_path, "vmdk", f"subformat={subformat}")
        assert walk(image.read_bytes(), "vmdk").code == "data-file"


def test_sound_images_are_sound_to_qemu_img(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for name, (data, disk_format, virtual_size) in SOUND.items():
        if len(data) % 512 == 0 and disk_format not in {"luks", "aki", "ari"}:
            image.write_bytes(data)
            found = info(image, disk_format)
            assert found is not None, name
            assert found["virtual-size"] == virtual_size, name


def test_whatever_qemu_img_probes_as_a_format_is_not_taken_for_raw(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for name, (data, _, _) in {**SOUND, **HOSTILE}.items():
        if walk(data, "raw").verdict:
            image.write_bytes(data)
            assert (info(image) or {"format": "raw"})["format"] == "raw", name


def mutations(data: bytes, random: Random) -> bytes:
    """`data` with up to four fields of its first 4 KiB overwritten: by noise, by extremes, by small numbers."""
    mutated = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at, size = random.randrange(min(len(data), random.choice([128, 1024, 4096]))), random.choice([1, 2, 4, 8])
        run = random.choice([random.randbytes(size), b"\xff" * size, bytes(size), bytes([0] * (size - 1) + [1])])
        mutated[at : at + size] = run
    return bytes(mutated)


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vhd", "vdi", "vhdx"])
def test_no_mutated_header_passes_that_leads_elsewhere(tmp_path: Path, disk_format: str) -> None:
    random, image = Random(f"headers of {disk_format}"), tmp_path / "image"
    bases = [data for data, declared, _ in {**SOUND, **HOSTILE}.values() if declared == disk_format]
    for _ in range(ROUNDS):
        data = mutations(random.choice(bases), random)
        if walk(data, disk_format).verdict:
            image.write_bytes(data)
            assert other_files(info(image, disk_format) or {"filename": ""}) == []
        if walk(data, "raw").verdict:
            image.write_bytes(data)
            assert (info(image) or {"format": "raw"})["format"] == "raw"
