"""What the service says about itself to those who watch over it: `/healthcheck` and `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gateway.api.contract import TEXT, contract
from gateway.api.front import Front
from gateway.api.wire import moment
from gateway.model.errors import Forbidden, NotFound, Refusal, Unavailable
from gateway.model.process import Process
from gateway.service.reloading import TreeState, Watched
from gateway.service.toolchecks import ToolState, tool_states

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus's text format."""

_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""Headers of proxies: whoever they speak for may be anywhere."""


@dataclass(frozen=True, slots=True)
class Health:
    front: Front

    @contract({200: TEXT}, public=True)
    async def show(self, request: Request) -> Response:
        """`GET /healthcheck`: 200 `OK` while the process serves, 503 once it is to stop; no authentication.

        With `?detailed`, JSON: the policy trees, their age, and whether a changed one waits because of problems. The
        problems themselves, the tools of stages, and all processes on the same records with the policy revision that
        each decides by, and whether an image service behind the gateway answers, are for administrators and for
        programs of the same machine.
        """
        draining = self.front.site.draining
        if "detailed" not in request.query_params:
            if draining:
                raise Unavailable("This gateway is stopping.", remedy="Ask another one.", code="draining")
            return PlainTextResponse("OK")
        inside = from_this_machine(request) or await self._administrator(request)
        now = self.front.site.clock.now()
        trees = {name: tree_json(one, now, inside=inside) for name, one in self.front.site.trees.items()}
        tools = await tool_states(self.front.site) if inside else []
        behind = await self._behind() if inside else {}
        degraded = any(tree["pending"] for tree in trees.values()) or any(tool.problem for tool in tools)
        degraded = degraded or "problem" in behind.get("upstream", {})
        word = "draining" if draining else "degraded" if degraded else "OK"
        found: dict[str, Any] = {"status": word, "policy": trees}
        if inside:
            found |= {
                "tools": {tool.stage: tool_json(tool) for tool in tools},
                "processes": await self._processes(),
                **behind,
            }
        return JSONResponse(found, 503 if draining else 200)

    async def _behind(self) -> dict[str, Any]:
        """Whether the image service behind the gateway answers, where there is one."""
        if self.front.site.upstream is None:
            return {}
        try:
            await self.front.site.upstream.answers()
        except Unavailable as away:
            return {"upstream": {"problem": away.message, "remedy": away.remedy}}
        return {"upstream": {"answers": True}}

    async def _processes(self) -> list[dict[str, Any]]:
        site = self.front.site
        async with site.catalog.read() as tx:
            now, found = await tx.clock(), await tx.processes()
        return [process_json(one, now, here=one.id == site.writer) for one in found]

    @contract({200: TEXT}, public=True, refuses=(403, 404))
    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`: 200, in Prometheus's text format, for whom `server.metrics` names."""
        allowed = self.front.metrics
        if allowed == "off":
            raise NotFound("Nothing is served at /metrics.", remedy="The operator can set server.metrics.")
        if allowed == "loopback" and not from_this_machine(request):
            raise Forbidden("Metrics are for programs of the same machine.", remedy="Set server.metrics to any.")
        site = self.front.site
        async with site.catalog.read() as tx:
            open_imports = await tx.count_open_imports()
        return Response(site.metrics.text(site, open_imports), media_type=EXPOSITION)

    async def _administrator(self, request: Request) -> bool:
        try:
            return (await self.front.caller(request)).is_admin
        except Refusal:  # whoever it is: a stranger, or nobody can tell now
            return False


def from_this_machine(request: Request) -> bool:
    """Whether a program of this machine asks by itself. A proxy beside the service would make everybody look so."""
    if request.client is None or any(name in request.headers for name in _PASSED_ON):
        return False
    return ip_address(request.client.host).is_loopback


def tree_json(watched: Watched, now: datetime, *, inside: bool) -> dict[str, Any]:
    """One watched tree. Only `inside` is told of files."""
    state = watched.state
    found: dict[str, Any] = {
        "revision": state.revision,
        "rules": state.rules,
        "since": state.since and moment(state.since),
        "age_seconds": _age(state.since, now),
        "pending": state.pending is not None,
    }
    return {**found, "problem": problem_json(state, now)} if inside and state.pending is not None else found


def tool_json(tool: ToolState) -> dict[str, Any]:
    if tool.problem is None:
        return {"version": tool.version}
    return {"problem": tool.problem.message, "remedy": tool.problem.remedy}


def process_json(process: Process, now: datetime, *, here: bool) -> dict[str, Any]:
    """One gateway; `beat_seconds` is the age of its last sign of life, null where it needs none."""
    return {
        "host": process.host,
        "here": here,
        "started_at": moment(process.started_at),
        "beat_seconds": None if process.lease is None else _age(process.beat_at, now),
        "policy": process.revision,
        "draining": process.draining,
    }


def problem_json(state: TreeState, now: datetime) -> dict[str, Any]:
    """Why a changed tree is not taken; `text` has each place as file:line:column."""
    refusal = state.pending
    assert refusal is not None
    return {
        "code": refusal.code,
        "message": refusal.message,
        "text": str(refusal),
        "remedy": refusal.remedy,
        "age_seconds": _age(state.pending_since, now),
    }


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else round((now - since).total_seconds(), 3)
