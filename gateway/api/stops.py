"""Emergency stops: `/v2/info/import/stops`, for administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.wire import moment
from gateway.model.errors import BadRequest
from gateway.model.stop import Stop, StopKind
from gateway.service import stopping
from gateway.service.stopping import Wanted

LONGEST = 500
_KEYS = frozenset({*StopKind, "message", "reason"})


@dataclass(frozen=True, slots=True)
class Stops:
    front: Front

    @contract({200: "stops"}, parameters=["stops"], refuses=[403])
    async def index(self, request: Request) -> Response:
        """`GET /v2/info/import/stops`: 200, the stops in force, oldest first; with `all`, lifted ones too."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await stopping.stops(self.front.site, caller, lifted="all" in request.query_params)
        return JSONResponse({"stops": [stop_json(stop) for stop in found]})

    @contract({201: "stop"}, takes="new-stop", refuses=(403, 409))
    async def create(self, request: Request) -> Response:
        """`POST /v2/info/import/stops`: 201, and it is in force, for imports under way too."""
        caller = await self.front.caller(request)
        wanted = wanted_stop(await read_object(request))
        return JSONResponse(stop_json(await stopping.add(self.front.site, caller, wanted)), 201)

    @contract({200: "stop"}, parameters=["lift"], refuses=[403])
    async def lift(self, request: Request) -> Response:
        """`DELETE /v2/info/import/stops/{stop}`: 200. Its record stays, with who lifted it and why."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        reason = request.query_params.get("reason", "")[:LONGEST]
        return JSONResponse(
            stop_json(await stopping.lift(self.front.site, caller, request.path_params["stop_id"], reason))
        )


def stop_json(stop: Stop) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": stop.id,
        stop.kind.value: stop.value,
        "message": stop.message,
        "reason": stop.reason,
        "added_by": stop.added_by,
        "added_at": moment(stop.added_at),
    }
    if stop.lifted_at is None:
        return found
    lifted = {"lifted_by": stop.lifted_by, "lifted_at": moment(stop.lifted_at), "lifted_reason": stop.lifted_reason}
    return {**found, **lifted}


def wanted_stop(body: dict[str, Any]) -> Wanted:
    """`{"host": "*.bad.example", "message": "...", "reason": "..."}`, with one of method, host, project.

    Raises BadRequest that names the key.
    """
    for key in body:
        if key not in _KEYS:
            _bad(f"'{key}' is not a key here")
    kinds = [kind for kind in StopKind if kind.value in body]
    if len(kinds) != 1:
        _bad(f"it names one of {', '.join(StopKind)}")
    return Wanted(
        kind=kinds[0],
        value=_text(body, kinds[0].value),
        message=_text(body, "message"),
        reason=_text(body, "reason"),
    )


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST:
        _bad(f"'{key}' must be a text of 1 to {LONGEST} characters")
    return value.strip()


def _bad(why: str) -> NoReturn:
    raise BadRequest(
        f"Invalid stop: {why}.",
        remedy='Send {"host": "*.bad.example", "message": "for callers", "reason": "for administrators"}.',
        code="bad-stop",
    )
