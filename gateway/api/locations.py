"""Where images are: `POST` and `GET locations` (v2.17), and the older edits of `locations` in a PATCH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body, read_object
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.patch import Change
from gateway.api.wire import location_json
from gateway.model.errors import BadRequest
from gateway.service import locations
from gateway.service.places import PlaceEdit

FIELD = "locations"


@dataclass(frozen=True, slots=True)
class Locations:
    front: Front

    @contract({202: None}, takes="location", refuses=(403, 409))
    async def add(self, request: Request) -> Response:
        """`POST /v2/images/{id}/locations`: 202. The image is active once the bytes there have been judged."""
        caller = await self.front.caller(request)
        wanted = locations.read_location(await read_object(request), self.front.request_id(request))
        work = await locations.add(self.front.site, caller, request.path_params["image_id"], wanted)
        return Response(status_code=202, headers={"OpenStack-image-import-task": work.id})

    @contract({200: "locations"}, refuses=[403])
    async def index(self, request: Request) -> Response:
        """`GET /v2/images/{id}/locations`: 200, for services and administrators."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await locations.shown(self.front.site, caller, request.path_params["image_id"])
        return JSONResponse([location_json(location) for location in found])


def place_edits(changes: Sequence[Change]) -> list[PlaceEdit]:
    """The edits of `locations` that a patch consists of; empty for a patch of anything else.

    Raises BadRequest for a patch of both: they do not happen together.
    """
    edits = [PlaceEdit(change.operation, change.at, change.value) for change in changes if change.name == FIELD]
    if edits and len(edits) != len(changes):
        raise BadRequest(
            "'locations' and other fields cannot be changed in one patch.",
            remedy="Send two patches.",
            code="mixed-patch",
        )
    return edits
