"""JSON bodies: what is read is exact, and what cannot be read is refused in words."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.api.bodies import JSON_LIMIT, expect_no_body, parse_json, read_json, read_object
from gateway.model.errors import BadRequest, TooLarge, WrongMediaType

JSON = "application/json"


def request(body: bytes, *, kind: str | None = JSON, headers: dict[str, str] | None = None) -> Request:
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)] or [b""]
    messages = iter([{"type": "http.request", "body": part, "more_body": True} for part in parts])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    named = {**({"content-type": kind} if kind else {}), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def read(reader: Callable[[Request], Awaitable[Any]], asked: Request) -> Any:
    async def run() -> Any:
        return await reader(asked)

    return asyncio.run(run())


MALFORMED = {
    "cut": b'{"a": ',
    "not json": b"hello",
    "two values": b"{} {}",
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "nul": b'{"a": "x\\u0000"}',
    "nul in a key": b'{"\\u0000": 1}',
    "lone surrogate": b'["\\ud800"]',
    "duplicate key": b'{"a": 1, "a": 2}',
    "duplicate key inside": b'[{"b": {"a": 1, "\\u0061": 2}}]',
    "nan": b"[NaN]",
    "infinity": b"[-Infinity]",
    "beyond floats": b"[1e999]",
    "beyond 64 bits": b"[9223372036854775808]",
    "5000 digits": b"[" + b"9" * 5000 + b"]",
    "21 deep": b"[" * 21 + b"]" * 21,
    "deep": b"[" * 60000,
    "deep objects": b'{"a":' * 10000,
    "deep after an open string": b'"' + b"[" * 60000,
    "quotes without end": b'"\\"' * 20000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_said(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"Malformed JSON in request body: .+"):
        parse_json(body)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_a_missing_body_is_said(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"Body expected in request\."):
        parse_json(body)


def test_what_fits_is_read() -> None:
    assert parse_json(b"[" * 20 + b"]" * 20)
    assert parse_json(b'{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[\\"[[[["}') == {"a": "[" * 26 + '"' + "[" * 4}
    assert parse_json(b"[-9223372036854775808, 1.5, null, true]") == [-(2**63), 1.5, None, True]
    assert parse_json('["\\ud83d\\ude00é"]'.encode()) == ["😀é"]


def test_the_top_level_is_an_object_where_asked() -> None:
    assert read(read_object, request(b'{"a": 1}')) == {"a": 1}
    for body, kind in ((b"[]", "a list"), (b'"x"', "a string"), (b"3", "a number"), (b"null", "null")):
        with pytest.raises(BadRequest, match=f"not {kind}"):
            read(read_object, request(body))


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_only_json_is_taken_for_json(kind: str | None) -> None:
    with pytest.raises(WrongMediaType, match="must be application/json"):
        read(read_json, request(b"{}", kind=kind))


def test_parameters_and_case_of_a_media_type_do_not_matter() -> None:
    assert read(read_json, request(b"{}", kind="Application/JSON; charset=utf-8")) == {}


def test_a_body_has_a_size() -> None:
    fitting = b'"' + b"a" * (JSON_LIMIT - 2) + b'"'
    assert len(read(read_json, request(fitting))) == JSON_LIMIT - 2
    with pytest.raises(TooLarge, match=str(JSON_LIMIT)):
        read(read_json, request(fitting + b" "))


def test_a_body_where_none_belongs() -> None:
    expect_no_body(request(b"", kind=None))
    expect_no_body(request(b"", headers={"content-length": "0"}))
    for headers in ({"content-length": "1"}, {"transfer-encoding": "chunked"}):
        with pytest.raises(BadRequest, match="A body is not expected"):
            expect_no_body(request(b"", headers=headers))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=200)
@given(VALUES, st.booleans())
def test_every_sound_value_round_trips(value: Any, ascii_only: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


PIECES = st.sampled_from([bytes([char]) for char in b'{}[]"\\:,1-\xff\x00'] + [b"e9", b"NaN", b"\\ud8", b'"a"'])


@settings(deadline=None, max_examples=500)
@given(st.lists(PIECES, max_size=60).map(b"".join) | st.binary(max_size=100))
def test_no_bytes_end_in_anything_but_a_value_or_a_bad_request(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse_json(body)
