"""The JSON Schemas of members and tasks, as `/v2/schemas/...` serves them. Descriptions are ours."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.image_schema import UUID, Schema, collection_schema
from gateway.model.imports import ImportStatus, ImportType
from gateway.model.member import MemberStatus

TASK_TYPES = ("import", *(str(kind) for kind in ImportType))
"""The first is the task that clients once created by hand; none is left."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """Every action answers 200 to any caller."""

    front: Front

    @contract({200: "schema"})
    async def member(self, request: Request) -> Response:
        """`GET /v2/schemas/member`: one project an image is shared with."""
        return await self._shown(request, member_schema())

    @contract({200: "schema"})
    async def members(self, request: Request) -> Response:
        """`GET /v2/schemas/members`: the projects an image is shared with."""
        return await self._shown(request, collection_schema("members", member_schema()))

    @contract({200: "schema"})
    async def task(self, request: Request) -> Response:
        """`GET /v2/schemas/task`: one import."""
        return await self._shown(request, task_schema())

    @contract({200: "schema"})
    async def tasks(self, request: Request) -> Response:
        """`GET /v2/schemas/tasks`: a list of imports."""
        return await self._shown(request, tasks_schema())

    async def _shown(self, request: Request, schema: Schema) -> Response:
        expect_no_body(request)
        await self.front.caller(request)
        return JSONResponse(schema)


def member_schema() -> Schema:
    return {
        "name": "member",
        "properties": {
            "member_id": {"type": "string", "description": "The project the image is shared with."},
            "image_id": {"type": "string", "description": "The image.", "pattern": UUID},
            "status": {
                "type": "string",
                "description": "What that project has answered.",
                "enum": [str(status) for status in MemberStatus],
            },
            "created_at": {"type": "string", "description": "When the image was shared."},
            "updated_at": {"type": "string", "description": "When the membership last changed."},
            "schema": {"type": "string", "readOnly": True},
        },
        "additionalProperties": False,
    }


def task_schema() -> Schema:
    """One import, as `GET /v2/tasks/{id}` shows it."""
    return {"name": "task", "properties": {**_listed(), **_details()}}


def tasks_schema() -> Schema:
    """A list shows tasks without their input, progress and outcome."""
    item: Schema = {"name": "task", "properties": _listed()}
    return collection_schema("tasks", item)


def _listed() -> Schema:
    return {
        "id": {"type": "string", "description": "The task's id.", "pattern": UUID},
        "type": {"type": "string", "description": "What the task does.", "enum": list(TASK_TYPES)},
        "status": {
            "type": "string",
            "description": "How far it is.",
            "enum": [str(status) for status in ImportStatus],
        },
        "owner": {"type": ["null", "string"], "description": "The project that owns the image."},
        "image_id": {"type": "string", "description": "The image."},
        "user_id": {"type": "string", "description": "Who asked for it."},
        "request_id": {"type": "string", "description": "The id of the request that asked for it."},
        "created_at": {"type": "string", "description": "When it was asked for."},
        "updated_at": {"type": "string", "description": "When it last changed."},
        "expires_at": {"type": ["null", "string"], "description": "When the record goes; null while it stays."},
        "self": {"type": "string", "readOnly": True},
        "schema": {"type": "string", "readOnly": True},
    }


def _details() -> Schema:
    size = {"type": ["null", "integer"], "minimum": 0}
    return {
        "input": {"type": ["null", "object"], "description": "What was asked for."},
        "result": {"type": ["null", "object"], "description": "What has come of it."},
        "message": {"type": "string", "description": "Why it failed, for people."},
        "code": {"type": ["null", "string"], "description": "Why it failed, for programs."},
        "remedy": {"type": "string", "description": "What to do now."},
        "progress": {
            "type": "object",
            "description": "Bytes of the source: read, to come, and in percent.",
            "properties": {"bytes": size, "total": size, "percent": size},
        },
        "stores": {
            "type": "object",
            "description": "Stores that are not filled yet, and why others will not be.",
            "properties": {"left": {"type": "array", "items": {"type": "string"}}, "failed": {"type": "object"}},
        },
        "queue_position": {
            "type": ["null", "integer"],
            "minimum": 1,
            "description": "An estimate: the place among imports that wait for their turn; null for one that does not. "
            "It may grow, because projects take turns, and imports that lost their gateway come first.",
        },
        "expected_at": {
            "type": ["null", "string"],
            "description": "An estimate: when it ends at the pace of the moment; null while nobody can tell.",
        },
        "stages": {
            "type": "array",
            "description": "What each validation stage has found.",
            "items": {"type": "object"},
        },
    }
