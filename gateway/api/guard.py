"""The strict front: a pure ASGI application around the whole service.

It refuses what servers and proxies may read differently (RFC 9112, 3.2, 6.1 and 6.3), gives each request its id,
leads version prefixes to `/v2/`, and watches the body's pace. uvicorn's parser has already refused broken request
lines, folded headers and most double framings with a bare 400; nothing here relies on it, so that any server will do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api import request_id as ids
from gateway.api.errors import InternalError, refusal_response
from gateway.api.framing import FrontLimits, check_headers, check_target
from gateway.api.pace import PacedBody
from gateway.api.versions import canonical_path, is_of_the_family, is_served, versions_response
from gateway.model.errors import Interrupted, Refusal

log = logging.getLogger("gateway.api")


@dataclass(slots=True)
class _Progress:
    """How far the answer has got."""

    started: bool = False


class Guard:
    """Stands before `app`. `public_endpoint` is the base of links; `clock` gives monotonic seconds.

    `in_front` of another image service, that one says which versions there are.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: FrontLimits | None = None,
        public_endpoint: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        in_front: bool = False,
    ) -> None:
        self.app = app
        self.in_front = in_front
        self.limits = limits or FrontLimits()
        self.public_endpoint = public_endpoint
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        progress = _Progress()
        marked = _marked(send, _state(scope), progress)
        app = self._admitted(scope)
        try:
            await app(scope, PacedBody(receive, self.limits, self.clock, lambda: progress.started), marked)
        except asyncio.CancelledError:
            # The server cancels what is still open when its time to shut down is over; it asks for nothing else.
            if progress.started:
                raise
            await _stopping(ids.request_id(scope))(scope, receive, marked)
        except Exception:  # the last line before the server: a bug is logged under its request id
            log.exception("%s %s failed (%s)", scope["method"], scope["path"], ids.request_id(scope))
            if not progress.started:
                await refusal_response(InternalError(), ids.request_id(scope))(scope, receive, marked)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self.app(scope, receive, send)

    def _admitted(self, scope: Scope) -> ASGIApp:
        """What answers this request: the service, or a refusal, or the versions for an unknown one."""
        try:
            self._admit(scope)
        except Refusal as refusal:
            # Where framing is in doubt, the next bytes of the connection are too.
            return refusal_response(refusal, ids.request_id(scope), headers={"Connection": "close"})
        served = is_of_the_family if self.in_front else is_served
        path = canonical_path(scope["path"], Headers(scope=scope).get("accept", ""), served)
        if path is None and not self.in_front:
            return versions_response(Request(scope), self.public_endpoint)
        path = path or "/"
        _at(scope, path)
        return self.app

    def _admit(self, scope: Scope) -> None:
        state = _state(scope)
        state["request_id"] = ids.fresh()
        check_headers(scope, self.limits)
        state["request_id"] = ids.chosen(_values(scope, ids.HEADER))
        check_target(scope)


def _stopping(request_id: str) -> ASGIApp:
    refusal = Interrupted("The gateway is stopping.", remedy="Send the request again in a few seconds.")
    return refusal_response(refusal, request_id, headers={"Connection": "close"})


def _state(scope: Scope) -> MutableMapping[str, str]:
    state: MutableMapping[str, str] = scope.setdefault("state", {})
    return state


def _at(scope: Scope, path: str) -> None:
    """Lead the scope to a canonical path: without the slash it ends with, unless an image's id is missing behind it."""
    plain = path if path == "/v2/images/" else path.removesuffix("/") or "/"
    if plain != scope["path"]:
        scope["path"], scope["raw_path"] = plain, quote(plain).encode()


def _values(scope: Scope, name: str) -> list[bytes]:
    wanted = name.encode()
    return [value for key, value in scope["headers"] if key == wanted]


def _marked(send: Send, state: MutableMapping[str, str], progress: _Progress) -> Send:
    """`send`, with the request's id on the answer."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            progress.started = True
            MutableHeaders(scope=message)[ids.HEADER] = state["request_id"]
        await send(message)

    return marked
