"""Refusals on the wire.

Errors are nested JSON, `{"error": {...}}`: the one shape both stock clients show cleanly. Clients print `message`
alone, so it carries the remedy too; `reason` is the refusal's stable code, for programs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.api.request_id import request_id
from gateway.model.errors import (
    BrokenUpload,
    NotAllowedHere,
    NotFound,
    RangeNotSatisfiable,
    Refusal,
    UnknownVersion,
    UploadOpen,
    WrongMediaType,
    WrongOffset,
)

PATCH_TYPES = ("application/openstack-images-v2.0-json-patch", "application/openstack-images-v2.1-json-patch")


RETRY_AFTER = "5"
"""Seconds after which a part of the service that is away may be back."""

PROBLEMS_AT = "https://iana.org/assignments/http-problem-types#"
PROBLEMS = frozenset({WrongOffset.code, "completed-upload", "inconsistent-upload-length"})
"""Refusals of resumable uploads that have a problem type of their own (draft-ietf-httpbis-resumable-upload)."""


class InternalError(Refusal):
    """500: a bug of ours, told without its details."""

    status = 500
    code = "internal-error"

    def __init__(self) -> None:
        remedy = "Try again; if it fails again, give the request id to the operator."
        super().__init__("The service failed to handle this request.", remedy=remedy)


Answer = Callable[[Request, Any], Awaitable[JSONResponse]]


def error_body(refusal: Refusal, request_id: str = "") -> dict[str, dict[str, str | int]]:
    """The body of an error answer: `code` is the HTTP status, `reason` the refusal's code."""
    error: dict[str, str | int] = {
        "message": _sayable(_joined(refusal.message, refusal.remedy)),
        "code": refusal.status,
        "title": HTTPStatus(refusal.status).phrase,
        "reason": refusal.code,
        "remedy": _sayable(refusal.remedy),
        "request_id": request_id,
    }
    if refusal.decision is not None:
        error["decision"] = refusal.decision
    if refusal.rule is not None:
        error["rule"] = refusal.rule
    return {"error": error}


def refusal_response(
    refusal: Refusal, request_id: str = "", *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = error_body(refusal, request_id)
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": RETRY_AFTER, **(headers or {})}
    if refusal.code not in PROBLEMS:
        return JSONResponse(body, refusal.status, dict(headers or {}))
    return JSONResponse({**_problem(refusal), **body}, refusal.status, dict(headers or {}), "application/problem+json")


def _problem(refusal: Refusal) -> dict[str, str | int]:
    """The members RFC 9457 (3.1) names, and those of the draft's problem types."""
    found: dict[str, str | int] = {"type": PROBLEMS_AT + refusal.code, "title": _sayable(refusal.message)}
    if isinstance(refusal, WrongOffset):
        found |= {"expected-offset": refusal.expected, "provided-offset": refusal.provided}
    return found | {"status": refusal.status}


def exception_handlers(challenge: Callable[[], str]) -> dict[Any, Answer]:
    """Starlette's `exception_handlers`. `challenge` gives the WWW-Authenticate value of a 401."""

    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        headers = _headers(request, refusal, challenge) | _spoken(request)
        return refusal_response(refusal, request_id(request.scope), headers=headers)

    async def unrouted(request: Request, failure: HTTPException) -> JSONResponse:
        return refusal_response(_as_refusal(request, failure), request_id(request.scope), headers=failure.headers)

    return {Refusal: refused, HTTPException: unrouted, Exception: unexpected}


async def unexpected(request: Request, failure: Exception) -> JSONResponse:
    """The answer to a bug: the caller gets the request id, the guard writes the traceback to the log."""
    return refusal_response(InternalError(), request_id(request.scope))


def _headers(request: Request, refusal: Refusal, challenge: Callable[[], str]) -> dict[str, str]:
    """What RFC 9110 asks a status to carry: 15.5.2, 15.5.17, 15.5.16 (and RFC 5789, 2.2), 7.6.1; and, of resumable
    uploads, what their protocols do.
    """
    if refusal.status == 401:
        return {"WWW-Authenticate": challenge()}
    if isinstance(refusal, WrongOffset):
        return {"Upload-Offset": str(refusal.expected)}
    if isinstance(refusal, UploadOpen):
        return {"Location": f"/v2/images/{refusal.image_id}/stage/{refusal.upload_id}"}
    if isinstance(refusal, UnknownVersion):
        return {"Tus-Version": "1.0.0"}
    if isinstance(refusal, RangeNotSatisfiable):
        return {"Content-Range": f"bytes */{refusal.size}"}
    if isinstance(refusal, WrongMediaType) and request.method == "PATCH":
        return {"Accept-Patch": ", ".join(PATCH_TYPES)}
    return {"Connection": "close"} if isinstance(refusal, BrokenUpload) else {}


def _spoken(request: Request) -> dict[str, str]:
    """tus wants its version in every answer, those of refusals too."""
    return {"Tus-Resumable": "1.0.0"} if "tus-resumable" in request.headers else {}


def _as_refusal(request: Request, failure: HTTPException) -> Refusal:
    if failure.status_code == 404:
        return NotFound(f"Nothing is served at {request.url.path}.", remedy="GET /versions lists what is.")
    if failure.status_code == 405:
        allowed = (failure.headers or {}).get("Allow", "")
        return NotAllowedHere(f"{request.url.path} does not answer {request.method}.", remedy=f"It answers {allowed}.")
    refusal = Refusal(failure.detail, code="http-error")
    refusal.status = failure.status_code
    return refusal


def _joined(message: str, remedy: str) -> str:
    """Two sentences. Many messages are Glance's own words, which end without a full stop."""
    if not remedy:
        return message
    return f"{message if message.endswith(('.', '!', '?')) else f'{message}.'} {remedy}"


def _sayable(text: str) -> str:
    """Text that surely encodes: what a caller sent may hold lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")
