from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import ContentRefused
from gateway.stages.images.agreement import match
from gateway.stages.pipeline import Declared
from tests.images.archives import OVF, SOUND_ARCHIVES
from tests.images.hostile_archives import (
    COMPRESSED,
    DOCKERS,
    HOSTILE_ARCHIVES,
    MISDECLARED_ARCHIVES,
    OVAS,
    ZIPS,
    HostileArchives,
)
from tests.images.made import convert
from tests.stages.qemu import needs_qemu
from tests.stages.test_inspect import CONTAINERS, DISK_FORMATS
from tests.stages.walk import MIB, walk

STREAMS = {**COMPRESSED, **ZIPS}
DISKS = [disk for disk in DISK_FORMATS if disk not in ("aki", "ari", None)]
"""Kernels and ramdisks are compressed files of any kind; nobody opens them as disks."""


@pytest.mark.parametrize("name", SOUND_ARCHIVES)
def test_sound_archives_pass_with_the_disk_inside(name: str) -> None:
    data, disk, container, inside, virtual_size = SOUND_ARCHIVES[name]
    found = walk(data, disk, container)
    assert found.message == ""
    assert found.stored == data
    assert found.verdict is not None
    assert (found.verdict.disk_format, found.verdict.virtual_size) == (inside, virtual_size)


ALL_HOSTILE: HostileArchives = {**HOSTILE_ARCHIVES, **MISDECLARED_ARCHIVES}


@pytest.mark.parametrize("name", ALL_HOSTILE)
def test_hostile_archives_are_refused_by_name(name: str) -> None:
    data, disk, container, code = ALL_HOSTILE[name]
    found = walk(data, disk, container)
    assert found.code == code
    assert found.message
    assert found.remedy


@pytest.mark.parametrize("name", HOSTILE_ARCHIVES)
def test_no_declaration_lets_a_hostile_archive_in(name: str) -> None:
    data = HOSTILE_ARCHIVES[name][0]
    declared = [container for container in CONTAINERS if container] if name in STREAMS else CONTAINERS
    for disk, container in product(DISKS if name in STREAMS else DISK_FORMATS, declared):
        found = walk(data, disk, container, hashes=())
        assert found.code, (disk, container)
        assert found.message
        assert found.remedy


@pytest.mark.parametrize("name", STREAMS)
def test_a_hostile_stream_that_was_staged_undeclared_fits_no_later_declaration(name: str) -> None:
    kept = walk(STREAMS[name][0], None, None, hashes=()).verdict
    for disk, container in product(DISKS, CONTAINERS):
        if kept and disk and container:
            with pytest.raises(ContentRefused):
                match(kept, Declared(disk, container))


@pytest.mark.parametrize("name", SOUND_ARCHIVES)
def test_an_archive_that_was_staged_undeclared_is_judged_as_what_it_is(name: str) -> None:
    data, disk, container, _, _ = SOUND_ARCHIVES[name]
    kept = walk(data, None, None).verdict
    assert kept is not None
    if container != "compressed":
        match(kept, Declared(disk, container))
        for other in {"bare", "ova", "docker", "compressed"} - {container}:
            with pytest.raises(ContentRefused):
                match(kept, Declared(disk, other))


@pytest.mark.parametrize("name", ["ova, backed qcow2", "docker, disk as a layer"])
def test_an_undeclared_archive_is_looked_into(name: str) -> None:
    assert walk(HOSTILE_ARCHIVES[name][0], None, None).code == HOSTILE_ARCHIVES[name][3]


def test_an_ova_is_refused_once_its_disk_is_known() -> None:
    data = OVAS["ova, flat vmdk"][0]
    found = walk(data + bytes(5 * MIB), "vmdk", "ova")
    assert found.code == "data-file"
    assert found.stored == b""


@needs_qemu
def test_an_ova_as_people_make_it(tmp_path: Path) -> None:
    disk = convert(tmp_path, "vmdk", "-o", "subformat=streamOptimized").rename(tmp_path / "disk.vmdk")
    (tmp_path / "machine.ovf").write_text(OVF)
    for form in ("ustar", "gnu"):
        words = ["tar", f"--format={form}", "-cf", "machine.ova", "machine.ovf", disk.name]
        subprocess.run(words, cwd=tmp_path, check=True)
        found = walk((tmp_path / "machine.ova").read_bytes(), "vmdk", "ova")
        assert found.message == ""
        assert found.verdict is not None
        assert found.verdict.virtual_size == 8 * MIB


ANY = sorted({**HOSTILE_ARCHIVES, **SOUND_ARCHIVES, **MISDECLARED_ARCHIVES}.items())


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(ANY), st.lists(st.integers(1, 2 * MIB), min_size=1, max_size=6))
def test_chunks_never_change_what_is_found_in_an_archive(
    image: tuple[str, tuple[bytes, str, str, object]], sizes: list[int]
) -> None:
    data, disk, container = image[1][:3]
    whole = walk(data, disk, container, chunks=[max(len(data), 1)])
    cut = walk(data, disk, container, chunks=[*sizes, 9_973 if len(data) < MIB else 99_991])
    assert (cut.code, cut.message, cut.stored, cut.verdict) == (whole.code, whole.message, whole.stored, whole.verdict)


TARS = sorted({**OVAS, **DOCKERS, **{name: SOUND_ARCHIVES[name] for name in ("ova", "docker")}}.items())


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(TARS), st.lists(st.tuples(st.integers(0, 4096), st.binary(min_size=1, max_size=12)), max_size=8))
def test_no_bytes_make_an_archive_fail_in_an_unnamed_way(
    image: tuple[str, tuple[bytes, str, str, object]], patches: list[tuple[int, bytes]]
) -> None:
    data, disk, container = image[1][:3]
    for at, run in patches:
        data = data[:at] + run + data[at + len(run) :]
    found = walk(data, disk, container)
    assert found.verdict or (found.code and found.message and found.remedy)
