"""`/v2/info/import/approvals`: imports that wait for a person, for those who may decide about them."""

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
from gateway.model.approval import Approval
from gateway.service import approvals
from gateway.service.approvals import Waiting

PATH = "/v2/info/import/approvals"


@dataclass(frozen=True, slots=True)
class Approvals:
    front: Front

    @contract({200: "approvals"})
    async def index(self, request: Request) -> Response:
        """`GET /v2/info/import/approvals`: 200, what the caller may decide, oldest first."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await approvals.waiting(self.front.site, caller)
        return JSONResponse({"approvals": [waiting_json(one) for one in found]})

    @contract({200: "approval"}, takes="approval-decision", refuses=(403, 404, 409))
    async def decide(self, request: Request) -> Response:
        """`POST /v2/info/import/approvals/{import_id}`: 200. The import goes on, or fails with the reason."""
        caller = await self.front.caller(request)
        word = approvals.read_word(await read_object(request))
        decided = await approvals.decide(self.front.site, caller, request.path_params["import_id"], word)
        return JSONResponse(approval_json(decided))


def approval_json(approval: Approval) -> dict[str, Any]:
    return {
        "import_id": approval.import_id,
        "image_id": approval.image_id,
        "role": approval.role,
        "state": str(approval.state),
        "since": moment(approval.asked_at),
        "expires": moment(approval.expires_at),
        "reason": approval.reason,
    }


def waiting_json(waiting: Waiting) -> dict[str, Any]:
    """What somebody has to know to decide: whose image, from where, and what its stages found."""
    work, image = waiting.work, waiting.image
    return {
        **approval_json(waiting.approval),
        "image_name": image.name,
        "project_id": work.owner,
        "user_id": work.user_id,
        "source": dict(work.request) or {"name": work.method},
        "digest": waiting.approval.digest,
        "bytes": work.bytes_done,
        "stages": [dict(report) for report in work.report],
    }


def approval_shapes() -> dict[str, Schema]:
    """The bodies above."""
    approval = dict.fromkeys(("import_id", "image_id", "role", "state", "since", "expires", "reason"), _TEXT)
    source, stages = {"type": "object"}, {"type": "array", "items": {"type": "object"}}
    more = {"project_id": _MAYBE, "image_name": _MAYBE, "user_id": _TEXT, "digest": _TEXT}
    waiting = _object(**approval, **more, source=source, bytes={"type": "integer"}, stages=stages)
    decision = _object(decision={"type": "string", "enum": list(approvals.WORDS)})
    decision["properties"]["reason"] = _REASON
    return {
        "approval": _object(**approval),
        "approval-decision": {**decision, "additionalProperties": False},
        "approvals": _object(approvals={"type": "array", "items": waiting}),
    }


def _object(**required: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": required}


_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_REASON: Schema = {
    "type": "string",
    "maxLength": approvals.LONGEST_REASON,
    "description": "What the owner is told; needed to refuse.",
}
