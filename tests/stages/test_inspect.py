from __future__ import annotations

import gzip
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused
from gateway.model.verdict import Verdict
from gateway.stages.images.agreement import match
from gateway.stages.pipeline import Declared
from gateway.stages.verdicts import verdict_from_json, verdict_to_json
from tests.images.hostile import HOSTILE, MISDECLARED
from tests.images.sound import MIB, SOUND, gpt, hybrid_iso, iso, mbr, patched, qcow2, raw
from tests.stages.walk import walk

DISK_FORMATS = ("raw", "ami", "aki", "ari", "gpt", "iso", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "ploop", "luks", None)
CONTAINERS = ("bare", "ovf", "ova", "docker", "compressed", "ami", "aki", "ari", None)


@pytest.mark.parametrize("name", SOUND)
def test_sound_images_pass_with_their_virtual_size(name: str) -> None:
    data, declared, virtual_size = SOUND[name]
    found = walk(data, declared)
    assert found.message == ""
    assert found.verdict is not None
    assert found.verdict.virtual_size == virtual_size
    assert found.stored == data


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_images_are_refused_by_name(name: str) -> None:
    data, pretended, code = HOSTILE[name]
    found = walk(data, pretended)
    assert found.code == code
    assert found.message
    assert found.remedy


@pytest.mark.parametrize("name", HOSTILE)
def test_no_declaration_lets_a_hostile_image_in(name: str) -> None:
    data = HOSTILE[name][0]
    for disk, container in product(DISK_FORMATS, CONTAINERS):
        found = walk(data, disk, container, hashes=())
        assert found.code, (disk, container)
        assert found.message
        assert found.remedy


def test_hints_say_what_an_operator_would_ask() -> None:
    assert hints(iso_called("Debian 12"), "iso") == {"volume-id": "The medium is called 'Debian 12'."}
    assert hints(mbr(), "raw")["partition-table"] == "The disk has an MBR: Linux."
    table = patched(patched(gpt(), 584, "<Q", 2), 592, "<II", 128, 128)
    named = patched(table, 1024, "16s", UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le)
    assert hints(named, "gpt")["partition-table"] == "The disk has a GPT: EFI system."
    assert hints(patched(raw(), 1080, "<H", 0xEF53), "raw") == {"content": "The bytes begin with an ext file system."}
    assert hints(patched(raw(), 514, "4s", b"HdrS"), "aki") == {"content": "The bytes begin with a Linux kernel."}
    assert hints(raw(), "raw") == {}


def hints(data: bytes, disk_format: str) -> dict[str, str]:
    found = walk(data, disk_format).verdict
    assert found is not None
    return {f.code: f.message for f in found.reports[0].findings if not f.code.startswith("found-")}


def iso_called(name: str) -> bytes:
    return patched(iso(), 32768 + 40, "32s", name.encode().ljust(32))


@pytest.mark.parametrize("name", MISDECLARED)
def test_bytes_that_are_something_else_are_refused(name: str) -> None:
    data, pretended, code = MISDECLARED[name]
    assert walk(data, pretended).code == code


def test_a_backing_file_is_refused_within_the_first_mebibyte() -> None:
    image = HOSTILE["qcow2 backing file"][0].ljust(MIB, b"\0")
    found = walk(image * 3, "qcow2")
    assert found.code == "backing-file"
    assert found.stored == b""


def test_the_report_shows_which_stage_refused() -> None:
    found = walk(HOSTILE["qcow2 data file"][0], "qcow2", stages=("inspect", "checksum"))
    inspect, checksum = found.pipeline.reports()
    assert (inspect.outcome, inspect.findings[0].code) == ("refused", "data-file")
    assert (checksum.outcome, checksum.findings[0].code) == ("skipped", "unfinished")


def test_a_hybrid_medium_is_a_medium_and_not_a_plain_disk() -> None:
    assert walk(hybrid_iso(), "iso").verdict
    refused = walk(hybrid_iso(), "raw")
    assert refused.code == "format-mismatch"
    assert "disk_format iso" in refused.remedy


