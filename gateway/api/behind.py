"""The gateway in front of an existing image service: imports are judged here, every other call passes.

What could bring bytes in by another way is closed by name: locations, tasks of type import, paths nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from gateway.api.bodies import parse_json, read_body
from gateway.api.contract import OCTETS, contract
from gateway.api.data import Data
from gateway.api.front import Front
from gateway.api.imports import Imports
from gateway.api.passing import Passing, Read
from gateway.api.receipts import Receipts
from gateway.api.resumable import Resumable
from gateway.api.tasks import Tasks
from gateway.api.upload_headers import OFFSET_OCTETS
from gateway.api.wire import image_task_json, stores_of
from gateway.model.errors import Conflict, Forbidden, NotFound
from gateway.model.image import Image, Move, Status
from gateway.model.imports import Import
from gateway.model.receipt import ENVELOPE_TYPE
from gateway.ports.upstream import Record
from gateway.service import discovery, mirroring, upstream

_FORMATS = frozenset({"disk_format", "container_format"})
_SHOWN = "os_glance_import_task"
METHODS_HEADER = b"openstack-image-import-methods"


def closed(what: str) -> Forbidden:
    return Forbidden(
        f"{what} is closed at this cloud: images come in by imports alone.",
        remedy="GET /v2/info/import lists the methods you may use.",
        code="closed-here",
    )


@dataclass(frozen=True, slots=True)
class Behind:
    """The calls that are looked at on their way, and those that are the gateway's own."""

    front: Front
    passing: Passing

    @contract({200: "images"})
    async def index(self, request: Request) -> Response:
        """`GET /v2/images`: the page as it is, but for the status of images that are imported here."""
        read = await self.passing.read(request)
        page = _object(read)
        images = page.get("images") if page else None
        if not isinstance(images, list):
            return read.response()
        busy = await mirroring.all_under_way(self.front.site)
        if not page or not busy:
            return read.response()
        return read.response(_json({**page, "images": [_listed(one, busy) for one in images]}))

    @contract({200: "image"})
    async def show(self, request: Request) -> Response:
        """`GET /v2/images/{id}`: the same for one image, with the stores of its import."""
        site, image_id = self.front.site, request.path_params["image_id"]
        if mirroring.is_settled(site, image_id):
            return await self.passing.on(request)
        found = await mirroring.standing(site, image_id)
        read = await self.passing.read(request)
        shown = _object(read)
        if shown is None:
            return read.response()
        if found == mirroring.NOTHING:
            mirroring.settle(site, image_id, shown.get("status"))
            return read.response()
        return read.response(_json(_over(shown, found.image, found.work)))

    @contract({201: "image"}, takes="new-image", refuses=(403, 409))
    async def create(self, request: Request) -> Response:
        """`POST /v2/images`: 201, with this caller's own list of methods."""
        caller = await self.front.caller(request)
        body = await read_body(request)
        said = parse_json(body)
        if isinstance(said, dict) and "locations" in said:
            raise closed("Creating an image from a location")
        read = await self.passing.read(request, body)
        if read.status != 201:
            return read.response()
        methods = await discovery.offered_methods(self.front.site, caller)
        return read.response(more=[(METHODS_HEADER, ",".join(methods).encode())])

    @contract({200: "image"}, refuses=(403, 409))
    async def patch(self, request: Request) -> Response:
        """`PATCH /v2/images/{id}`: passes, but for locations, and for formats that an import is just proving."""
        body = await read_body(request)
        touched = {_first(value) for change in _changes(body) for value in _strings(change)}
        if "locations" in touched:
            raise closed("Changing locations")
        found = await mirroring.standing(self.front.site, request.path_params["image_id"])
        if found.image and touched & _FORMATS:
            raise Conflict(
                f"The formats of image {request.path_params['image_id']} are being proven by its import.",
                remedy="Change them once the import has ended.",
                code="import-active",
            )
        read = await self.passing.read(request, body)
        shown = _object(read)
        return read.response(_json(_over(shown, found.image, found.work))) if shown else read.response()

    @contract({204: None}, refuses=(403, 409))
    async def delete(self, request: Request) -> Response:
        """`DELETE /v2/images/{id}`: passes; what is done to the image here ends with it."""
        read = await self.passing.read(request)
        if read.status == 204:
            await mirroring.forget(self.front.site, request.path_params["image_id"])
        return read.response()

    @contract(
        {204: None, 201: None},
        takes={OCTETS: None},
        parameters=["x-openstack-image-size", "Upload-Complete", "Upload-Length"],
        refuses=(403, 409, 410),
    )
    async def stage(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/stage`: ours."""
        await self._mirrored(request, Move.STAGE)
        return await Resumable(self.front).put(request)

    @contract(
        {201: None, 204: None},
        takes={OCTETS: None, OFFSET_OCTETS: None},
        parameters=["x-openstack-image-size", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata"],
        refuses=(403, 409, 410, 412),
    )
    async def begin(self, request: Request) -> Response:
        """`POST /v2/images/{id}/stage`: ours, a resumable upload."""
        await self._mirrored(request, Move.STAGE)
        return await Resumable(self.front).create(request)

    @contract(
        {204: None},
        takes={OCTETS: None},
        parameters=["x-openstack-image-size", "x-image-meta-store"],
        refuses=(403, 409, 410),
    )
    async def save(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/file`: ours; the bytes are the image service's once they have been judged."""
        await self._mirrored(request, Move.SAVE)
        return await Data(self.front).save(request)

    @contract({202: None}, takes="import", parameters=["x-image-meta-store"], refuses=(403, 409))
    async def start(self, request: Request) -> Response:
        """`POST /v2/images/{id}/import`: ours, but for copies between the image service's own stores."""
        body = await read_body(request)
        if _method(body) == "copy-image":
            caller = await self.front.caller(request)
            await upstream.judge_copy(self.front.site, caller, await self._seen(request), parse_json(body))
            return (await self.passing.read(request, body)).response()
        await self._mirrored(request, Move.IMPORT_SOURCE)
        return await Imports(self.front).start(_with_body(request, body))

    @contract({200: "image-tasks"})
    async def tasks(self, request: Request) -> Response:
        """`GET /v2/images/{id}/tasks`: ours first, then the image service's own."""
        read = await self.passing.read(request)
        theirs = _object(read)
        if theirs is None or not isinstance(theirs.get("tasks"), list):
            return read.response()
        ours = await self._own_tasks(request)
        return read.response(_json({**theirs, "tasks": [*ours, *theirs["tasks"]]})) if ours else read.response()

    @contract({200: "task"})
    async def task(self, request: Request) -> Response:
        """`GET /v2/tasks/{id}`: an import of ours for its owner; every other task passes."""
        ours = await mirroring.has_import(self.front.site, request.path_params["task_id"])
        return await (Tasks(self.front).show if ours else self.passing.on)(request)

    @contract({}, refuses=(403,))
    async def locations(self, request: Request) -> Response:
        """`POST /v2/images/{id}/locations`: closed."""
        raise closed("Adding a location")

    @contract({}, refuses=(403,))
    async def new_task(self, request: Request) -> Response:
        """`POST /v2/tasks`: closed."""
        raise closed("Importing by a task")

    @contract({200: ENVELOPE_TYPE})
    async def receipt(self, request: Request) -> Response:
        """`GET /v2/images/{id}/receipt`: ours, for those who see the image."""
        await self._seen(request)
        return await Receipts(self.front).show(request)

    async def _mirrored(self, request: Request, move: Move) -> None:
        """What the image service says of the image is ours to start from. `move` is refused where it has data."""
        await self.front.caller(request)
        record = await mirroring.mirrored(self.front.site, request.path_params["image_id"], _token(request))
        mirroring.check_ready(record, move)

    async def _seen(self, request: Request) -> Record:
        assert self.front.site.upstream is not None
        await self.front.caller(request)
        image_id = request.path_params["image_id"]
        record = await self.front.site.upstream.record(image_id, _token(request))
        if record is None:
            raise NotFound(f"No image found with ID {image_id}")
        return record

    async def _own_tasks(self, request: Request) -> list[dict[str, Any]]:
        caller = await self.front.caller(request)
        works = await mirroring.imports_of(self.front.site, caller, request.path_params["image_id"])
        return [image_task_json(work) for work in works]


def _token(request: Request) -> str:
    return request.headers.get("x-auth-token", "").strip()


def _listed(one: Any, busy: Mapping[str, Image]) -> Any:
    return _over(one, busy.get(one.get("id", ""))) if isinstance(one, dict) else one


def _over(shown: dict[str, Any], image: Image | None, work: Import | None = None) -> dict[str, Any]:
    """An image as it is shown while something is done to it here, or has just failed."""
    if image is None and (work is None or shown.get("status") != Status.QUEUED):
        return shown
    task = {_SHOWN: image.import_id} if image and image.import_id else {}
    status = {"status": str(image.status)} if image else {}
    return {**task, **shown, **(stores_of(work) if work else {}), **status}


def _object(read: Read) -> dict[str, Any] | None:
    """The object an answer shows; None for refusals, and for what is none."""
    if read.status != 200:
        return None
    try:
        found = json.loads(read.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _changes(body: bytes) -> list[Any]:
    found = parse_json(body)
    return found if isinstance(found, list) else [found]


def _strings(change: object) -> Iterator[str]:
    """Where a change may point to: the two media types write it as `path` and `from`, or as a value of the verb."""
    values = change.values() if isinstance(change, dict) else ()
    return (value for value in values if isinstance(value, str) and value.startswith("/"))


def _first(pointer: str) -> str:
    """The member a JSON pointer starts with (RFC 6901)."""
    return pointer.split("/")[1].replace("~1", "/").replace("~0", "~")


def _method(body: bytes) -> object:
    found = parse_json(body)
    method = found.get("method") if isinstance(found, dict) else None
    return method.get("name") if isinstance(method, dict) else None


def _with_body(request: Request, body: bytes) -> Request:
    """The request once more, for whoever reads its body next."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)
