"""Emergency stops at work: kept in the records, laid over every tree of every process, and what runs against one ends.

A stop decides nothing by itself. It is a deny of the policy from the moment it is seen (`gateway.policy.stops`), and
what is under way is asked again, by the same `decide`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.jobs.rounds import one_round
from gateway.model.caller import Caller
from gateway.model.decision import ReasonCode
from gateway.model.errors import BadRequest, Conflict, Forbidden, Refusal
from gateway.model.stop import Stop, StopKind
from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from gateway.policy.stops import stop_rules, stop_value
from gateway.service.judge import judge_under
from gateway.service.policies import beside_the_loop
from gateway.service.site import Granted, Progress, Site

log = logging.getLogger(__name__)

POLL_SECONDS = 0.4
"""How long another process of the same records may not know of a stop yet."""

GRACE_SECONDS = 0.25
"""What a delivery gets to end by itself, with a report of how far it came."""

MOST = 200
"""Every decision looks at all of them: who needs more wants a rule of the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A stop as an administrator asks for it."""

    kind: StopKind
    value: str
    message: str
    reason: str


async def refresh(site: Site) -> None:
    """Look at the records; what has changed is in force when this returns. Raises Unavailable."""
    async with site.policy.changing:
        async with site.catalog.read() as tx:
            found = list(await tx.stops())
        if found != [rule.stop for rule in site.policy.stops]:
            site.policy.stops = stop_rules(found)
            log.warning("stops in force: %d", len(found))
            await end_stopped(site)


async def forever(site: Site) -> None:
    while True:
        await asyncio.sleep(POLL_SECONDS)
        with one_round(log, "stops stay as they are"):
            await refresh(site)


async def stops(site: Site, caller: Caller, *, lifted: bool = False) -> Sequence[Stop]:
    """The stops in force, oldest first; with `lifted`, those of the past too. Raises Forbidden."""
    _admitted(caller)
    async with site.catalog.read() as tx:
        return await tx.stops(lifted=lifted)


async def add(site: Site, caller: Caller, wanted: Wanted) -> Stop:
    """In force in this process when this returns, in others within a second. Raises Forbidden, BadRequest, Conflict."""
    _admitted(caller)
    value = _spelled(wanted)
    now = site.clock.now()
    stop = Stop(
        id=site.new_id(),
        kind=wanted.kind,
        value=value,
        message=wanted.message,
        reason=wanted.reason,
        added_by=_name(caller),
        added_at=now,
    )
    async with site.catalog.begin() as tx:
        _check_new(stop, await tx.stops())
        await tx.add_stop(stop)
    log.warning("stop %s: %s %s, by %s: %s", stop.id, stop.kind, stop.value, stop.added_by, stop.reason)
    await refresh(site)
    return stop


async def lift(site: Site, caller: Caller, stop_id: str, reason: str) -> Stop:
    """Raises Forbidden, NotFound."""
    _admitted(caller)
    async with site.catalog.begin() as tx:
        stop = await tx.lift_stop(stop_id, by=_name(caller), reason=reason, now=site.clock.now())
    log.warning("stop %s lifted by %s: %s", stop.id, stop.lifted_by, reason)
    await refresh(site)
    return stop


def _admitted(caller: Caller) -> None:
    if not caller.is_admin:
        raise Forbidden("Stops are for administrators.", remedy="Ask the operators of your cloud.")


def _name(caller: Caller) -> str:
    return caller.user_name or caller.user_id


def _spelled(wanted: Wanted) -> str:
    try:
        return stop_value(wanted.kind, wanted.value)
    except ValueError as error:
        raise BadRequest(f"This cannot be stopped: {error}.", remedy="Correct it.", code="bad-stop") from None


def _check_new(stop: Stop, found: Sequence[Stop]) -> None:
    for one in found:
        if (one.kind, one.value) == (stop.kind, stop.value):
            raise Conflict(f"The {stop.kind} {stop.value} is stopped already: {one.id}.", code="stop-exists")
    if len(found) >= MOST:
        raise Conflict(
            f"{MOST} stops are in force.", remedy="Lift some, or write rules into the policy.", code="too-many-stops"
        )


async def end_stopped(site: Site) -> None:
    """Whatever moves bytes against a stop ends by name: told first, and then without waiting for its source."""
    moving = list(site.writing.values())
    refusals = await beside_the_loop(lambda: [_stopped(site, progress) for progress in moving])
    told = [(progress, refusal) for progress, refusal in zip(moving, refusals, strict=True) if refusal is not None]
    for progress, refusal in told:
        progress.tell(refusal)
    if told:
        await asyncio.sleep(GRACE_SECONDS)
        await asyncio.gather(*[one.give_up(refusal) for one, refusal in told if _moves(site, one)])


def _moves(site: Site, progress: Progress) -> bool:
    return any(one is progress for one in site.writing.values())


def _stopped(site: Site, progress: Progress) -> Refusal | None:
    """The refusal that ends it, with its own record in the decision log; None for what no stop is about."""
    return next((refusal for one in progress.granted if (refusal := _refused(site, one)) is not None), None)


def _refused(site: Site, granted: Granted) -> Refusal | None:
    policy, facts = site.policy.over(granted.policy), Facts(granted.values, site.clock.now())
    decision = decide(policy, granted.method, facts, stages=site.stages)
    if not decision.reasons or decision.reasons[0].code is not ReasonCode.STOPPED:
        return None
    try:
        judge_under(site, granted.policy, granted.method, granted.values, image_id=granted.image_id)
    except Refusal as refusal:  # the stop's own, or Unavailable where it cannot be logged: it stops all the same
        return refusal
    return None
