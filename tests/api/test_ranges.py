"""Byte ranges (RFC 9110, 14)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.ranges import requested_range
from gateway.model.errors import BadRequest, RangeNotSatisfiable


@pytest.mark.parametrize(
    ("asked", "content_range", "length"),
    [
        ("bytes=0-0", "bytes 0-0/10", 1),
        ("bytes=2-5", "bytes 2-5/10", 4),
        ("bytes=2-", "bytes 2-9/10", 8),
        ("bytes=2-99", "bytes 2-9/10", 8),
        ("bytes=-3", "bytes 7-9/10", 3),
        ("bytes=-99", "bytes 0-9/10", 10),
        ("Bytes = 1-1", "bytes 1-1/10", 1),
    ],
)
def test_one_range(asked: str, content_range: str, length: int) -> None:
    found = requested_range({"range": asked}, 10)
    assert found is not None
    assert (found.content_range, found.length) == (content_range, length)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=5-2", "bytes=-0", "bytes=-", "bytes=", "bytes=a-b", "bytes=٣-"])
def test_what_is_outside_or_malformed_is_416_with_the_size(asked: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        requested_range({"range": asked}, 10)
    assert refused.value.size == 10


def test_nothing_can_be_asked_of_no_bytes() -> None:
    with pytest.raises(RangeNotSatisfiable):
        requested_range({"range": "bytes=-5"}, 0)


def test_several_ranges_are_refused() -> None:
    with pytest.raises(BadRequest):
        requested_range({"range": "bytes=0-1,3-4"}, 10)


def test_the_whole_is_asked_for_without_a_range_we_know() -> None:
    assert requested_range({}, 10) is None
    assert requested_range({"range": "lines=1-2"}, 10) is None
    assert requested_range({"range": "bytes=0-1", "if-range": '"old"'}, 10, '"new"') is None
    assert requested_range({"range": "bytes=0-1", "if-range": '"new"'}, 10, '"new"') is not None
    assert requested_range({"range": "bytes=0-1", "if-range": '"any"'}, 10) is None


@settings(deadline=None, max_examples=300)
@given(st.text("0123456789-, =a", max_size=24), st.integers(0, 2**40))
def test_a_range_lies_inside_or_is_refused(text: str, size: int) -> None:
    try:
        found = requested_range({"range": f"bytes={text}"}, size)
    except (BadRequest, RangeNotSatisfiable):
        return
    assert found is not None
    assert 0 <= found.start < found.stop <= size
