from __future__ import annotations

import gc
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.model.errors import Conflict, NotFound, Unavailable
from gateway.ports import BLOCK_SIZE, Store
from gateway.stores import STORES
from gateway.stores.filesystem import FilesystemStore
from tests.stores.conformance import StoreSuite, key, read, refusing
from tests.stores.places import place

ROOT = Path(__file__).parents[2]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def place_of(folder: Path, name: str) -> Path:
    return folder / name[:2] / name[2:4] / name


class TestUnnamed(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return STORES["filesystem"](place(tmp_path / "blobs"))

    @pytest.fixture
    def left(self, tmp_path: Path) -> Callable[[], list[str]]:
        return lambda: sorted(map(str, files(tmp_path / "blobs")))


class TestPartFiles(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FilesystemStore("local", tmp_path / "blobs", unnamed=False)

    @pytest.fixture
    def left(self, tmp_path: Path) -> Callable[[], list[str]]:
        return lambda: sorted(map(str, files(tmp_path / "blobs")))


@pytest.fixture(params=[True, False], ids=["unnamed", "part-files"])
def unnamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_failed_put_leaves_no_file(tmp_path: Path, unnamed: bool) -> None:
    store = FilesystemStore("local", tmp_path, unnamed=unnamed)
    with pytest.raises(Exception, match="not an image"):
        store.put(key(), refusing(b"x" * BLOCK_SIZE))
    assert files(tmp_path) == []


def test_an_existing_key_is_refused_before_a_byte_is_read(tmp_path: Path, unnamed: bool) -> None:
    store, name = FilesystemStore("local", tmp_path, unnamed=unnamed), key()
    store.put(name, [b"x"])
    with pytest.raises(Conflict):
        store.put(name, refusing())
    assert len(files(tmp_path)) == 1


def test_blobs_are_the_services_alone(tmp_path: Path, unnamed: bool) -> None:
    store, name = FilesystemStore("local", tmp_path / "new", unnamed=unnamed), key()
    store.put(name, [b"x"])
    path = place_of(tmp_path / "new", name)
    assert [found.stat().st_mode & 0o077 for found in (path, *path.parents[:3])] == [0, 0, 0, 0]
    assert path.stat().st_nlink == 1


def test_a_leftover_part_is_listed_under_its_key_and_deleted_with_it(tmp_path: Path) -> None:
    store, name = FilesystemStore("local", tmp_path), key()
    part = place_of(tmp_path, name).with_name(f".{name}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    (part.parent / "README").write_text("not ours")
    assert list(store.keys()) == [name]
    with pytest.raises(NotFound):
        store.get(name)
    store.delete(name)
    assert list(store.keys()) == []
    assert not part.exists()


def test_a_symbolic_link_is_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    store, name, other = FilesystemStore("local", tmp_path / "blobs"), key(), key()
    place_of(tmp_path / "blobs", name).parent.mkdir(parents=True)
    place_of(tmp_path / "blobs", name).symlink_to(secret)
    for attempt in (store.get, store.size):
        with pytest.raises(Unavailable):
            attempt(name)
    store.delete(name)
    assert secret.read_bytes() == b"secret"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(tmp_path / "blobs" / other[:2], ignore_errors=True)
    (tmp_path / "blobs" / other[:2]).symlink_to(elsewhere)
    with pytest.raises(Unavailable):
        store.put(other, [b"x"])
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_plain_file_is_no_blob(tmp_path: Path, make: object) -> None:
    store, name = FilesystemStore("local", tmp_path), key()
    place_of(tmp_path, name).parent.mkdir(parents=True)
    make(place_of(tmp_path, name))  # type: ignore[operator]
    for attempt in (store.get, store.size):
        with pytest.raises(NotFound):
            attempt(name)


def test_a_blob_that_shrinks_is_told(tmp_path: Path) -> None:
    store, name = FilesystemStore("local", tmp_path), key()
    store.put(name, [b"x" * (2 * BLOCK_SIZE)])
    runs = store.get(name)
    next(runs)
    os.truncate(place_of(tmp_path, name), BLOCK_SIZE + 1)
    with pytest.raises(Unavailable) as refused:
        list(runs)
    assert refused.value.code == "blob-truncated"


def test_a_vanished_folder_is_no_missing_blob(tmp_path: Path) -> None:
    store, name = FilesystemStore("local", tmp_path / "blobs"), key()
    store.put(name, [b"x"])
    (tmp_path / "blobs").rename(tmp_path / "away")
    for attempt in (store.get, store.size, store.delete, lambda _: list(store.keys())):
        with pytest.raises(Unavailable):
            attempt(name)
    with pytest.raises(Unavailable):
        store.put(key(), [b"x"])
    assert not (tmp_path / "blobs").exists()


def test_no_descriptor_is_left_open(tmp_path: Path, unnamed: bool) -> None:
    store, name = FilesystemStore("local", tmp_path, unnamed=unnamed), key()
    store.put(name, [b"x" * BLOCK_SIZE * 2])
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Exception, match="not an image"):
        store.put(key(), refusing(b"x"))
    next(store.get(name))
    store.get(name)
    list(store.get(name))
    next(store.keys())
    with pytest.raises(NotFound):
        store.get(key())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_too_many_open_files_is_unavailable(tmp_path: Path) -> None:
    store, name = FilesystemStore("local", tmp_path), key()
    store.put(name, [b"x"])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number) for number in os.listdir("/proc/self/fd"))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, limits[1]))
    try:
        for attempt in (lambda: store.put(key(), [b"x"]), lambda: store.get(name), lambda: list(store.keys())):
            with pytest.raises(Unavailable):
                attempt()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in held:
            os.close(descriptor)
    assert read(store, name) == b"x"
    assert len(files(tmp_path)) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root: run the tests as root to see a full disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_said_and_gets_its_space_back(small_disk: Path, unnamed: bool) -> None:
    store, name = FilesystemStore("local", small_disk, unnamed=unnamed), key()
    store.put(name, [b"x" * BLOCK_SIZE])
    for _ in range(3):
        with pytest.raises(Unavailable) as refused:
            store.put(key(), [b"y" * BLOCK_SIZE] * 2)
        assert refused.value.code == "store-full"
    assert list(store.keys()) == [name]
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize > BLOCK_SIZE // 2


