"""qemu-img behind its port: conversions between every pair it can, and the one file it opens."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from gateway.model.errors import ContentRefused, Interrupted, OverLimit, Refusal, Unavailable
from gateway.ports.converter import Conversion
from gateway.tools.qemu import DRIVERS, QemuImg, set_up
from gateway.tools.sandbox import Bounds, Sandbox
from tests.faults.disks import may_mount, small_disk
from tests.images.hostile import CANARY, HOSTILE, Hostile
from tests.images.sound import MIB, mbr, patched, qcow2
from tests.stages.walk import walk
from tests.tools.sandboxed import needs_converter, needs_strace, script

pytestmark = needs_converter

QEMU = QemuImg()
VARIANTS = [
    ("raw", ""),
    ("gpt", ""),
    ("qcow2", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "compression_type=zstd"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
    ("vhd", "subformat=dynamic"),
    ("vhd", "subformat=fixed,force_size=on"),
    ("vhdx", ""),
    ("vdi", ""),
    ("ploop", ""),
]
MADE = [(target, False) for target in sorted(QEMU.makes)] + [(target, True) for target in sorted(QEMU.packs)]


def nothing() -> None:
    pass


def disk(folder: Path) -> Path:
    """8 MiB of a guest's bytes: a partition table, noise, and a hole."""
    path = folder / "guest"
    path.write_bytes(mbr() + Random(5).randbytes(2 * MIB) + bytes(5 * MIB))
    return path


def made(folder: Path, disk_format: str, options: str = "") -> Path:
    image = folder / f"image.{disk_format}"
    chosen = ["-o", options] if options else []
    words = ["qemu-img", "convert", "-f", "raw", "-O", DRIVERS[disk_format], *chosen, str(disk(folder)), str(image)]
    subprocess.run(words, check=True, capture_output=True)
    return image


def converted(image: Path, disk_format: str, target: str, *, compress: bool = False, max_size: int = 64 * MIB) -> Path:
    into = image.parent / f"into-{target}-{compress}"
    into.mkdir()
    work = Conversion(
        source=image, disk_format=disk_format, target=target, into=into, max_size=max_size, compress=compress
    )
    return QEMU.convert(work, check=nothing, tell=lambda part: None)


def guest_bytes(image: Path, disk_format: str) -> str:
    """The sha256 of what a guest would read, read outside of any sandbox; trailing zeros do not count."""
    plain = image.with_name(f"{image.name}.plain")
    words = ["qemu-img", "convert", "-f", DRIVERS[disk_format], "-O", "raw", str(image), str(plain)]
    subprocess.run(words, check=True, capture_output=True)
    return sha256(plain.read_bytes().rstrip(b"\0")).hexdigest()


@pytest.mark.parametrize(("disk_format", "options"), VARIANTS)
def test_a_guest_reads_the_same_bytes_afterwards(tmp_path: Path, disk_format: str, options: str) -> None:
    image = made(tmp_path, disk_format, options)
    wanted = sha256(disk(tmp_path).read_bytes().rstrip(b"\0")).hexdigest()
    size = QEMU.look(image, disk_format, check=nothing).virtual_size
    for target, compress in MADE:
        result = converted(image, disk_format, target, compress=compress)
        assert guest_bytes(result, target) == wanted, (target, compress)
        verdict = walk(result.read_bytes(), target).verdict
        assert verdict is not None, (target, compress)
        assert verdict.disk_format == target
        assert verdict.virtual_size == QEMU.look(result, target, check=nothing).virtual_size == size, target


def test_what_is_compressed_is_smaller(tmp_path: Path) -> None:
    image = made(tmp_path, "raw")
    image.write_bytes(b"the same words again and again. " * (MIB >> 5) * 8)
    for target in QEMU.packs:
        sizes = [converted(image, "raw", target, compress=packed).stat().st_size for packed in (False, True)]
        assert sizes[1] < sizes[0] / 4


