"""The bytes of an image: `PUT stage`, `PUT file`, `GET file`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from gateway.api.bodies import expect_no_body, expect_type
from gateway.api.front import Front
from gateway.api.ranges import ByteRange, requested_range
from gateway.model.errors import BadRequest, BrokenUpload
from gateway.model.image import Blob, Image
from gateway.service import images
from gateway.service.reception import SAVE, STAGE, Upload, receive

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Data:
    front: Front

    async def stage(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/stage`: 204."""
        caller = await self.front.caller(request)
        await receive(self.front.site, caller, request.path_params["image_id"], upload(request), STAGE)
        return Response(status_code=204)

    async def save(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/file`: 204. The image is active when it answers."""
        caller = await self.front.caller(request)
        store = request.headers.get("x-image-meta-store")
        if store is not None and store not in self.front.site.stores:
            raise BadRequest(f"Store {store} is not known here.", remedy="GET /v2/info/stores lists them.")
        await receive(self.front.site, caller, request.path_params["image_id"], upload(request), SAVE, store)
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        """`GET /v2/images/{id}/file`: 200, 206, or 204 where the image has no data yet."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        image, blob = await images.readable(self.front.site, caller, request.path_params["image_id"])
        if blob is None or blob.size is None:
            return Response(status_code=204)
        return await self._streamed(image, blob, requested_range(request.headers, blob.size))

    async def _streamed(self, image: Image, blob: Blob, part: ByteRange | None) -> Response:
        store = self.front.site.store(blob.store)
        offset, length = (part.start, part.length) if part else (0, blob.size)
        blocks = await asyncio.to_thread(store.get, blob.key, offset, length)
        headers = {"Content-Length": str(length), "Accept-Ranges": "bytes"}
        if part is not None:
            headers["Content-Range"] = part.content_range
        if image.checksum is not None:
            headers["Content-MD5"] = image.checksum
        # A plain iterator: Starlette reads it in worker threads, 1 MiB at a time.
        return StreamingResponse(blocks, 206 if part else 200, headers, media_type=OCTETS)


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
