"""One resource and its verbs.

Starlette answers HEAD wherever it answers GET, and with two routes on one path its 405 names the verbs of the first
alone. The Images API answers HEAD with 405, OPTIONS with an empty 200, and lists every verb in `Allow`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import Receive, Scope, Send

Action = Callable[[Request], Awaitable[Response]]


class Resource:
    """An ASGI application: each verb goes to its action, every other one is refused with the status `otherwise`."""

    def __init__(self, otherwise: int, **actions: Action) -> None:
        self.actions = actions
        self._otherwise = otherwise
        self._apps = {verb.upper(): request_response(action) for verb, action in actions.items()}
        self._allow = ", ".join(self._apps)
        self._apps.setdefault("OPTIONS", request_response(self._options))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._apps.get(scope["method"])
        if app is None:
            raise HTTPException(self._otherwise, headers={"Allow": self._allow})
        await app(scope, receive, send)

    async def _options(self, request: Request) -> Response:
        return Response(headers={"Allow": self._allow})


def resource(path: str, *, otherwise: int = 405, **actions: Action) -> Route:
    """A route to a resource: `resource("/v2/images", get=index, post=create)`."""
    return Route(path, Resource(otherwise, **actions))
