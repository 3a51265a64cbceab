"""Sharing on the wire ("Sharing" in the Images API reference): `/v2/images/{id}/members`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.wire import member_json
from gateway.model.errors import BadRequest
from gateway.model.member import MemberStatus
from gateway.service import members

LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class Members:
    front: Front

    @contract({200: "members"}, refuses=[403])
    async def index(self, request: Request) -> Response:
        """`GET /v2/images/{id}/members`: 200. A member sees its own membership, the owner all."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await members.members(self.front.site, caller, request.path_params["image_id"])
        return JSONResponse({"members": [member_json(one) for one in found], "schema": "/v2/schemas/members"})

    @contract({200: "member"}, takes="new-member", refuses=(403, 409))
    async def create(self, request: Request) -> Response:
        """`POST /v2/images/{id}/members`: 200 (not 201), and the membership is pending."""
        caller = await self.front.caller(request)
        member_id = wanted_member(await read_object(request))
        added = await members.add(self.front.site, caller, request.path_params["image_id"], member_id)
        return JSONResponse(member_json(added))

    @contract({200: "member"})
    async def show(self, request: Request) -> Response:
        """`GET /v2/images/{id}/members/{member}`: 200."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        return JSONResponse(member_json(await members.member(self.front.site, caller, *_named(request))))

    @contract({200: "member"}, takes="member-answer", refuses=[403])
    async def update(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/members/{member}`: 200. The member accepts or rejects for itself."""
        caller = await self.front.caller(request)
        status = wanted_status(await read_object(request))
        return JSONResponse(member_json(await members.answer(self.front.site, caller, *_named(request), status)))

    @contract({204: None}, refuses=[403])
    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/images/{id}/members/{member}`: 204. The owner stops sharing."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        await members.remove(self.front.site, caller, *_named(request))
        return Response(status_code=204)


def wanted_member(body: dict[str, Any]) -> str:
    """`{"member": "<project id>"}`. Raises BadRequest."""
    member_id = body.get("member")
    if not isinstance(member_id, str) or not 0 < len(member_id) <= LONGEST_ID:
        raise BadRequest(
            f"'member' must be the id of a project, 1 to {LONGEST_ID} characters.",
            remedy='Send {"member": "<project id>"}.',
            code="bad-member",
        )
    return member_id


def wanted_status(body: dict[str, Any]) -> MemberStatus:
    """`{"status": "accepted"}`. Raises BadRequest."""
    status = body.get("status")
    if status not in tuple(MemberStatus):
        raise BadRequest(
            f"'status' must be one of {', '.join(MemberStatus)}.",
            remedy='Send {"status": "accepted"}.',
            code="bad-member-status",
        )
    return MemberStatus(status)


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["image_id"], request.path_params["member_id"]
