"""Parts of objects: gathered on disk, and in memory only where the library wants them there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.errors import ContentRefused, NotFound, OverLimit, Unavailable
from gateway.ports import Store
from gateway.stores.objects import writing
from gateway.stores.objects.memory import Memory, Share
from gateway.stores.objects.parts import Parts
from tests.stores.buckets import MIB, opened, refusal_of
from tests.stores.conformance import blocks_of, key, refusing
from tests.stores.places import place
from tests.stores.servers.bucket import Auditor, Server

ROOT = Path(__file__).parents[2]
PART = 16 * MIB


@pytest.mark.parametrize(
    ("kind", "uploads", "most"),
    [("ours", 1, 2 * MIB), ("ours", 4, 8 * MIB), ("the library's", 1, 3 * PART), ("the library's", 4, 4 * PART)],
)
def test_what_uploads_hold_in_memory(bucket: Server, machines_keys: None, kind: str, uploads: int, most: int) -> None:
    """Of their parts: none, or as many as the library sends at once."""
    words = (bucket.endpoint, bucket.region, bucket.access_key, bucket.secret_key, bucket.bucket)
    command = [sys.executable, "-c", MEASURING, kind, str(PART), str(uploads), *words]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert grown < most


MEASURING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from gateway.stores import STORES
from tests.stores.conformance import key
from tests.stores.places import in_bucket
from tests.stores.servers.bucket import Server
kind, part, uploads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
place = in_bucket(Server(*sys.argv[4:]), part_size=part)
store = STORES["s3"](place if kind == "ours" else replace(place, login=None))
block = b"x" * (1 << 20)
def resident(name):
    return int([line for line in open("/proc/self/status") if line.startswith(name)][0].split()[1]) << 10
def send(parts):
    with ThreadPoolExecutor(uploads) as pool:
        list(pool.map(lambda _: store.put(key(), (block for _ in range(parts * part >> 20))), range(uploads)))
send(1)  # what is loaded on first use is loaded
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
send(4)
print(resident("VmHWM") - before)
"""


def test_one_upload_through_the_library_leaves_room_for_another(tmp_path: Path) -> None:
    parts = Parts("remote", MIB, folder=tmp_path).of([bytes(6 * MIB)])
    memory, first = Memory(replace(place(tmp_path), patience=0.01)), Share()
    held = [memory.holding(next(parts), first) for _ in range(2)]
    with pytest.raises(Unavailable, match="does not take"):
        memory.holding(next(parts), first)
    held.append(memory.holding(next(parts), Share()))
    with pytest.raises(Unavailable, match="does not take"):
        memory.holding(next(parts), Share())
    held.clear()
    assert bytes(memory.holding(next(parts), first)) == bytes(MIB)


def test_a_refusal_that_is_kept_keeps_no_part(either: Store) -> None:
    """Refusals are remembered until their import has ended; what they broke off must not wait for that."""
    kept = [refusal_of(lambda: either.put(key(), refusing(*blocks_of(bytes(11 * MIB))))) for _ in range(8)]
    assert all(isinstance(refusal, ContentRefused) for refusal in kept)
    assert mapped(5 * MIB) == 0
    assert unnamed(5 * MIB) == 0


def unnamed(size: int) -> int:
    """How many files without a name the process has open, of up to this size."""
    found = [os.stat(file.path) for file in os.scandir("/proc/self/fd") if Path(file.path).exists()]
    return sum(one.st_nlink == 0 and 0 < one.st_size <= size for one in found)


def mapped(size: int) -> int:
    """How many pieces of memory of this size the process has from files without a name, alone or in a row."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    sizes = [
        int(end, 16) - int(start, 16)
        for start, end in (line[0].split("-") for line in lines if line[-1] == "(deleted)")
    ]
    return sum(found // size for found in sizes)


def test_where_parts_cannot_be_gathered_the_spool_folder_is_named(bucket: Server, tmp_path: Path) -> None:
    store, name = opened(bucket, spool=tmp_path / "gone"), key()
    refusal = refusal_of(lambda: store.put(name, blocks_of(bytes(6 * MIB))))
    assert isinstance(refusal, Unavailable)
    assert "cannot gather" in refusal.message
    assert "spool folder" in refusal.remedy
    assert isinstance(refusal_of(lambda: store.size(name)), NotFound)


def test_more_parts_than_an_object_may_have_are_refused(
    either: Store, witness: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_PARTS", 2)
    either.put(key(), blocks_of(bytes(10 * MIB)))
    with pytest.raises(OverLimit) as refused:
        either.put(name := key(), blocks_of(bytes(10 * MIB + 1)))
    assert "part_size" in refused.value.remedy
    assert [found for found in witness.left() if name in found] == []
