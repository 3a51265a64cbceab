"""The store that only refers to bytes: what it reads, and what a source's faults look like to its readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.errors import Gone, NotFound, Refusal, SourceRefused, Unavailable
from gateway.ports import Block, Store
from gateway.stores import STORES
from tests.stores.places import place

KEY = "elif/elpmaxe.segami//:sptth"
BODY = bytes(range(256)) * 40
BROKEN = SourceRefused("The source broke off.", remedy="Try again.", code="source-broken")


@dataclass
class Served:
    """A source that gives BODY in runs of some length, and may break after some of them."""

    run: int = 1000
    breaks: Refusal | None = None
    total: int | None = len(BODY)
    closed: int = 0
    asked: list[str] = field(default_factory=list)

    def blocks(self) -> Iterator[Block]:
        for start in range(0, len(BODY), self.run):
            yield BODY[start : start + self.run]
            if self.breaks is not None:
                raise self.breaks

    def close(self) -> None:
        self.closed += 1

    def open(self, url: str) -> Served:
        self.asked.append(url)
        return self


def store(source: Served) -> Store:
    return STORES["http"](place(Path(), source.open))


@settings(deadline=None)
@given(
    offset=st.integers(0, len(BODY) + 10),
    length=st.none() | st.integers(0, len(BODY) + 10),
    run=st.integers(1, len(BODY) + 10),
)
def test_a_range_is_a_slice_however_the_source_is_cut(offset: int, length: int | None, run: int) -> None:
    source = Served(run=run)
    expected = BODY[offset:] if length is None else BODY[offset : offset + length]
    assert b"".join(store(source).get(KEY, offset, length)) == expected
    assert source.closed


def test_the_key_is_unsealed_to_what_is_fetched() -> None:
    source = Served()
    assert store(source).url(KEY) == "https://images.example/file"
    assert store(source).size(KEY) == len(BODY)
    assert source.asked == ["https://images.example/file"]
    assert source.closed == 1


def test_a_reader_that_leaves_closes_the_source() -> None:
    source = Served()
    reading = store(source).get(KEY)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert source.closed


def test_a_source_that_breaks_is_a_store_that_is_away() -> None:
    with pytest.raises(Unavailable, match="broke off"):
        list(store(Served(breaks=BROKEN)).get(KEY))


def test_a_source_that_cannot_be_opened_is_told_by_the_call() -> None:
    def closed(url: str) -> Served:
        raise BROKEN

    with pytest.raises(Unavailable):
        STORES["http"](place(Path(), closed)).get(KEY)


def test_a_source_without_a_size_has_none() -> None:
    with pytest.raises(NotFound):
        store(Served(total=None)).size(KEY)


def test_nothing_is_ever_put_or_removed() -> None:
    source = Served()
    with pytest.raises(Gone):
        store(source).put(KEY, [b"x"])
    store(source).delete(KEY)
    assert list(store(source).keys()) == []
    assert source.asked == []
