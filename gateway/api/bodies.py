"""Reading JSON bodies strictly: a bad one ends as a refusal in clear words, whatever its bytes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from starlette.requests import Request

from gateway.model.errors import BadRequest, TooLarge, WrongMediaType

JSON_LIMIT = 64 * 1024
DEPTH_LIMIT = 20

# A whole string (closed or not) counts as one token, so that brackets inside strings are not seen.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_WIDEST = 1 << 63


async def read_json(request: Request, *, limit: int = JSON_LIMIT) -> Any:
    """The JSON value of a body sent as application/json, of at most `limit` bytes.

    Raises WrongMediaType (415), TooLarge (413), or BadRequest for a missing or malformed body.
    """
    expect_type(request, "application/json")
    return parse_json(await read_body(request, limit=limit))


async def read_object(request: Request, *, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """As `read_json`, for a body whose top level must be an object."""
    body = await read_json(request, limit=limit)
    if not isinstance(body, dict):
        raise BadRequest(
            f"The body must be a JSON object, not {_kind(body)}.", remedy='Send {"key": value, ...}.', code="bad-json"
        )
    return body


async def read_body(request: Request, *, limit: int = JSON_LIMIT) -> bytes:
    """The body's bytes, at most `limit` of them."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(
                f"The body is larger than {limit} bytes.", remedy="Send a smaller one.", code="body-too-large"
            )
    return bytes(body)


def parse_json(body: bytes) -> Any:
    """One JSON value (RFC 8259) without duplicate keys, NUL, lone surrogates, NaN or numbers beyond 64 bits."""
    if not body.strip():
        raise BadRequest("Body expected in request.", remedy="Send a JSON body.", code="body-expected")
    text = _text(body)
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    _check_strings(value)
    return value


def expect_type(request: Request, wanted: str) -> None:
    """Raises WrongMediaType unless Content-Type names `wanted`; parameters do not matter."""
    sent = media_type(request.headers.get("content-type"))
    if sent != wanted:
        found = f"'{sent}'" if sent else "none"
        raise WrongMediaType(
            f"The Content-Type must be {wanted}; it is {found}.", remedy=f"Send Content-Type: {wanted}."
        )


def media_type(header: str | None) -> str:
    """`Type/Subtype; parameters` as `type/subtype`."""
    return (header or "").partition(";")[0].strip().lower()


def expect_no_body(request: Request) -> None:
    """Raises BadRequest where a body is announced for a call that takes none."""
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0").strip("0"):
        raise BadRequest(
            "A body is not expected with this request.", remedy="Send it without one.", code="body-unexpected"
        )


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start} is not UTF-8") from None


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEPTH_LIMIT:
            raise _malformed(f"it is nested deeper than {DEPTH_LIMIT} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _malformed(f"the key {_shown(twice)} appears twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -_WIDEST <= int(digits) < _WIDEST:
        raise _malformed("a number is beyond 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _malformed("a number is beyond 64 bits")
    return number


def _constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not JSON")


def _check_strings(value: Any) -> None:
    for text in _strings(value):
        if "\0" in text:
            raise _malformed("a string holds a NUL character")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise _malformed("a string holds half of a surrogate pair")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings(item)


def _malformed(why: str) -> BadRequest:
    return BadRequest(f"Malformed JSON in request body: {why}.", remedy="Send one valid JSON value.", code="bad-json")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= 60 else f"{text[:60]}...")
