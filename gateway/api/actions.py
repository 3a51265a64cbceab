"""Small calls that change one thing of an image: a tag, or whether its data may be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.api.image_values import ImageReader, Values, unique
from gateway.model.errors import NotFound
from gateway.model.image import Image, Move
from gateway.service import images


@dataclass(frozen=True, slots=True)
class Actions:
    front: Front
    reader: ImageReader

    @contract({204: None}, refuses=(403, 413))
    async def tag(self, request: Request) -> Response:
        """`PUT /v2/images/{id}/tags/{tag}`: 204, also where the image has the tag."""
        return await self._tagged(request, self._with)

    @contract({204: None}, refuses=[403])
    async def untag(self, request: Request) -> Response:
        """`DELETE /v2/images/{id}/tags/{tag}`: 204."""
        return await self._tagged(request, _without)

    @contract({204: None}, refuses=[403])
    async def deactivate(self, request: Request) -> Response:
        """`POST /v2/images/{id}/actions/deactivate`: 204. Only administrators can read the data from now on."""
        return await self._switched(request, Move.DEACTIVATE)

    @contract({204: None}, refuses=[403])
    async def reactivate(self, request: Request) -> Response:
        """`POST /v2/images/{id}/actions/reactivate`: 204."""
        return await self._switched(request, Move.REACTIVATE)

    async def _tagged(self, request: Request, changed: Callable[[Image, str], Values]) -> Response:
        expect_no_body(request)
        caller = await self.front.caller(request)
        image_id, tag = request.path_params["image_id"], request.path_params["tag"]
        await images.change(self.front.site, caller, image_id, lambda image: changed(image, tag))
        return Response(status_code=204)

    async def _switched(self, request: Request, move: Move) -> Response:
        expect_no_body(request)
        caller = await self.front.caller(request)
        await images.switch(self.front.site, caller, request.path_params["image_id"], move)
        return Response(status_code=204)

    def _with(self, image: Image, tag: str) -> Values:
        """Raises BadRequest for a tag that is too long, TooLarge for one too many."""
        self.reader.check({"tags": [tag]})
        tags = unique([*image.tags, tag])
        if len(tags) > len(image.tags):
            self.reader.check_limits(0, len(tags))
        return {"tags": tags}


def _without(image: Image, tag: str) -> Values:
    if tag not in image.tags:
        raise NotFound(f"Image {image.id} has no tag '{tag}'.", remedy="GET /v2/images/{id} shows its tags.")
    return {"tags": tuple(kept for kept in image.tags if kept != tag)}
