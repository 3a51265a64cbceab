"""The routes of a gateway in front of an existing image service.

What passes is listed like what does not: a path nobody listed is not found, for it might bring bytes in by a way that
nobody judged.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route, request_response
from starlette.types import Receive, Scope, Send

from gateway.api.behind import Behind
from gateway.api.front import Front
from gateway.api.passing import Passing
from gateway.api.resumable import Resumable
from gateway.api.verbs import Action, Resource, resource

_NAMESPACE = "/v2/metadefs/namespaces/{namespace}"

PASSED = (
    "/", "/versions", "/v2/info/stores", "/v2/info/stores/detail", "/v2/info/usage",
    "/v2/schemas/image", "/v2/schemas/images", "/v2/schemas/member", "/v2/schemas/members",
    "/v2/schemas/task", "/v2/schemas/tasks", "/v2/schemas/metadefs/{kind}",
    "/v2/images/{image_id}/members", "/v2/images/{image_id}/members/{member_id}",
    "/v2/images/{image_id}/tags/{tag}",
    "/v2/images/{image_id}/actions/deactivate", "/v2/images/{image_id}/actions/reactivate",
    "/v2/stores/{store_id}/{image_id}",
    "/v2/cache", "/v2/cache/clean", "/v2/cache/prune", "/v2/cache/{image_id}", "/v2/cache/nodes/{image_id}",
    "/v2/metadefs/resource_types", "/v2/metadefs/namespaces", _NAMESPACE,
    *(f"{_NAMESPACE}/{kind}" for kind in ("resource_types", "properties", "objects", "tags")),
    *(f"{_NAMESPACE}/{kind}/{{name}}" for kind in ("resource_types", "properties", "objects", "tags")),
)  # fmt: skip
"""Resources of the Images API that bring no bytes in."""


class Passable(Resource):
    """A resource whose other verbs pass."""

    def __init__(self, passing: Passing, **actions: Action) -> None:
        super().__init__(405, **actions)
        self._others = request_response(passing.on)
        if "options" not in actions:
            self._apps["OPTIONS"] = self._others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps.get(scope["method"], self._others)(scope, receive, send)


def behind_routes(front: Front, passing: Passing, ours: Iterable[BaseRoute]) -> list[BaseRoute]:
    """`ours` are resources of the gateway alone; they come first."""
    behind, resumable = Behind(front, passing), Resumable(front)
    image = "/v2/images/{image_id}"
    return [
        *ours,
        Route("/v2/images", Passable(passing, get=behind.index, post=behind.create)),
        Route(image, Passable(passing, get=behind.show, patch=behind.patch, delete=behind.delete)),
        resource(f"{image}/stage", put=behind.stage, post=behind.begin, options=resumable.offer),
        resource(f"{image}/stage/{{upload_id}}", head=resumable.look, patch=resumable.append, delete=resumable.end),
        Route(f"{image}/file", Passable(passing, get=passing.download, put=behind.save)),
        resource(f"{image}/import", post=behind.start),
        resource(f"{image}/receipt", get=behind.receipt),
        Route(f"{image}/locations", Passable(passing, post=behind.locations)),
        Route(f"{image}/tasks", Passable(passing, get=behind.tasks)),
        Route("/v2/tasks", Passable(passing, post=behind.new_task)),
        Route("/v2/tasks/{task_id}", Passable(passing, get=behind.task)),
        *(Route(path, Passable(passing)) for path in PASSED),
    ]