def test_progress_is_told_from_nothing_to_all(tmp_path: Path) -> None:
    image, told = made(tmp_path, "qcow2"), list[float]()
    work = Conversion(source=image, disk_format="qcow2", target="raw", into=tmp_path, max_size=64 * MIB)
    QEMU.convert(work, check=nothing, tell=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_result_beyond_its_limit_is_refused_by_name(tmp_path: Path) -> None:
    image = made(tmp_path, "qcow2")
    for target in sorted(QEMU.makes):
        with pytest.raises(OverLimit) as refusal:
            converted(image, "qcow2", target, max_size=MIB)
        assert refusal.value.code == "over-limit"
        assert f"{MIB} bytes" in refusal.value.message


def test_a_full_disk_of_ours_is_no_fault_of_the_image(tmp_path: Path) -> None:
    if not may_mount(tmp_path / "mounted"):
        pytest.skip("a small disk needs the right to mount a tmpfs: run as root")
    with small_disk(tmp_path / "small", "9M") as place, pytest.raises(Unavailable) as refused:
        converted(disk(place), "raw", "qcow2")
    assert "No space left on device" in refused.value.message


def test_an_empty_disk_of_8_pebibytes_ends_in_the_limits(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", str(bomb), "8P"], check=True)
    bounded = QemuImg(looking=Bounds(cpu=2, wall=10), converting=Bounds(cpu=2, wall=10))
    for target in ("raw", "qcow2", "vmdk", "vhdx"):
        into = tmp_path / target
        into.mkdir()
        work = Conversion(source=bomb, disk_format="qcow2", target=target, into=into, max_size=64 * MIB)
        with pytest.raises(Refusal) as refusal:
            bounded.convert(work, check=nothing, tell=lambda part: None)
        assert refusal.value.code in {"over-limit", "too-costly", "unreadable", "stage-unavailable"}
        assert sum(file.stat().st_size for file in into.iterdir()) <= 64 * MIB


def test_a_conversion_can_be_stopped(tmp_path: Path) -> None:
    image = made(tmp_path, "qcow2")

    def stop() -> None:
        raise Interrupted("The gateway is stopping.")

    work = Conversion(source=image, disk_format="qcow2", target="raw", into=tmp_path, max_size=64 * MIB)
    with pytest.raises(Interrupted):
        QEMU.convert(work, check=stop, tell=lambda part: None)


def test_an_opinion_tells_the_size_and_what_is_elsewhere(tmp_path: Path) -> None:
    image = made(tmp_path, "qcow2")
    assert QEMU.look(image, "qcow2", check=nothing).elsewhere == ()
    backed = tmp_path / "backed"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", CANARY, "-F", "raw", str(backed), "8M"]
    subprocess.run(words, check=True)
    opinion = QEMU.look(backed, "qcow2", check=nothing)
    assert opinion.virtual_size == 8 * MIB
    assert CANARY in opinion.elsewhere


def test_bytes_it_cannot_open_are_refused(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(patched(qcow2(), 4, ">I", 9))
    with pytest.raises(ContentRefused) as refusal:
        QEMU.look(image, "qcow2", check=nothing)
    assert refusal.value.code == "unreadable"
    assert "qcow2" in refusal.value.message


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"virtual-size": "no"}', "[" * 100_000])
def test_an_answer_that_makes_no_sense_is_the_tools_fault(tmp_path: Path, answer: str) -> None:
    (tmp_path / "answer").write_text(answer)
    odd = QemuImg(sandbox=Sandbox(script(tmp_path, f"exec /bin/cat {tmp_path}/answer")))
    with pytest.raises(Unavailable) as refusal:
        odd.look(tmp_path / "answer", "raw", check=nothing)
    assert refusal.value.code == "stage-unavailable"


def test_a_hung_one_is_killed_at_its_deadline(tmp_path: Path) -> None:
    bounds = Bounds(wall=0.5)
    hung = QemuImg(sandbox=Sandbox(script(tmp_path, "exec /bin/sleep 60")), looking=bounds, converting=bounds)
    work = Conversion(source=disk(tmp_path), disk_format="raw", target="qcow2", into=tmp_path, max_size=MIB)
    for call in (lambda: hung.look(work.source, "raw", check=nothing), lambda: convert(hung, work)):
        with pytest.raises(Unavailable) as refusal:
            call()
        assert refusal.value.code == "stage-unavailable"


def convert(qemu: QemuImg, work: Conversion) -> Path:
    return qemu.convert(work, check=nothing, tell=lambda part: None)


def test_what_is_missing_is_said_in_one_line() -> None:
    with pytest.raises(Unavailable) as refusal:
        set_up(Sandbox(), "no-such-qemu", looking=Bounds(), converting=Bounds())
    assert "no-such-qemu is not installed" in refusal.value.message
    assert "\n" not in refusal.value.message


def test_its_version_is_known() -> None:
    found = set_up(Sandbox(), looking=Bounds(), converting=Bounds())
    assert re.fullmatch(r"qemu-img \d+\.\d+.*", found.version)


LIBRARY = re.compile(r"(/usr)?/lib(32|64)?/([^/]+/)*[^/]+\.so(\.[^/]*)?")
OPENED = re.compile(r'open(?:at2?)?\((?:AT_FDCWD, )?"([^"]*)"[^=]*= \d+')
HARMLESS = {"/dev/null"}


def opened(folder: Path, look: Callable[[QemuImg], object]) -> set[str]:
    """The files qemu-img has opened beside its libraries and the one to write, by strace."""
    log = folder / "calls"
    trace = f"exec /usr/bin/strace -f -s 500 -e trace=execve,open,openat,openat2 -o {log} /usr/bin/bwrap"
    bounds = Bounds(file=64 * MIB)
    traced = QemuImg(sandbox=Sandbox(script(folder, f'{trace} "$@"')), looking=bounds, converting=bounds)
    try:
        look(traced)
    except Refusal:
        pass
    calls = log.read_text(errors="replace")
    inside = calls[calls.index('execve("/tool/qemu-img"') :]
    return {name for name in OPENED.findall(inside) if not LIBRARY.fullmatch(name)} - HARMLESS


@needs_strace
def test_converting_opens_the_image_and_its_result_alone(tmp_path: Path) -> None:
    image = made(tmp_path, "qcow2")
    work = Conversion(source=image, disk_format="qcow2", target="vmdk", into=tmp_path, max_size=64 * MIB)
    assert opened(tmp_path, lambda qemu: convert(qemu, work)) == {"/in/image", "/out/image"}


FOLLOWED: Hostile = {name: found for name, found in HOSTILE.items() if found[2] in {"backing-file", "data-file"}}


@needs_strace
@pytest.mark.parametrize("name", FOLLOWED)
def test_no_second_file_is_opened_for_a_hostile_image(tmp_path: Path, name: str) -> None:
    """These never come here, because inspect refuses them; if one did, there would be nothing to open."""
    data, disk_format, _ = FOLLOWED[name]
    image = tmp_path / "image"
    image.write_bytes(data)
    work = Conversion(source=image, disk_format=disk_format, target="raw", into=tmp_path, max_size=64 * MIB)
    assert opened(tmp_path, lambda qemu: qemu.look(image, disk_format, check=nothing)) <= {"/in/image"}
    assert opened(tmp_path, lambda qemu: convert(qemu, work)) <= {"/in/image", "/out/image"}


@needs_strace
def test_outside_the_sandbox_a_second_file_would_be_opened(tmp_path: Path) -> None:
    """What strace would show, so that the tests above can fail."""
    canary, image = tmp_path / "canary", tmp_path / "image"
    canary.write_bytes(bytes(MIB))
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(canary), "-F", "raw", str(image)]
    subprocess.run(words, check=True)
    read = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), str(tmp_path / "out")]
    calls = subprocess.run(["strace", "-f", "-e", "trace=openat", *read], capture_output=True, text=True, check=True)
    assert str(canary) in OPENED.findall(calls.stderr)


def test_a_link_in_place_of_a_result_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    linking = QemuImg(sandbox=Sandbox(script(tmp_path, f"exec /bin/ln -s /etc/passwd {tmp_path}/into/image")))
    work = Conversion(
        source=disk(tmp_path), disk_format="raw", target="qcow2", into=tmp_path / "into", max_size=64 * MIB
    )
    with pytest.raises(Unavailable) as refusal:
        convert(linking, work)
    assert "no file" in refusal.value.message


def test_no_result_at_all_is_the_tools_fault(tmp_path: Path) -> None:
    idle = QemuImg(sandbox=Sandbox(script(tmp_path, "exit 0")))
    work = Conversion(source=disk(tmp_path), disk_format="raw", target="qcow2", into=tmp_path, max_size=MIB)
    with pytest.raises(Unavailable) as refusal:
        convert(idle, work)
    assert refusal.value.code == "stage-unavailable"
