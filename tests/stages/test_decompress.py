from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.model.decision import StageCall
from tests.images.archives import zip_by_hand, zipped
from tests.images.hostile import HOSTILE
from tests.images.hostile_archives import COMPRESSED, ZIPS, HostileArchives
from tests.images.sound import MIB, mbr, qcow2, raw
from tests.stages.walk import Outcome, walk

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "zip": zipped,
}
STAGES = ("decompress", "inspect")
packed_by = pytest.mark.parametrize("packer", PACKERS)


def descriptor(data: bytes, form: str = "<III") -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return struct.pack(form, zlib.crc32(data), len(stream.compress(data) + stream.flush()), len(data))


def unpacked(data: bytes, disk_format: str | None = "qcow2", **settings_: object) -> Outcome:
    return walk(data, disk_format, stages=settings_.pop("stages", STAGES), **settings_)  # type: ignore[arg-type]


@packed_by
@pytest.mark.parametrize("container", ["bare", "compressed"])
def test_one_layer_is_taken_off_and_the_inside_is_what_is_kept(packer: str, container: str) -> None:
    image, packed = qcow2(), PACKERS[packer](qcow2())
    found = unpacked(packed, container_format=container)
    assert found.stored == image
    assert found.verdict is not None
    assert (found.verdict.disk_format, found.verdict.virtual_size) == ("qcow2", MIB)
    assert (found.verdict.size, found.verdict.source_size) == (len(image), len(packed))
    assert found.verdict.hashes["md5"] == hashlib.md5(image).hexdigest()


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 3 * MIB), st.lists(st.integers(1, MIB), max_size=4))
def test_chunks_never_change_what_comes_out(packer: str, size: int, sizes: list[int]) -> None:
    image = mbr(MIB) + hashlib.shake_128(b"noise").digest(1000) * (size // 1000)
    packed = PACKERS[packer](image)
    found, whole = unpacked(packed, "raw", chunks=[*sizes, 4093]), unpacked(packed, "raw", chunks=[len(packed)])
    assert found.stored == image
    assert found.verdict == whole.verdict


@packed_by
@pytest.mark.parametrize("name", ["qcow2 backing file", "vmdk flat extent", "qed", "qcow2 and iso"])
def test_a_hostile_inside_is_refused(packer: str, name: str) -> None:
    data, declared, code = HOSTILE[name]
    assert unpacked(PACKERS[packer](data), declared).code == code


@packed_by
def test_a_second_layer_stays_and_is_refused(packer: str) -> None:
    assert unpacked(PACKERS[packer](PACKERS[packer](raw())), "raw").code == "format-mismatch"


@packed_by
def test_exactly_one_member_and_nothing_behind_it(packer: str) -> None:
    packed = PACKERS[packer](qcow2())
    noise = hashlib.shake_128(b"noise").digest(MIB - len(packed))
    for behind in (b"x", b"\0" * 16, packed, PACKERS[packer](b""), noise + b"behind a whole block"):
        code = unpacked(packed + behind).code
        assert code == "trailing-bytes" or (packer == "zip" and code in ("not-one-member", "bad-archive"))


@packed_by
def test_broken_streams_are_named(packer: str) -> None:
    packed = PACKERS[packer](hashlib.shake_128(b"noise").digest(MIB))
    assert unpacked(packed[:-1], "raw").code == "truncated"
    assert unpacked(packed[: len(packed) // 2], "raw").code == "truncated"
    middle = len(packed) // 2
    flipped = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle : middle + 64]) + packed[middle + 64 :]
    named = {"bad-compression", "truncated", "trailing-bytes", "bad-archive"}
    assert unpacked(flipped, "raw").code in named or packer == "zstd"


@packed_by
def test_the_cap_holds_for_what_comes_out(packer: str) -> None:
    packed = PACKERS[packer](raw(5 * MIB))
    found = unpacked(packed, "raw", max_size=3 * MIB + 5)
    assert found.code == "over-limit"
    assert len(found.stored) == 3 * MIB
    assert unpacked(packed, "raw", max_size=5 * MIB).verdict
    own = StageCall("decompress", (("max_size", 3 * MIB),))
    assert unpacked(packed, "raw", stages=(own,), max_size=5 * MIB).code == "over-limit"


@packed_by
def test_a_bomb_is_stopped_by_its_ratio(packer: str) -> None:
    call = StageCall("decompress", (("max_ratio", 100),))
    found = unpacked(PACKERS[packer](raw(101 * MIB)), "raw", stages=(call,), hashes=())
    assert found.code == "decompression-bomb"
    assert len(found.stored) <= 100 * MIB


def test_what_is_not_compressed_goes_through() -> None:
    found = unpacked(qcow2(), "qcow2")
    assert found.stored == qcow2()
    assert unpacked(qcow2(), "qcow2", container_format="compressed").code == "format-mismatch"


def test_ramdisks_stay_compressed() -> None:
    packed = gzip.compress(b"070701 files")
    assert unpacked(packed, "ari").stored == packed


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["disk.img", "folder/disk.img", "m\u00fcller.img"])
def test_a_zip_with_one_member_is_its_member(method: int, name: str) -> None:
    assert unpacked(zipped(qcow2(), name, method=method)).stored == qcow2()


