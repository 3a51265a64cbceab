"""`/v2/info/import/break-glass`: what a caller may open in an emergency, what is open, opening and closing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.image_schema import Schema
from gateway.api.wire import moment
from gateway.model.trust import Opening
from gateway.policy.offers import openable_json
from gateway.service import break_glass

PATH = "/v2/info/import/break-glass"


@dataclass(frozen=True, slots=True)
class BreakGlass:
    front: Front

    @contract({200: "break-glass"})
    async def index(self, request: Request) -> Response:
        """`GET /v2/info/import/break-glass`: 200. An administrator sees what is open in every project."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await break_glass.shown(self.front.site, caller)
        return JSONResponse(
            {
                "may_open": [openable_json(rule) for rule in found.openable],
                "open": [opening_json(opening) for opening in found.open],
            }
        )

    @contract({201: "opening"}, takes="new-opening", refuses=(403, 404, 409))
    async def create(self, request: Request) -> Response:
        """`POST /v2/info/import/break-glass`: 201. The rule grants until its end, or until it is closed."""
        caller = await self.front.caller(request)
        wanted = break_glass.read_wanted(await read_object(request))
        opening = await break_glass.open_rule(self.front.site, caller, wanted)
        return JSONResponse(opening_json(opening), 201, {"Location": f"{PATH}/{opening.id}"})

    @contract({204: None}, refuses=[403])
    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/info/import/break-glass/{id}`: 204. What was accepted meanwhile goes on."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        await break_glass.close(self.front.site, caller, request.path_params["opening_id"])
        return Response(status_code=204)


def opening_json(opening: Opening) -> dict[str, Any]:
    """Who opened what for which project, why, and until when."""
    return {
        "id": opening.id,
        "rule": opening.rule,
        "project_id": opening.project,
        "reason": opening.reason,
        "opened_by": opening.opened_by,
        "opened_at": moment(opening.opened_at),
        "until": moment(opening.until),
    }


def opening_shapes() -> dict[str, Schema]:
    """The bodies above."""
    opening = _object(**dict.fromkeys(("id", "rule", "project_id", "reason", "opened_by", "opened_at", "until"), _TEXT))
    openable = _object(rule=_TEXT, methods={"type": "array", "items": _TEXT}, max_seconds={"type": "integer"})
    wanted = _object(rule=_TEXT, reason=_REASON, duration=_DURATION)
    wanted["properties"]["project_id"] = {**_TEXT, "description": "Another project; for administrators."}
    return {
        "opening": opening,
        "new-opening": {**wanted, "additionalProperties": False},
        "break-glass": _object(may_open={"type": "array", "items": openable}, open={"type": "array", "items": opening}),
    }


def _object(**required: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required}


_TEXT: Schema = {"type": "string", "minLength": 1}
_REASON: Schema = {
    "type": "string",
    "minLength": break_glass.LEAST_REASON,
    "maxLength": break_glass.LONGEST_REASON,
    "description": "Why it has to be now.",
}
_DURATION: Schema = {"type": "string", "pattern": "^[0-9]{1,9}[smhd]$", "description": "How long: 30m, 2h."}
