"""Whether the tools that stages need are well: told to operators, at the start and whenever they ask."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from gateway.model.errors import Unavailable
from gateway.service.site import Site

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolState:
    """A stage's tool: which it is, or what is wrong with it."""

    stage: str
    version: str | None = None
    problem: Unavailable | None = None


async def tool_states(site: Site) -> list[ToolState]:
    """All tools, asked now and beside each other. Each answers within its own deadline."""
    return await asyncio.gather(*(asyncio.to_thread(_state, site, stage) for stage in site.tool_checks))


async def log_tools(site: Site) -> None:
    for state in await tool_states(site):
        if state.problem is not None:
            log.warning("stage %s: %s %s", state.stage, state.problem.message, state.problem.remedy)
        else:
            log.info("stage %s: %s", state.stage, state.version)


def _state(site: Site, stage: str) -> ToolState:
    try:
        return ToolState(stage, version=site.tool_checks[stage]())
    except Unavailable as problem:
        return ToolState(stage, problem=problem)
