"""The limit and the numbers around a store, over a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from gateway.model.errors import ContentRefused, NotFound, Unavailable
from gateway.ports import BLOCK_SIZE, Store
from gateway.stores.filesystem import FilesystemStore
from gateway.stores.guarded import Call, Limited, guarded
from tests.stores.conformance import StoreSuite, key, read, refusing


class TestGuarded(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return guarded(FilesystemStore("local", tmp_path), at_once=16, told=lambda call: None)


@pytest.fixture
def told() -> list[Call]:
    return []


@pytest.fixture
def store(tmp_path: Path, told: list[Call]) -> Store:
    return guarded(FilesystemStore("local", tmp_path), at_once=2, told=told.append)


def names(told: list[Call]) -> list[tuple[str, int, int, str]]:
    return [(call.name, call.bytes_in, call.bytes_out, call.code) for call in told]


def test_calls_are_counted_with_their_bytes_and_their_ends(store: Store, told: list[Call]) -> None:
    name, missing = key(), key()
    store.put(name, [b"x" * 10, b"y"])
    read(store, name, 4)
    with pytest.raises(ContentRefused):
        store.put(key(), refusing(b"abc"))
    with pytest.raises(NotFound):
        store.size(missing)
    store.delete(name)
    assert names(told) == [
        ("put", 11, 0, ""),
        ("get", 0, 0, ""),
        ("read", 0, 7, ""),
        ("put", 3, 0, "format-mismatch"),
        ("size", 0, 0, "blob-not-found"),
        ("delete", 0, 0, ""),
    ]


def test_what_the_source_takes_is_not_the_stores_time(
    store: Store, told: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("gateway.stores.guarded.time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow() -> Iterator[bytes]:
        now[0] += 5
        yield b"x"

    store.put(key(), slow())
    assert told[0].seconds == 0


def test_a_reader_that_leaves_is_counted_and_gives_its_turn_back(store: Store, told: list[Call]) -> None:
    name = str(uuid4())
    store.put(name, [b"x" * BLOCK_SIZE] * 2)
    for _ in range(5):
        runs = store.get(name)
        next(runs)
        runs.close()  # type: ignore[attr-defined]
    for _ in range(5):
        store.get(name)  # forgotten before its first run
    assert read(store, name) == b"x" * BLOCK_SIZE * 2
    assert [call.bytes_out for call in told if call.name == "read"] == [BLOCK_SIZE] * 5 + [0] * 5 + [2 * BLOCK_SIZE]


def test_who_comes_when_all_turns_are_taken_waits_and_is_told(tmp_path: Path) -> None:
    store = Limited(FilesystemStore("local", tmp_path), 1, turn=0.05)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"x"
        begun.set()
        go_on.wait()

    writing = threading.Thread(target=store.put, args=(name := key(), slow()))
    writing.start()
    begun.wait()
    with pytest.raises(Unavailable) as refused:
        store.put(key(), [b"y"])
    assert refused.value.code == "store-busy"
    go_on.set()
    writing.join()
    store.put(key(), [b"y"])
    held = store.get(name)
    with pytest.raises(Unavailable):
        store.get(name)
    held.close()  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        store.get(key())
    assert read(store, name) == b"x"
