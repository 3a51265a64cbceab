"""What every store must do. A new store joins with a class and a `store` fixture."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.errors import Conflict, ContentRefused, NotFound, Unavailable
from gateway.ports import BLOCK_SIZE, Store


def key() -> str:
    return str(uuid4())


def read(store: Store, name: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.get(name, offset, length))


def refusing(*blocks: bytes) -> Iterator[bytes]:
    """A stream whose verdict is bad: it raises when the store asks for the block after the last."""
    yield from blocks
    raise ContentRefused("not an image", code="format-mismatch")


def large(store: Store, parts: float = 2.5) -> int:
    """A size in bytes that makes the store write in this many parts, where it has any."""
    size = store.properties.get("part_size") or store.properties.get("segment_size") or BLOCK_SIZE
    assert isinstance(size, int)
    return int(parts * size) + 7


def blocks_of(content: bytes) -> Iterator[bytes]:
    return (content[at : at + BLOCK_SIZE] for at in range(0, len(content), BLOCK_SIZE))


class StoreSuite:
    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def left(self, store: Store) -> Callable[[], list[str]]:
        """All that is in the store's place, as somebody sees it who shares no code with the store."""
        return lambda: sorted(store.keys())

    def gone(self, store: Store, name: str) -> bool:
        """Nothing is readable, nothing is listed, nothing is left."""
        for attempt in (store.size, store.get):
            with pytest.raises(NotFound):
                attempt(name)
        return name not in set(store.keys())

    @pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, 3 * BLOCK_SIZE + 7])
    def test_what_went_in_comes_out(self, store: Store, size: int) -> None:
        name, content = key(), os.urandom(size)
        blocks = (content[at : at + BLOCK_SIZE] for at in range(0, size, BLOCK_SIZE))
        assert store.put(name, blocks) == size
        assert store.size(name) == size
        runs = list(store.get(name))
        assert b"".join(runs) == content
        assert all(0 < len(run) <= BLOCK_SIZE for run in runs)
        assert set(store.keys()) == {name}

    def test_a_buffer_may_be_used_again(self, store: Store) -> None:
        name, buffer = key(), bytearray(4)

        def ring() -> Iterator[memoryview]:
            for letter in b"abc":
                buffer[:] = bytes([letter]) * 4
                yield memoryview(buffer)[:3]

        assert store.put(name, ring()) == 9
        assert read(store, name) == b"aaabbbccc"

    def test_nothing_is_there_before_the_stream_has_ended(self, store: Store) -> None:
        name = key()

        def watched() -> Iterator[bytes]:
            yield b"a" * BLOCK_SIZE
            with pytest.raises(NotFound):
                store.get(name)
            yield b"b"
            with pytest.raises(NotFound):
                store.size(name)

        store.put(name, watched())
        assert store.size(name) == BLOCK_SIZE + 1

    @pytest.mark.parametrize("blocks", [(), (b"x",), (b"x" * BLOCK_SIZE,) * 3])
    def test_a_refusal_in_the_stream_leaves_nothing(self, store: Store, blocks: tuple[bytes, ...]) -> None:
        name = key()
        with pytest.raises(ContentRefused) as refused:
            store.put(name, refusing(*blocks))
        assert refused.value.code == "format-mismatch"
        assert self.gone(store, name)
        assert store.put(name, [b"second try"]) == 10

    @pytest.mark.parametrize("error", [OSError(28, "the source's disk"), KeyError("k"), KeyboardInterrupt()])
    def test_the_streams_own_error_passes_unchanged(self, store: Store, error: BaseException) -> None:
        def broken() -> Iterator[bytes]:
            yield b"x"
            raise error

        name = key()
        with pytest.raises(type(error)) as raised:
            store.put(name, broken())
        assert raised.value is error
        assert self.gone(store, name)

    def test_an_existing_key_keeps_its_bytes(self, store: Store) -> None:
        name = key()
        store.put(name, [b"first"])
        with pytest.raises(Conflict):
            store.put(name, [b"second"])
        with pytest.raises((Conflict, ContentRefused)):
            store.put(name, refusing(b"third"))
        assert read(store, name) == b"first"

    def test_of_many_writers_of_a_key_one_wins(self, store: Store) -> None:
        name, start = key(), Barrier(8)

        def write(number: int) -> int | None:
            def blocks() -> Iterator[bytes]:
                yield bytes([number]) * 100
                yield bytes([number]) * 100

            start.wait()
            try:
                store.put(name, blocks())
            except Conflict:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            winners = [number for number in pool.map(write, range(8)) if number is not None]
        assert len(winners) == 1
        assert read(store, name) == bytes(winners) * 200
        assert list(store.keys()) == [name]

    # The same property runs once a store: that is what the suite is for.
    @settings(
        deadline=None,
        max_examples=40,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(offset=st.integers(0, 3000), length=st.integers(0, 3000))
    def test_a_range_is_a_slice(self, store: Store, offset: int, length: int) -> None:
        name, content = key(), bytes(range(250)) * 12
        store.put(name, [content])
        assert read(store, name, offset) == content[offset:]
        length = min(length, len(content) - offset)
        assert read(store, name, offset, length) == content[offset : offset + length]

    def test_readers_do_not_disturb_each_other(self, store: Store) -> None:
        name, content = key(), os.urandom(2 * BLOCK_SIZE + 5)
        store.put(name, [content])
        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(lambda _: read(store, name), range(12))) == {content}

    def test_a_reader_finishes_or_is_told(self, store: Store) -> None:
        """Deleting while somebody reads never gives wrong bytes as a whole blob."""
        name, content = key(), os.urandom(3 * BLOCK_SIZE)
        store.put(name, [content])
        runs = store.get(name)
        first = next(runs)
        store.delete(name)
        assert self.gone(store, name)
        try:
            assert first + b"".join(runs) == content
        except NotFound:
            pass

    def test_a_closed_reader_gives_no_more(self, store: Store) -> None:
        name = key()
        store.put(name, [b"x" * BLOCK_SIZE * 2])
        runs = store.get(name)
        next(runs)
        runs.close()  # type: ignore[attr-defined]
        assert list(runs) == []

    def test_deleting_is_repeatable(self, store: Store) -> None:
        name, other = key(), key()
        store.put(name, [b"x"])
        store.put(other, [b"y"])
        for _ in range(2):
            store.delete(name)
            assert self.gone(store, name)
        assert read(store, other) == b"y"

    def test_keys_are_all_keys(self, store: Store) -> None:
        names = {key() for _ in range(20)}
        for name in names:
            store.put(name, [name.encode()])
        assert set(store.keys()) == names
        for name in itertools.islice(sorted(names), 10):
            store.delete(name)
        assert set(store.keys()) == set(sorted(names)[10:])

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "/etc/passwd", "../" * 8 + "etc/passwd", "ab/cd", "x" * 5000, "a\0b", "é" * 36,
         "AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa\n"],
    )  # fmt: skip
    def test_what_is_no_key_finds_nothing(self, store: Store, name: str) -> None:
        for attempt in (store.get, store.size, store.delete):
            with pytest.raises(NotFound):
                attempt(name)
        with pytest.raises(NotFound):
            store.put(name, [b"x"])
        assert list(store.keys()) == []

    @pytest.mark.parametrize("parts", [1, 2, 2.5])
    def test_large_blobs_come_out_as_they_went_in(self, store: Store, parts: float) -> None:
        """Out of one buffer, which the next block overwrites."""
        name, content, buffer = key(), os.urandom(large(store, parts)), bytearray(BLOCK_SIZE)

        def ring() -> Iterator[memoryview]:
            for block in blocks_of(content):
                buffer[: len(block)] = block
                yield memoryview(buffer)[: len(block)]

        assert store.put(name, ring()) == len(content)
        assert store.size(name) == len(content)
        assert read(store, name) == content
        assert read(store, name, BLOCK_SIZE - 3, len(content) - BLOCK_SIZE) == content[BLOCK_SIZE - 3 : -3]

    @pytest.mark.parametrize("parts", [0.1, 1, 1.5, 2.5])
    def test_a_refusal_in_a_large_stream_leaves_nothing(
        self, store: Store, left: Callable[[], list[str]], parts: float
    ) -> None:
        content = bytes(large(store, parts))
        before = left()
        with pytest.raises(ContentRefused):
            store.put(key(), refusing(*blocks_of(content)))
        assert left() == before

    def test_a_large_blob_does_not_take_an_existing_key(self, store: Store) -> None:
        store.put(name := key(), [b"first"])
        with pytest.raises(Conflict):
            store.put(name, blocks_of(bytes(large(store))))
        assert read(store, name) == b"first"

    def test_a_large_blob_appears_at_once_and_whole(self, store: Store) -> None:
        name, content = key(), bytes(large(store))

        def watched() -> Iterator[bytes]:
            for block in blocks_of(content):
                with pytest.raises(NotFound):
                    store.size(name)
                yield block

        store.put(name, watched())
        assert store.size(name) == len(content)

    def test_of_two_large_writers_of_a_key_one_wins(self, store: Store) -> None:
        name, start = key(), Barrier(2)

        def write(number: int) -> bool:
            start.wait()
            try:
                store.put(name, blocks_of(bytes([number]) * large(store)))
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(write, range(2)))
        assert sorted(won) == [False, True]
        assert set(read(store, name)) == {won.index(True)}

    def test_many_write_at_once(self, store: Store) -> None:
        """More than have parts to spare: nobody waits for ever."""
        contents = {key(): os.urandom(large(store, 1.2)) for _ in range(8)}

        def write(name: str) -> int:
            return store.put(name, blocks_of(contents[name]))

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(write, contents)) == [len(content) for content in contents.values()]
        for name, content in contents.items():
            assert read(store, name) == content
            store.delete(name)

    def test_a_blob_that_became_shorter_is_told(self, store: Store) -> None:
        name, size = key(), 3 * BLOCK_SIZE
        store.put(name, blocks_of(bytes(size)))
        store.delete(name)
        store.put(name, blocks_of(bytes(size - 5)))
        for offset in (0, size - 7, size - 5, size - 1):
            with pytest.raises(Unavailable) as refused:
                read(store, name, offset, size - offset)
            assert refused.value.code == "blob-truncated"

    def test_another_blob_is_never_the_rest_of_one(self, store: Store) -> None:
        """Whoever is reading while a key is given other bytes gets the first ones, or is told."""
        name, content = key(), os.urandom(24 * BLOCK_SIZE)
        store.put(name, blocks_of(content))
        runs = store.get(name)
        first = next(runs)
        store.delete(name)
        store.put(name, blocks_of(bytes(len(content))))
        try:
            assert first + b"".join(runs) == content
        except (NotFound, Unavailable):
            pass

    def test_no_range_is_no_bytes(self, store: Store) -> None:
        name = key()
        store.put(name, [b"abc"])
        assert read(store, name, 1, 0) == read(store, name, 3) == b""
        with pytest.raises(NotFound):
            store.get(key(), 1, 0)

    def test_where_a_blob_is_tells_its_key(self, store: Store) -> None:
        name = key()
        assert store.url(name).endswith(name)
        with pytest.raises(NotFound):
            store.url("../" + name)

    def test_a_path_is_a_file_or_nothing(self, store: Store) -> None:
        name = key()
        store.put(name, [b"abc"])
        path = store.path(name)
        assert path is None or path.read_bytes() == b"abc"
