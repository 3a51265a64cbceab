"""Receipts of images, and the keys they are verified with."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.bodies import expect_no_body
from gateway.api.contract import contract
from gateway.api.front import Front
from gateway.model.errors import Unavailable
from gateway.model.receipt import ENVELOPE_TYPE
from gateway.service import receipts

PEM = "application/x-pem-file"


@dataclass(frozen=True, slots=True)
class Receipts:
    front: Front

    @contract({200: ENVELOPE_TYPE})
    async def show(self, request: Request) -> Response:
        """`GET /v2/images/{id}/receipt`: 200, an in-toto statement in a DSSE envelope, for whoever sees the image."""
        expect_no_body(request)
        caller = await self.front.caller(request)
        found = await receipts.shown(self.front.site, caller, request.path_params["image_id"])
        return JSONResponse(found, media_type=ENVELOPE_TYPE)

    @contract({200: PEM}, public=True)
    async def keys(self, request: Request) -> Response:
        """`GET /v2/info/import/receipt-key`: 200, public keys in PEM, the one that signs first, then retired ones.

        Without authentication: there is nothing secret in them.
        """
        expect_no_body(request)
        keys = self.front.site.receipts.public
        if not keys:
            raise Unavailable(
                "The gateway's receipt key is away.",
                remedy="Ask again later. The operator's log names it.",
                code="receipt-key-away",
            )
        return Response(keys, media_type=PEM)