PUT = """
import sys
from gateway.model.errors import Refusal
from gateway.stores.filesystem import FilesystemStore
store = FilesystemStore("local", sys.argv[1], unnamed=sys.argv[2] == "unnamed")
try:
    store.put(sys.argv[3], [b"x" * 1000] * 3)
except Refusal as refused:
    sys.exit(refused.code)
"""

FAULTS = [
    *((f"fsync:error=EIO:when={n}", "store-broken") for n in range(1, 5)),
    *((f"linkat:error={error}", code) for error, code in [("EIO", "store-broken"), ("ENOSPC", "store-full")]),
    *((f"mkdirat:error=ENOSPC:when={n}", "store-full") for n in (1, 2)),
    ("fsync:error=ENOSPC", "store-full"),
    ("fsync:error=EDQUOT", "store-full"),
]


@pytest.mark.skipif(shutil.which("strace") is None, reason="failing system calls need strace: apt-get install strace")
@pytest.mark.parametrize(("fault", "code"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_a_disk_that_fails_at_any_call_leaves_nothing(tmp_path: Path, fault: str, code: str, unnamed: bool) -> None:
    name = key()
    how = "unnamed" if unnamed else "part"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"]
    command += [sys.executable, "-c", PUT, str(tmp_path), how, name]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.stderr.strip().splitlines()[-1:] == [code]
    assert files(tmp_path) == []


KILLED = """
import sys
from gateway.stores.filesystem import FilesystemStore
store = FilesystemStore("local", sys.argv[1], unnamed=sys.argv[2] == "unnamed")
def blocks():
    yield b"x" * 1000
    print("half", flush=True)
    sys.stdin.read()
store.put(sys.argv[3], blocks())
"""


def test_a_killed_put_leaves_nothing_readable(tmp_path: Path, unnamed: bool) -> None:
    name = key()
    command = [sys.executable, "-c", KILLED, str(tmp_path), "unnamed" if unnamed else "part", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.kill()
    store = FilesystemStore("local", tmp_path)
    with pytest.raises(NotFound):
        store.get(name)
    assert list(store.keys()) == ([] if unnamed else [name])
    store.delete(name)
    assert files(tmp_path) == []
