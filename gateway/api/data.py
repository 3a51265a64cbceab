"""The bytes of an image: `PUT stage`, `PUT file`, `GET file`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.api.bodies import expect_no_body, expect_type
from gateway.api.contract import OCTETS, contract
from gateway.api.front import Front
from gateway.api.ranges import ByteRange, requested_range
from gateway.model.errors import BadRequest, BrokenUpload, Refusal
from gateway.service.reading import Readable, opened, readable
from gateway.service.reception import SAVE, STAGE, Upload, check_takes, receive

log = logging.getLogger(__name__)


class Download(StreamingResponse):
    """Where the bytes break off, the answer does: its last chunk is never sent, so no part is taken for the whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Refusal as refusal:
            log.error("a download broke off: %s", refusal.message)


@dataclass(frozen=True, slots=True)
class Data:
    front: Front

    @contract({204: None}, takes={OCTETS: None}, parameters=["x-openstack-image-size"], refuses=(403, 409, 410))
    async def stage(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/stage`: 204."""
        caller = await self.front.caller(request)
        await receive(self.front.site, caller, request.path_params["image_id"], upload(request), STAGE)
        return Response(status_code=204)

    @contract(
        {204: None},
        takes={OCTETS: None},
        parameters=["x-openstack-image-size", "x-image-meta-store"],
        refuses=(403, 409, 410),
    )
    async def save(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/file`: 204. The image is active when it answers."""
        caller = await self.front.caller(request)
        store = request.headers.get("x-image-meta-store")
        if store is not None:
            await check_takes(self.front.site, store)
        await receive(self.front.site, caller, request.path_params["image_id"], upload(request), SAVE, store)
        return Response(status_code=204)

    @contract({200: OCTETS, 204: None, 206: OCTETS}, parameters=["Range", "download"], refuses=(403, 416))
    async def download(self, request: Request) -> Response:
        """`GET /v2/images/{id}/file`: 200, 206, or 204 where the image has no data yet."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        prefer = tuple(filter(None, request.query_params.get("prefer", "").split(",")))
        found = await readable(self.front.site, caller, request.path_params["image_id"], prefer)
        if found.blob is None:
            return Response(status_code=204)
        if found.whole or found.blob.size is None:
            return await self._whole(found)
        return await self._streamed(found, found.blob.size, requested_range(request.headers, found.blob.size))

    async def _whole(self, found: Readable) -> Response:
        """From elsewhere: always all of it, for only the whole can be compared with its hash (RFC 9110, 14.2)."""
        blocks = await opened(self.front.site, found)
        size = found.blob.size if found.blob else None
        length = {} if size is None else {"Content-Length": str(size)}
        return Download(blocks, 200, {**length, "Accept-Ranges": "none", **_md5(found)}, media_type=OCTETS)

    async def _streamed(self, found: Readable, size: int, part: ByteRange | None) -> Response:
        offset, length = (part.start, part.length) if part else (0, size)
        blocks = await opened(self.front.site, found, offset, length)
        headers = {"Content-Length": str(length), "Accept-Ranges": "bytes", **_md5(found)}
        if part is not None:
            headers["Content-Range"] = part.content_range
        # A plain iterator: Starlette reads it in worker threads, 1 MiB at a time.
        return Download(blocks, 206 if part else 200, headers, media_type=OCTETS)


def _md5(found: Readable) -> dict[str, str]:
    return {} if found.image.checksum is None else {"Content-MD5": found.image.checksum}


def upload(request: Request) -> Upload:
    """The request's body, as the service reads it. Raises WrongMediaType, BadRequest."""
    expect_type(request, OCTETS)
    return Upload(chunks=chunks(request), size=announced_size(request))


def announced_size(request: Request) -> int | None:
    """What the client says its body measures: `x-openstack-image-size`, else Content-Length."""
    said = request.headers.get("x-openstack-image-size")
    length = request.headers.get("content-length")
    if said is None:
        return int(length) if length is not None else None
    if not (said.isascii() and said.isdigit() and len(said) < 20):
        raise BadRequest(
            "Invalid or missing image size in request headers.",
            remedy="x-openstack-image-size is a number of bytes.",
            code="bad-size",
        )
    return int(said)


async def chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise BrokenUpload("The client went away.", remedy="Send the image again.", code="client-gone") from None
