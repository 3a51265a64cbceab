"""Importing: `POST import`, and the tasks that tell how it goes."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.front import Front
from gateway.api.wire import task_json
from gateway.model.errors import Forbidden
from gateway.service import imports


@dataclass(frozen=True, slots=True)
class Imports:
    front: Front

    async def start(self, request: Request) -> Response:
        """`POST /v2/images/{id}/import`: 202, and the work is durable."""
        caller = await self.front.caller(request)
        body = await read_object(request)
        header = request.headers.get("x-image-meta-store")
        wanted = imports.read_request(body, header, self.front.request_id(request))
        work = await imports.accept(self.front.site, caller, request.path_params["image_id"], wanted)
        return Response(status_code=202, headers={"OpenStack-image-import-task": work.id})

    async def tasks(self, request: Request) -> Response:
        """`GET /v2/images/{id}/tasks`: 200, newest first."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        works = await imports.tasks(self.front.site, caller, request.path_params["image_id"])
        return JSONResponse({"tasks": [task_json(work) for work in works]})

    async def task(self, request: Request) -> Response:
        """`GET /v2/tasks/{id}`: 200. Glance keeps tasks for administrators; an owner may read its own here."""
        caller = await self.front.caller(request)
        work = await imports.task(self.front.site, caller, request.path_params["task_id"])
        return JSONResponse(task_json(work))

    async def all_tasks(self, request: Request) -> Response:
        """`GET /v2/tasks`: open and recent imports of every project, for administrators."""
        caller = await self.front.caller(request)
        if not caller.is_admin:
            raise Forbidden("Tasks are listed for administrators.", remedy="GET /v2/images/{id}/tasks lists yours.")
        works = await imports.all_tasks(self.front.site)
        return JSONResponse(
            {
                "tasks": [task_json(work) for work in works],
                "first": "/v2/tasks",
                "schema": "/v2/schemas/tasks",
            }
        )
