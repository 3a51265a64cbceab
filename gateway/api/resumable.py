"""Uploads that go on after they broke, on `stage`: tus 1.0.0 and the IETF's draft, told apart by `Tus-Resumable`.

No answer is given while a body is still coming (104 in the draft): clients learn their upload's URL from an empty
request that begins it, or from the 409 of a second one.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import OCTETS, contract
from gateway.api.data import Data, chunks
from gateway.api.errors import refusal_response
from gateway.api.front import Front
from gateway.api.upload_headers import (
    EXTENSIONS,
    INTEROP,
    OFFSET_OCTETS,
    PARTIAL,
    TUS,
    body_size,
    completes,
    expect_part,
    is_tus,
    limits,
    metadata,
    number,
    state_headers,
)
from gateway.model.errors import BadRequest, NotAuthenticated
from gateway.service import resuming
from gateway.service.resuming import Outcome, Sending
from gateway.service.usage import offered

_HEADERS = ("Tus-Resumable", "Upload-Complete", "Upload-Length")


@dataclass(frozen=True, slots=True)
class Resumable:
    front: Front

    @contract({200: None}, public=True)
    async def offer(self, request: Request) -> Response:
        """`OPTIONS /v2/images/{id}/stage`: which protocols, and the most bytes this caller may send."""
        most = await self._most(request)
        headers = {
            "Allow": "PUT, POST, OPTIONS",
            "Accept-Patch": f"{PARTIAL}, {OFFSET_OCTETS}",
            "Tus-Resumable": TUS,
            "Tus-Version": TUS,
            "Tus-Extension": EXTENSIONS,
            "Upload-Draft-Interop-Version": INTEROP,
            **({} if most is None else {"Tus-Max-Size": str(most)}),
            **limits(most),
        }
        return Response(headers=headers)

    @contract(
        {204: None, 201: None},
        takes={OCTETS: None},
        parameters=["x-openstack-image-size", "Upload-Complete", "Upload-Length"],
        refuses=(403, 409, 410),
    )
    async def put(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/stage`: 204. With `Upload-Complete: ?0` it begins a resumable upload: 201."""
        if completes(request) is False:
            return await self.create(request)
        return await Data(self.front).stage(request)

    @contract(
        {201: None, 204: None},
        takes={OCTETS: None, OFFSET_OCTETS: None},
        parameters=[*_HEADERS, "Upload-Defer-Length", "Upload-Metadata"],
        refuses=(403, 409, 410, 412),
    )
    async def create(self, request: Request) -> Response:
        """`POST /v2/images/{id}/stage`: 201 with the upload's URL; 204 where all of it has come with this request."""
        caller = await self.front.caller(request)
        sending = self._beginning(request)
        image_id = request.path_params["image_id"]
        upload = await resuming.create(self.front.site, caller, image_id, sending, metadata(request))
        outcome = Outcome(upload)
        if sending.size != 0 or sending.last or upload.length == 0:
            outcome = await resuming.append(self.front.site, caller, image_id, upload.id, sending)
        location = {"Location": f"/v2/images/{image_id}/stage/{upload.id}"}
        return self._answer(request, outcome, 204 if sending.last else 201, location)

    @contract({204: None}, parameters=["Tus-Resumable"], refuses=(403, 410, 412, 413, 415))
    async def look(self, request: Request) -> Response:
        """`HEAD /v2/images/{id}/stage/{upload}`: 204 with how much has come. It ends a request that is still sending.

        An upload that was refused answers with the status of its refusal.
        """
        expect_no_body(request)
        is_tus(request)
        caller = await self.front.caller(request)
        outcome = await resuming.look(self.front.site, caller, *self._names(request))
        said = {"Upload-Metadata": outcome.upload.said} if outcome.upload.said else {}
        return self._answer(request, outcome, 204, {"Cache-Control": "no-store", **said})

    @contract(
        {204: None},
        takes={PARTIAL: None, OFFSET_OCTETS: None},
        parameters=[*_HEADERS, "Upload-Offset"],
        refuses=(403, 409, 410, 412),
    )
    async def append(self, request: Request) -> Response:
        """`PATCH /v2/images/{id}/stage/{upload}`: 204. With the last byte, the answer is the verdict on the image."""
        caller = await self.front.caller(request)
        tus, last = is_tus(request), completes(request)
        expect_part(request)
        offset = number(request, "upload-offset")
        if offset is None or not (tus or last is not None):
            raise BadRequest(
                "Upload-Offset, or Upload-Complete, is missing.", remedy="Send it.", code="bad-upload-header"
            )
        sending = Sending(
            chunks=chunks(request),
            size=body_size(request),
            offset=offset,
            length=number(request, "upload-length"),
            last=None if tus else last,
        )
        outcome = await resuming.append(self.front.site, caller, *self._names(request), sending)
        return self._answer(request, outcome, 204)

    @contract({204: None}, parameters=["Tus-Resumable"], refuses=(403, 409, 412))
    async def end(self, request: Request) -> Response:
        """`DELETE /v2/images/{id}/stage/{upload}`: 204. What has come is given up, and the image is queued again."""
        expect_no_body(request)
        is_tus(request)
        caller = await self.front.caller(request)
        await resuming.give_up(self.front.site, caller, *self._names(request))
        return Response(status_code=204, headers={"Tus-Resumable": TUS})

    async def _most(self, request: Request) -> int | None:
        """None for a caller who does not say who it is: clients ask for the protocol before they log in."""
        try:
            caller = await self.front.caller(request)
        except NotAuthenticated:
            return None
        sizes = [within.max_size for within in (await offered(self.front.site, caller)).within]
        return None if None in sizes else max((size for size in sizes if size is not None), default=None)

    def _beginning(self, request: Request) -> Sending:
        tus, last = is_tus(request), completes(request)
        if not tus and last is None:
            raise BadRequest(
                "This begins a resumable upload, and says in no protocol how.",
                remedy="Send Tus-Resumable or Upload-Complete; or PUT the image as it is.",
                code="bad-upload-header",
            )
        length = number(request, "upload-length")
        if tus and (length is None) is (request.headers.get("upload-defer-length") is None):
            raise BadRequest(
                "An upload has an Upload-Length, or an Upload-Defer-Length of 1.",
                remedy="Send one of them.",
                code="bad-upload-header",
            )
        expect_part(request, begins=True)
        size = body_size(request)
        return Sending(chunks=chunks(request), size=size, length=length, last=None if tus else last)

    def _names(self, request: Request) -> tuple[str, str]:
        return request.path_params["image_id"], request.path_params["upload_id"]

    def _answer(self, request: Request, outcome: Outcome, status: int, more: dict[str, str] | None = None) -> Response:
        headers = {**state_headers(outcome.upload, self.front.site.clock.now()), **(more or {})}
        if outcome.refusal is None:
            return Response(status_code=status, headers=headers)
        return refusal_response(outcome.refusal, self.front.request_id(request), headers=headers)
