"""Bootable media nobody here made go in and come out identical."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.clients.site import Site, User
from tests.stages.qemu import driver, info, needs_qemu, qemu_img
from tests.stages.test_real_media import MEDIA

GRUB = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def medium(path: str) -> Path:
    if not Path(path).exists():
        pytest.skip(f"{path} is missing: apt-get install {MEDIA[path][1]}")
    return Path(path)


def formats(disk_format: str) -> dict[str, str]:
    """Kernels are in their own container, as the Images API has it."""
    return {"disk_format": disk_format, "container_format": disk_format if disk_format == "aki" else "bare"}


def check_identical(user: User, image: str, file: Path, virtual_size: int) -> None:
    found = user.show(image)
    digest = hashlib.sha512(file.read_bytes()).hexdigest()
    assert found["os_hash_value"] == digest
    assert (found["size"], found["virtual_size"]) == (file.stat().st_size, virtual_size)
    assert hashlib.sha512(user.file(image).content).hexdigest() == digest


def imported(user: User, file: Path, disk_format: str) -> str:
    """By glance-direct."""
    image = user.create(name=file.name, **formats(disk_format))
    assert user.stage(image, file.read_bytes()).status_code == 204
    assert user.start(image).status_code == 202
    assert user.ended(image)["message"] == ""
    return image


@pytest.mark.parametrize("path", MEDIA)
def test_media_are_uploaded_and_fetched(site: Site, gold: User, path: str) -> None:
    file = medium(path)
    check_identical(gold, imported(gold, file, MEDIA[path][0]), file, file.stat().st_size)
    shutil.copy(file, site.web)
    image = gold.create(name=file.name, **formats(MEDIA[path][0]))
    assert gold.start(image, "web-download", uri=f"{site.sources}/{file.name}").status_code == 202
    assert gold.ended(image)["message"] == ""
    check_identical(gold, image, file, file.stat().st_size)


@needs_qemu
@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi", "vhdx", "vhd"])
def test_a_medium_converted_to_every_format(gold: User, tmp_path: Path, disk_format: str) -> None:
    file = tmp_path / f"grub.{disk_format}"
    done = qemu_img("convert", "-f", "raw", "-O", driver(disk_format), str(medium(GRUB)), str(file))
    assert done.returncode == 0, done.stderr
    told = info(file, disk_format)
    assert told is not None
    check_identical(gold, imported(gold, file, disk_format), file, told["virtual-size"])


@needs_qemu
def test_a_medium_on_top_of_another_is_refused_and_unreadable(gold: User, tmp_path: Path) -> None:
    file = tmp_path / "layer.qcow2"
    below = medium(GRUB)
    assert qemu_img("create", "-f", "qcow2", "-b", str(below), "-F", "raw", str(file)).returncode == 0
    image = gold.create(name="layer", **formats("qcow2"))
    answer = gold.stage(image, file.read_bytes())
    assert "backing file" in gold.error(answer)["message"]
    assert gold.show(image)["status"] == "queued"
    assert gold.file(image).content == b""