def test_a_qcow2_is_no_raw_disk_however_it_is_wrapped() -> None:
    assert [walk(qcow2(), "raw", container).code for container in CONTAINERS] == ["format-mismatch"] * len(CONTAINERS)


@pytest.mark.parametrize(
    ("feature", "option"), [((72, ">Q", 16), ("extended_l2", True)), ((60, ">IQ", 1, 65536), ("snapshots", False))]
)
def test_the_policy_decides_about_qcow2_features(feature: tuple[int, str, int], option: tuple[str, bool]) -> None:
    image = patched(qcow2(), *feature)
    usual, chosen = walk(image, "qcow2"), walk(image, "qcow2", stages=[StageCall("inspect", (option,))])
    assert {usual.code, chosen.code} == {None, "unknown-features"}
    assert bool(chosen.verdict) is option[1]


@pytest.mark.parametrize("name", SOUND)
def test_a_kept_verdict_answers_formats_that_are_declared_later_as_the_stream_would(name: str) -> None:
    data = SOUND[name][0]
    kept = walk(data, None, None).verdict
    assert kept is not None
    kept = verdict_from_json(verdict_to_json(kept))
    for disk in DISK_FORMATS:
        for container in ("bare", "compressed", "ova"):
            said = matched(kept, Declared(disk, container))
            assert said in ("not-inspected", walk(data, disk, container).code)
            assert said != "not-inspected" or (container == "compressed" and "compressed" in name)


def matched(verdict: Verdict, declared: Declared) -> str | None:
    try:
        match(verdict, declared)
    except ContentRefused as refusal:
        return refusal.code
    return None


def test_a_packed_disk_that_nobody_looked_at_is_not_taken_later() -> None:
    kept = walk(gzip.compress(qcow2()), None, None).verdict
    assert kept is not None
    assert matched(kept, Declared("qcow2", "compressed")) == "not-inspected"
    assert matched(kept, Declared("aki", "aki")) is None


def test_a_kept_verdict_of_a_decompressed_image_answers_for_its_inside() -> None:
    kept = walk(gzip.compress(qcow2()), None, None, stages=("decompress", "inspect")).verdict
    assert kept is not None
    assert matched(kept, Declared("qcow2", "compressed")) is None
    assert matched(kept, Declared("qcow2", "bare")) is None
    assert matched(kept, Declared("raw", "compressed")) == "format-mismatch"


def test_without_an_inspect_stage_nothing_is_held_against_later_formats() -> None:
    kept = walk(qcow2(), None, None, stages=()).verdict
    assert kept is not None
    assert matched(kept, Declared("vmdk", "bare")) is None


ANY = sorted({**SOUND, **HOSTILE, **MISDECLARED}.items())


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(ANY), st.lists(st.integers(1, 3 * MIB), min_size=1, max_size=6), st.booleans())
def test_chunks_never_change_a_finding_a_digest_or_the_output(
    image: tuple[str, tuple[bytes, str, object]], sizes: list[int], long: bool
) -> None:
    data, declared, _ = image[1]
    data = data + bytes(2 * MIB + 7) if long else data
    whole, cut = walk(data, declared, chunks=[max(len(data), 1)]), walk(data, declared, chunks=[*sizes, 99_991])
    assert (cut.code, cut.message, cut.stored) == (whole.code, whole.message, whole.stored)
    assert cut.verdict == whole.verdict


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(ANY), st.lists(st.tuples(st.integers(0, 1200), st.binary(min_size=1, max_size=8)), max_size=8))
def test_no_bytes_make_an_inspector_fail_in_an_unnamed_way(
    image: tuple[str, tuple[bytes, str, object]], patches: list[tuple[int, bytes]]
) -> None:
    data, declared, _ = image[1]
    for at, run in patches:
        data = data[:at] + run + data[at + len(run) :]
    found = walk(data, declared)
    assert found.verdict or (found.code and found.message and found.remedy)


def test_an_image_that_is_all_there_ends_where_it_says() -> None:
    assert walk(iso()[:-2048], "iso").code == "truncated"
    assert walk(gpt(), "gpt").verdict
