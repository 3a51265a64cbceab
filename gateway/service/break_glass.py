"""Opening a break-glass rule for a project: with a reason, for a time, by somebody whose role may.

An opening ends by itself, because its `until` is compared with each request's clock. What was accepted under it goes on
after its end: an import keeps the facts it was granted with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.model.caller import Caller
from gateway.model.errors import BadRequest, Forbidden, NotFound
from gateway.model.trust import Opening
from gateway.policy.facts import Facts
from gateway.policy.matching import openable, selected, who
from gateway.policy.quantity import opening_seconds
from gateway.policy.record import opening_record
from gateway.policy.rules import BreakGlass, Policy, Rule
from gateway.service.judge import asking
from gateway.service.site import Site

LEAST_REASON, LONGEST_REASON = 10, 500
_KEYS = ("rule", "reason", "duration", "project_id")
_REMEDY = "GET /v2/info/import/break-glass lists what you may open."
_EXAMPLE = 'Send {"rule": "policy/id", "reason": "why it has to be now", "duration": "1h"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What shall be opened. `project` None is the caller's own."""

    rule: str
    reason: str
    duration: timedelta
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Openings:
    """What a caller may open, and what is open: for its project, for an administrator in every project."""

    openable: Sequence[Rule]
    open: Sequence[Opening]


def read_wanted(body: Mapping[str, Any]) -> Wanted:
    """Check the shape of `{"rule", "reason", "duration", "project_id"}`, the last one optional. Raises BadRequest."""
    if strangers := sorted(body.keys() - set(_KEYS)):
        raise _bad(f"'{strangers[0]}' is not a key here")
    for key in body:
        if not isinstance(body[key], str) or not body[key]:
            raise _bad(f"'{key}' must be a text")
    if missing := [key for key in _KEYS[:3] if key not in body]:
        raise _bad(f"'{missing[0]}' is missing")
    reason = body["reason"].strip()
    if not LEAST_REASON <= len(reason) <= LONGEST_REASON:
        raise _bad(f"'reason' has to have {LEAST_REASON} to {LONGEST_REASON} characters, and has {len(reason)}")
    return Wanted(
        rule=body["rule"], reason=reason, duration=_duration(body["duration"]), project=body.get("project_id")
    )


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=opening_seconds(text))
    except ValueError as error:
        raise _bad(f"'duration': {error}") from None


def _bad(message: str) -> BadRequest:
    return BadRequest(f"Invalid opening: {message}.", remedy=_EXAMPLE, code="bad-opening")


async def shown(site: Site, caller: Caller) -> Openings:
    """`GET /v2/info/import/break-glass`."""
    policy = site.policy.current
    facts = await asking(site, policy, caller)
    mine = [rule for rule in policy.break_glass if openable(rule, who(facts), facts.now)]
    async with site.catalog.read() as tx:
        found = await tx.openings(None if caller.is_admin else caller.project_id, now=facts.now)
    return Openings(mine, found)


async def open_rule(site: Site, caller: Caller, wanted: Wanted) -> Opening:
    """`POST /v2/info/import/break-glass`: from now on the rule grants.

    The log is written before the opening takes effect. Raises NotFound, Forbidden, BadRequest, Conflict, and
    Unavailable where the log cannot be written.
    """
    policy = site.policy.current
    facts = await asking(site, policy, caller)
    project = wanted.project or caller.project_id
    glass = _allowed(policy, caller, facts, wanted.rule, project)
    if wanted.duration > glass.longest:
        raise BadRequest(
            f"'{wanted.rule}' may be open for at most {glass.longest}.",
            remedy="Ask for less; it can be opened again.",
            code="over-limit",
        )
    opening = Opening(
        id=site.new_id(),
        project=project,
        rule=wanted.rule,
        reason=wanted.reason,
        opened_by=caller.user_id,
        opened_at=facts.now,
        until=facts.now + wanted.duration,
    )
    async with site.catalog.begin() as tx:
        await tx.add_opening(opening)
        await _log(site, "break-glass-opened", opening, by=caller.user_id, at=facts.now, revision=policy.revision)
    return opening


def _allowed(policy: Policy, caller: Caller, facts: Facts, name: str, project: str) -> BreakGlass:
    """The terms of the rule. For another project nobody knows tags here: whether it is for that one, its imports see.

    Raises Forbidden where the caller's roles or project may not, NotFound where there is nothing for it to open.
    """
    mine = project == caller.project_id
    if not mine and not caller.is_admin:
        raise Forbidden("You may open rules for your own project only.", remedy="Leave 'project_id' out.")
    rule = _rule(policy, name)
    if rule is None or rule.break_glass is None or (mine and not selected(rule, who(facts), facts.now)):
        raise NotFound(f"There is no break-glass rule '{name}' for this project.", remedy=_REMEDY)
    if rule.break_glass.roles.isdisjoint(caller.roles):
        raise Forbidden(f"None of your roles may open '{name}'.", remedy=_REMEDY)
    return rule.break_glass


def _rule(policy: Policy, name: str) -> Rule | None:
    return next((rule for rule in policy.break_glass if rule.name == name), None)


async def close(site: Site, caller: Caller, opening_id: str) -> Opening:
    """`DELETE /v2/info/import/break-glass/{id}`: before its time. Raises NotFound, Forbidden."""
    policy, now = site.policy.current, site.clock.now()
    async with site.catalog.begin() as tx:
        opening = await tx.opening(opening_id)
        if opening is None or not (caller.is_admin or opening.project == caller.project_id):
            raise NotFound(f"Nothing is open under the id {opening_id}.", remedy=_REMEDY)
        if not _may_close(policy, caller, opening):
            raise Forbidden(f"None of your roles may close '{opening.rule}'.", remedy="Ask whoever opened it.")
        ended = await tx.end_opening(opening_id, by=caller.user_id, now=now)
        await _log(site, "break-glass-closed", ended, by=caller.user_id, at=now, revision=policy.revision)
    return ended


def _may_close(policy: Policy, caller: Caller, opening: Opening) -> bool:
    """Whoever opened it, whoever could, and an administrator: the rule itself may be gone by now."""
    if caller.is_admin or opening.opened_by == caller.user_id:
        return True
    rule = _rule(policy, opening.rule)
    return rule is not None and rule.break_glass is not None and not rule.break_glass.roles.isdisjoint(caller.roles)


async def _log(site: Site, event: str, opening: Opening, *, by: str, at: datetime, revision: str) -> None:
    """Written before it takes effect. Raises Unavailable where it cannot be."""
    await asyncio.to_thread(site.decisions.record, opening_record(event, opening, by=by, at=at, revision=revision))
