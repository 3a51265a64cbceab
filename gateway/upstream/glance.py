"""`gateway.ports.upstream.Upstream` over the Images API of an existing Glance.

Several stores are filled by Glance's own stage and import, one by `PUT file`, which is one call instead of many.
"""

from __future__ import annotations

import json
import time
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from gateway.model.errors import (
    Conflict,
    ContentRefused,
    Forbidden,
    NotAuthenticated,
    NotFound,
    Refusal,
    TooLarge,
    Unavailable,
)
from gateway.ports import Block
from gateway.ports.upstream import Record, Work
from gateway.upstream.carrier import Carrier, Said
from gateway.upstream.connection import Connection
from gateway.upstream.records import read_record

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
STORES_SECONDS = 60.0
LONGEST_ANSWER = 4 << 20

Own = Callable[[], Awaitable[str]]
"""Gives the gateway's own token. Raises Unavailable."""

_REFUSALS: Mapping[int, type[Refusal]] = {
    401: Unavailable, 403: Forbidden, 404: NotFound, 409: Conflict, 410: NotFound, 413: TooLarge, 415: ContentRefused,
}  # fmt: skip


class Glance:
    """`own` gives the token of the gateway's own user, who has to see and fill the images of every project."""

    def __init__(self, connection: Connection, carrier: Carrier, own: Own) -> None:
        self.connection = connection
        self.carrier = carrier
        self._own = own
        self._stores: tuple[float, tuple[str, ...]] | None = None

    async def answers(self) -> None:
        async with self.connection.ask("GET", "/versions") as answer:
            if answer.status >= 500:
                raise _broken(f"it answered with {answer.status}")

    async def record(self, image_id: str, token: str | None = None) -> Record | None:
        status, body = await self._ask(f"/v2/images/{image_id}", token or await self._own())
        if status == 404:
            return None
        if status == 401 and token is not None:
            raise NotAuthenticated("The image service does not take this token.", remedy="Get a new one from Keystone.")
        return read_record(_loaded(status, body))

    @property
    def stores_seen(self) -> tuple[str, ...]:
        return self._stores[1] if self._stores else ()

    async def stores(self) -> tuple[str, ...]:
        now = time.monotonic()
        if self._stores is None or self._stores[0] < now:
            self._stores = now + STORES_SECONDS, await self._ask_stores()
        return self._stores[1]

    async def change(self, image_id: str, values: Mapping[str, object]) -> None:
        token = await self._own()
        patch = [_operation(name, value) for name, value in values.items()]
        headers = {"X-Auth-Token": token, "Content-Type": PATCH_TYPE}
        _check(await to_thread(self.carrier.call, "PATCH", f"/v2/images/{image_id}", headers, patch), "PATCH")

    async def import_staged(self, image_id: str, stores: Sequence[str]) -> None:
        await to_thread(self._import_staged, {"X-Auth-Token": await self._own()}, image_id, stores)

    async def deactivate(self, image_id: str) -> None:
        headers, path = {"X-Auth-Token": await self._own()}, f"/v2/images/{image_id}/actions/deactivate"
        _check(await to_thread(self.carrier.call, "POST", path, headers), "POST deactivate")

    async def filling(self, image_id: str) -> Work:
        status, body = await self._ask(f"/v2/images/{image_id}/tasks", await self._own())
        tasks = sorted(_loaded(status, body).get("tasks", ()), key=lambda task: str(task.get("created_at")))
        newest = tasks[-1] if tasks else {}
        mark = " ".join(str(newest.get(name)) for name in ("id", "status", "message", "updated_at"))
        failed = newest.get("status") == "failure"
        return Work(mark, str(newest.get("message") or "no reason given") if failed else None)

    async def opened(self) -> Callable[[str, Sequence[str], Iterable[Block], int], None]:
        return partial(self._put, {"X-Auth-Token": await self._own()})

    async def _ask_stores(self) -> tuple[str, ...]:
        status, body = await self._ask("/v2/info/stores", await self._own())
        if status == 404:
            return ()
        stores = [store for store in _loaded(status, body).get("stores", ()) if store.get("read-only") != "true"]
        stores.sort(key=lambda store: store.get("default") != "true")
        return tuple(store["id"] for store in stores)

    async def _ask(self, path: str, token: str) -> tuple[int, bytes]:
        headers = [(b"X-Auth-Token", token.encode()), (b"Accept", b"application/json")]
        async with self.connection.ask("GET", path, headers=headers) as answer:
            body = bytearray()
            async for chunk in answer.body:
                body += chunk
                if len(body) > LONGEST_ANSWER:
                    raise _broken(f"GET {path} has an answer without end")
            return answer.status, bytes(body)

    def _put(
        self, token: Mapping[str, str], image_id: str, stores: Sequence[str], blocks: Iterable[Block], size: int
    ) -> None:
        image = f"/v2/images/{image_id}"
        if len(stores) < 2:
            where = {"X-Image-Meta-Store": stores[0]} if stores else {}
            _check(self.carrier.put(f"{image}/file", {**token, **where}, blocks, size), "PUT file")
            return
        _check(self.carrier.put(f"{image}/stage", token, blocks, size), "PUT stage")
        self._import_staged(token, image_id, stores)

    def _import_staged(self, token: Mapping[str, str], image_id: str, stores: Sequence[str]) -> None:
        asked = {"method": {"name": "glance-direct"}, "stores": list(stores), "all_stores_must_succeed": True}
        _check(self.carrier.call("POST", f"/v2/images/{image_id}/import", token, asked), "POST import")


def _operation(name: str, value: object) -> dict[str, object]:
    """An operation of JSON Patch (RFC 6902); the API replaces by `add` as well."""
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    return {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}


def _check(said: Said, call: str) -> None:
    """In the service's own words: it may know more than we do."""
    if said.status < 300:
        return
    kind = _REFUSALS.get(said.status, Unavailable)
    why = f": {said.message}" if said.message else ""
    raise kind(
        f"The image service behind the gateway answered {call} with {said.status}{why}",
        remedy="Tell the operators of your cloud." if kind is Forbidden else "Start the import again.",
        code=f"upstream-{said.status}",
    )


def _loaded(status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        raise _broken(f"it answered with {status}")
    try:
        found = json.loads(body)
    except ValueError:
        raise _broken("its answer is no JSON") from None
    if not isinstance(found, dict):
        raise _broken("its answer is no object")
    return found


def _broken(why: str) -> Unavailable:
    return Unavailable(
        f"The image service behind the gateway cannot be used: {why}.",
        remedy="Check `upstream` in gateway.yaml, and the rights of the gateway's own user.",
        code="upstream-broken",
    )