ZIPPED = {
    "streamed": zipped(qcow2(), streamed=True),
    "by hand": zip_by_hand(qcow2()),
    "zip64": zip_by_hand(qcow2(), wide=True),
    "empty": zipped(b"", method=zipfile.ZIP_STORED),
    "descriptor": zip_by_hand(qcow2(), descriptor=descriptor(qcow2())),
    "descriptor, marked": zip_by_hand(qcow2(), descriptor=b"PK\7\x08" + descriptor(qcow2())),
    "descriptor of 64 bits": zip_by_hand(qcow2(), descriptor=descriptor(qcow2(), "<IQQ")),
}


@pytest.mark.parametrize("name", ZIPPED)
def test_every_way_to_write_a_zip_is_read(name: str) -> None:
    found = unpacked(ZIPPED[name], "raw" if name == "empty" else "qcow2", chunks=(7,))
    assert (found.message, found.stored) == ("", b"" if name == "empty" else qcow2())


def test_what_the_zip_command_writes_is_read(tmp_path: Path) -> None:
    if not shutil.which("zip"):
        pytest.skip("zip is missing: apt-get install zip")
    (tmp_path / "disk.img").write_bytes(qcow2())
    for words in (["-X"], [], ["-0"], ["-fz"]):
        subprocess.run(["zip", "-q", *words, "x.zip", "disk.img"], cwd=tmp_path, check=True)
        assert unpacked((tmp_path / "x.zip").read_bytes()).message == ""
        (tmp_path / "x.zip").unlink()
    streamed = subprocess.run(["zip", "-q", "-", "-"], input=qcow2(), capture_output=True, check=True)
    assert unpacked(streamed.stdout).stored == qcow2()


HOSTILE_STREAMS: HostileArchives = {**COMPRESSED, **ZIPS}


@pytest.mark.parametrize("name", HOSTILE_STREAMS)
@pytest.mark.parametrize("container", ["bare", "compressed", "ova", "docker"])
def test_no_declaration_lets_a_hostile_stream_in(name: str, container: str) -> None:
    data, _, _, code = HOSTILE_STREAMS[name]
    for disk in ("raw", "qcow2", "vmdk", "vhd", "iso"):
        found = unpacked(data, disk, container_format=container, hashes=())
        assert found.code in (code, "format-mismatch"), disk
        assert found.message
        assert found.remedy


@example("by hand", [(-70, 64)])  # asks for a newer reader
@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(ZIPPED)), st.lists(st.tuples(st.integers(-200, 90), st.integers(0, 255)), min_size=1))
def test_a_zip_with_other_bytes_is_the_same_or_refused_by_name(name: str, changes: list[tuple[int, int]]) -> None:
    packed = bytearray(ZIPPED[name])
    for at, byte in changes:
        packed[at % len(packed)] = byte
    found = unpacked(bytes(packed), None)
    assert found.code or found.stored in (qcow2(), b"", bytes(packed))
    if found.verdict and found.stored != bytes(packed):
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert [archive.read(member) for member in archive.infolist()] == [found.stored]


def test_expected_digests_speak_of_the_bytes_that_were_sent() -> None:
    packed = gzip.compress(qcow2())
    assert unpacked(packed, expected={"sha256": hashlib.sha256(packed).hexdigest()}).verdict
    assert unpacked(packed, expected={"sha256": hashlib.sha256(qcow2()).hexdigest()}).code == "checksum-mismatch"
