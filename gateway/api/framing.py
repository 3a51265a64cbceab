"""What a request's head must be before anything looks at it: its headers, its framing and its target."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from gateway.model.errors import BadRequest, HeadersTooLarge

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")
_HIDDEN = re.compile(rb"%(?:2f|5c|00)|\\", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOTS = re.compile(r"/\.{1,2}(?:/|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLimits:
    """What the front accepts. `header_bytes` counts names, values and the target.

    `idle` is the longest wait for the next bytes of a body, in seconds; a body must also arrive at `rate` bytes a
    second on average once the service has waited `grace` seconds for it. Only waiting counts, so a slow store never
    fails a fast client.
    """

    headers: int = 100
    header_bytes: int = 32 * 1024
    idle: float = 30.0
    rate: int = 1024
    grace: float = 30.0


def check_headers(scope: Scope, limits: FrontLimits) -> None:
    """Raises HeadersTooLarge (431) or BadRequest (400)."""
    _check_amount(scope, limits)
    headers: dict[bytes, list[bytes]] = defaultdict(list)
    for name, value in scope["headers"]:
        headers[name].append(value.strip())
    _check_host(headers[b"host"])
    _check_framing(headers, scope.get("http_version", "1.1"))
    _check_protocol(scope["method"], headers)


def check_target(scope: Scope) -> None:
    """Refuse targets that a router and a proxy could cut differently. Raises BadRequest."""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    if _HIDDEN.search(raw):
        raise BadRequest(
            "The path hides a slash, a backslash or a NUL.", remedy="Send none of %2F, %5C and %00.", code="bad-target"
        )
    path = _decoded(raw, "path")
    if _CONTROL.search(path):
        raise BadRequest("The path holds control characters.", remedy="Leave them out.", code="bad-target")
    if _DOTS.search(path):  # RFC 3986, 5.2.4: whoever takes them out reads another path than the router here
        raise BadRequest("The path holds dot segments.", remedy="Send the path they lead to.", code="bad-target")
    _decoded(scope.get("query_string", b""), "query")


def _decoded(raw: bytes, part: str) -> str:
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(
            f"The {part} of the URL is not UTF-8.", remedy="Percent-encode its UTF-8 bytes.", code="bad-target"
        ) from None


def _check_amount(scope: Scope, limits: FrontLimits) -> None:
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > limits.headers:
        raise HeadersTooLarge(
            f"The request has {len(headers)} headers; {limits.headers} are allowed.", remedy="Send fewer."
        )
    size = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    size += sum(len(name) + len(value) + 4 for name, value in headers)
    if size > limits.header_bytes:
        raise HeadersTooLarge(
            f"The request's head has {size} bytes; {limits.header_bytes} are allowed.", remedy="Send shorter headers."
        )


def _check_host(values: Sequence[bytes]) -> None:
    """RFC 9112, 3.2: exactly one valid Host, in HTTP/1.0 as well."""
    if len(values) != 1 or not _HOST.match(values[0]):
        raise BadRequest("A request needs exactly one valid Host header.", remedy="Send one.", code="bad-host")


def _check_protocol(verb: str, headers: Mapping[bytes, Sequence[bytes]]) -> None:
    """What follows the head of such a request is another protocol to the parser (RFC 9110, 7.8 and 9.3.6): a body would
    be lost, or read as the next request.
    """
    body = b"transfer-encoding" in headers or any(int(length) for length in headers.get(b"content-length", ()))
    if verb == "CONNECT" or (body and b"upgrade" in headers):
        raise BadRequest(
            "A request that asks for another protocol has no body here.",
            remedy="Leave Upgrade out.",
            code="bad-framing",
        )


def _check_framing(headers: Mapping[bytes, Sequence[bytes]], http_version: str) -> None:
    """RFC 9112, 6.1 to 6.3, without its leniencies."""
    lengths, codings = headers.get(b"content-length", ()), headers.get(b"transfer-encoding", ())
    if codings and (lengths or http_version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        raise BadRequest(
            "The body's framing is unclear: Transfer-Encoding must be 'chunked' alone, without a Content-Length.",
            remedy="Send either Content-Length or 'Transfer-Encoding: chunked' over HTTP/1.1.",
            code="bad-framing",
        )
    if len(lengths) > 1 or any(not _LENGTH.match(length) for length in lengths):
        raise BadRequest(
            "Content-Length must be one number.", remedy="Send it once, as decimal digits.", code="bad-framing"
        )
