"""All imports of the site as tasks ("Tasks" in the Images API reference), for administrators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.query_values import DEFAULT_LIMIT, bad_query, descending, identifier, limit, one_of
from gateway.api.record_schemas import TASK_TYPES
from gateway.api.wire import task_json, tasks_json
from gateway.model.errors import BadRequest
from gateway.model.imports import ImportStatus
from gateway.ports import ImportQuery
from gateway.service import tasks
from gateway.service.outlook import NOTHING, outlooks

SORT_KEYS = ("created_at", "updated_at", "id", "type", "status", "owner")
STATUSES = tuple(str(status) for status in ImportStatus)

_KNOWN = ("type", "status", "owner", "marker", "limit", "sort_key", "sort_dir")


@dataclass(frozen=True, slots=True)
class Tasks:
    front: Front

    @contract({200: "tasks"}, parameters=["tasks"], refuses=[403])
    async def index(self, request: Request) -> Response:
        """`GET /v2/tasks`: 200, a page of the imports of every project, newest first."""
        tasks.check_access(await self.front.caller(request))
        sent = request.query_params.multi_items()
        found, more = await tasks.page(self.front.site, parse_tasks(sent))
        return JSONResponse(tasks_json(found, sent, more=more))

    @contract({200: "task"})
    async def show(self, request: Request) -> Response:
        """`GET /v2/tasks/{id}`: 200. Glance keeps tasks for administrators; an owner may read its own here."""
        caller = await self.front.caller(request)
        work = await tasks.task(self.front.site, caller, request.path_params["task_id"])
        known = await outlooks(self.front.site, [work])
        return JSONResponse(task_json(work, known.get(work.id, NOTHING)))

    @contract({}, takes="new-task", refuses=[403])
    async def create(self, request: Request) -> Response:
        """`POST /v2/tasks`: always refused. Imports start at their image, which says more and is open to its owner."""
        tasks.check_access(await self.front.caller(request))
        body = await read_object(request)
        for name in ("type", "input"):
            if name not in body:
                raise BadRequest(f"Task '{name}' is required", remedy='Send {"type": ..., "input": {...}}.')
        raise BadRequest(
            "Tasks cannot be created here.",
            remedy="Create an image with POST /v2/images, then import it with POST /v2/images/{id}/import.",
            code="task-unavailable",
        )


def parse_tasks(items: Iterable[tuple[str, str]]) -> ImportQuery:
    """The query string of a list of tasks. Raises BadRequest, by name, for every bad value."""
    sent: dict[str, str] = {}
    for name, value in items:
        one_of(name[:60], name, _KNOWN)
        if name in sent:
            raise bad_query(name, "it is given twice")
        sent[name] = value
    return ImportQuery(
        type=one_of("type", sent["type"], TASK_TYPES) if "type" in sent else None,
        status=one_of("status", sent["status"], STATUSES) if "status" in sent else None,
        owner=sent.get("owner"),
        sort=_sort(sent.get("sort_key", "created_at"), descending(sent.get("sort_dir", "desc"))),
        marker=identifier("marker", sent["marker"]) if "marker" in sent else None,
        limit=limit(sent.get("limit", str(DEFAULT_LIMIT))),
    )


def _sort(key: str, down: bool) -> tuple[tuple[str, bool], ...]:
    keys = dict.fromkeys((one_of("sort_key", key, SORT_KEYS), "created_at", "id"))
    return tuple((name, down) for name in keys)
