"""Our verdicts beside qemu-img's: what it makes is accepted, what it would follow elsewhere is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.model.decision import StageCall
from tests.images import campaign, oracle
from tests.images.hostile import CANARY, HOSTILE
from tests.images.made import LUKS, LUKS_INSIDE, VARIANTS, convert, converted, encrypted, noted, snapshotted
from tests.images.sound import SOUND
from tests.stages.qemu import info, needs_qemu, other_files, qemu_img
from tests.stages.test_inspect import DISK_FORMATS
from tests.stages.walk import walk

pytestmark = needs_qemu
LACKING = oracle.missing()
needs_watching = pytest.mark.skipif(bool(LACKING), reason=f"nobody can watch qemu-img here: {LACKING}")


@pytest.mark.parametrize(("disk_format", "options"), VARIANTS)
def test_what_qemu_img_makes_is_accepted(tmp_path: Path, disk_format: str, options: str) -> None:
    check_accepted(converted(tmp_path, disk_format, options), disk_format)


def check_accepted(image: Path, disk_format: str, *options: tuple[str, bool]) -> None:
    found = walk(image.read_bytes(), disk_format, stages=[StageCall("inspect", options)])
    said = info(image, disk_format)
    assert found.message == ""
    assert found.verdict is not None
    assert said is not None
    assert (found.verdict.disk_format, found.verdict.virtual_size) == (disk_format, said["virtual-size"])
    assert disk_format == "raw" or walk(image.read_bytes(), "raw").code == "format-mismatch"


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk"])
def test_packed_clusters_are_accepted(tmp_path: Path, disk_format: str) -> None:
    words = ("-o", "subformat=streamOptimized") if disk_format == "vmdk" else ()
    check_accepted(convert(tmp_path, disk_format, "-c", *words), disk_format)


def test_encrypted_disks_are_accepted(tmp_path: Path) -> None:
    check_accepted(encrypted(tmp_path, "qcow2", LUKS_INSIDE), "qcow2")
    check_accepted(encrypted(tmp_path, "qcow2", "encrypt.format=aes,encrypt.key-secret=s"), "qcow2")
    check_accepted(encrypted(tmp_path, "luks", LUKS), "luks")


def test_what_is_the_policys_choice_is_accepted_where_it_says_so(tmp_path: Path) -> None:
    wide = converted(tmp_path, "qcow2", "extended_l2=on")
    assert walk(wide.read_bytes(), "qcow2").code == "unknown-features"
    check_accepted(wide, "qcow2", ("extended_l2", True))
    kept = snapshotted(tmp_path)
    check_accepted(kept, "qcow2")
    refused = walk(kept.read_bytes(), "qcow2", stages=[StageCall("inspect", (("snapshots", False),))])
    assert refused.code == "unknown-features"
    check_accepted(noted(tmp_path), "qcow2")


def test_formats_no_cloud_should_open_are_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for name in ("qed", "qcow"):
        assert qemu_img("create", "-f", name, str(image), "4M").returncode == 0
        assert [walk(image.read_bytes(), disk).code for disk in ("raw", "qcow2")] == ["unsupported-format"] * 2


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi", "vhdx"])
def test_a_real_image_cut_short_is_refused(tmp_path: Path, disk_format: str) -> None:
    data = converted(tmp_path, disk_format, "").read_bytes()
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


OPENED = ("qcow2 backing file", "vmdk parent", "vmdk descriptor, monolithicFlat")
NAMED = ("qcow2 backing file", "qcow2 data file and its name", "vmdk parent")


@needs_watching
def test_whoever_watches_qemu_img_sees_a_second_file(tmp_path: Path) -> None:
    every = sorted({*OPENED, *NAMED})
    answers = oracle.ask(tmp_path, {f"i{at}": HOSTILE[name][:2] for at, name in enumerate(every)})
    said = dict(zip(every, answers.values(), strict=True))
    assert [said[name].other_files for name in OPENED] == [{CANARY}] * len(OPENED)
    assert all(CANARY in other_files(said[name].named or {}) for name in NAMED)


@needs_watching
def test_no_image_that_is_called_safe_makes_qemu_img_open_a_second_file(tmp_path: Path) -> None:
    every = {**{name: image[0] for name, image in SOUND.items()}, **{name: image[0] for name, image in HOSTILE.items()}}
    safe = [(name, disk) for name, data in every.items() for disk in DISK_FORMATS if disk and walk(data, disk).verdict]
    images = {f"i{at}": (every[name], disk) for at, (name, disk) in enumerate(safe)}
    said = oracle.ask(tmp_path, images)
    assert {name for name, _ in safe} == set(SOUND)
    assert [name for name, answer in said.items() if answer.other_files or answer.chain] == []


@needs_watching
def test_a_thousand_mutations_find_nothing() -> None:
    tally = campaign.run(1000, seed="every push")
    assert [(what, case.seed, case.base) for what, case in tally.failures] == []
    assert tally.mutations == 1000
    assert min(tally.safe[kind] for kind in ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ploop", "luks")) > 5
    assert tally.refused.total() > 200
