"""Importing: `POST import`, and the tasks that tell how it goes."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.wire import image_task_json
from gateway.service import imports
from gateway.service.outlook import NOTHING, outlooks


@dataclass(frozen=True, slots=True)
class Imports:
    front: Front

    @contract({202: None}, takes="import", parameters=["x-image-meta-store"], refuses=(403, 409))
    async def start(self, request: Request) -> Response:
        """`POST /v2/images/{id}/import`: 202, and the work is durable."""
        caller = await self.front.caller(request)
        body = await read_object(request)
        header = request.headers.get("x-image-meta-store")
        token = request.headers.get("x-auth-token")
        wanted = imports.read_request(body, header, self.front.request_id(request), token)
        work = await imports.accept(self.front.site, caller, request.path_params["image_id"], wanted)
        headers = {"OpenStack-image-import-task": work.id} if work is not None else {}
        return Response(status_code=202, headers=headers)

    @contract({200: "image-tasks"})
    async def tasks(self, request: Request) -> Response:
        """`GET /v2/images/{id}/tasks`: 200, newest first."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        works = await imports.tasks(self.front.site, caller, request.path_params["image_id"])
        known = await outlooks(self.front.site, works)
        return JSONResponse({"tasks": [image_task_json(work, known.get(work.id, NOTHING)) for work in works]})
