"""Verdicts in retrospect: what a later tree says of the images that are active, and taking back what it refuses.

Everything it needs was kept: who asked and where the bytes came from in the last final decision, what the bytes are in
their verdict. The rest is as the image is today. Nothing is fetched, and no stage runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.model.decision import Action, Decision
from gateway.model.image import Image, Move
from gateway.model.imports import Import, ImportStatus, ImportType
from gateway.model.verdict import Verdict
from gateway.policy.decide import decide
from gateway.policy.facts import HISTORY, Facts
from gateway.policy.record import record
from gateway.policy.replaying import Recorded, recorded
from gateway.policy.rules import Policy
from gateway.ports import Catalog, Clock, DecisionLog, Transaction
from gateway.service import history
from gateway.service.judge import about, seen
from gateway.stages.verdicts import covers, verdict_from_json

PAGE = 100


class Kind(StrEnum):
    """`UNCHECKED`: nothing refuses it, but stages that are required now never ran. `UNKNOWN`: too little was kept."""

    KEPT = "kept"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """What a judgement in retrospect needs. `stages` are the names of the stages set up at the site."""

    catalog: Catalog
    decisions: DecisionLog
    policy: Policy
    stages: frozenset[str]
    clock: Clock
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """One active image as it was found. `missing` are required stages that never ran over its bytes."""

    image: Image
    kind: Kind
    basis: Recorded | None = None
    facts: Facts | None = None
    decision: Decision | None = None
    missing: tuple[str, ...] = ()


async def rejudge(court: Court) -> AsyncIterator[Rejudged]:
    """Every image that is active, in the order of their ids. Changes nothing."""
    after: str | None = None
    while True:
        async with court.catalog.read() as tx:
            page = await tx.active_images(after, PAGE)
            found = [await _judged(court, tx, image) for image in page]
        for one in found:
            yield one
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _judged(court: Court, tx: Transaction, image: Image) -> Rejudged:
    basis, verdict = await _basis(tx, image), await _verdict(tx, image)
    if basis is None or verdict is None:
        return Rejudged(image=image, kind=Kind.UNKNOWN)
    values = {**basis.facts.values, **await _history(court, tx, basis), **about(image), **seen(verdict)}
    facts = Facts({**values, "request.stores": image.stores}, court.clock.now())
    decision = decide(court.policy, basis.method, facts, final=True, stages=court.stages)
    kind, missing = _kind(decision, verdict)
    return Rejudged(image=image, kind=kind, basis=basis, facts=facts, decision=decision, missing=missing)


async def _basis(tx: Transaction, image: Image) -> Recorded | None:
    """The decision that let its bytes in: the newest final one, but for those about copies of them."""
    for entry in await tx.decisions(image.id):
        if entry.get("final") and entry.get("method") != "copy-image" and "rejudges" not in entry:
            return recorded(entry)
    return None


async def _verdict(tx: Transaction, image: Image) -> Verdict | None:
    kept = [blob.verdict for blob in await tx.locations(image.id) if blob.verdict is not None]
    return verdict_from_json(kept[0]) if kept else None


async def _history(court: Court, tx: Transaction, basis: Recorded) -> Mapping[str, Any]:
    """As it was when it was decided; where no rule asked then, as it is now."""
    if HISTORY.isdisjoint(court.policy.facts) or not HISTORY.isdisjoint(basis.facts.values):
        return {}
    return history.facts(await tx.history(basis.project), court.clock.now())


def _kind(decision: Decision, verdict: Verdict) -> tuple[Kind, tuple[str, ...]]:
    if decision.action is Action.DENY:
        return Kind.REFUSED, ()
    missing = tuple(call.name for call in decision.plan.stages if not covers(verdict.reports, [call]))
    return (Kind.UNCHECKED if missing else Kind.KEPT), missing


async def deactivate(court: Court, found: Rejudged) -> bool:
    """Take a refused image out of use; False, and nothing happened, where it is not as it was found any more.

    The image's tasks say why, the decision stands in the log and beside the image. Raises Unavailable.
    """
    if found.kind is not Kind.REFUSED or found.decision is None or found.facts is None or found.basis is None:
        return False
    decision_id, now = court.new_id(), found.facts.now
    entry = record(
        found.decision,
        found.facts,
        decision_id=decision_id,
        image_id=found.image.id,
        final=True,
        rejudges=found.basis.id,
    )
    async with court.catalog.begin() as tx:
        if await tx.image(found.image.id) != found.image:
            return False
        await asyncio.to_thread(court.decisions.record, entry)
        await tx.move_image(found.image.id, Move.DEACTIVATE, now=court.clock.now())
        await tx.add_decision(decision_id, found.image.id, now, found.decision.revision, entry)
        await tx.add_import(_task(court, found, decision_id, found.decision))
    return True


def _task(court: Court, found: Rejudged, decision_id: str, decision: Decision) -> Import:
    """What its owner reads in the image's tasks."""
    reason, now = decision.reasons[0], court.clock.now()
    return Import(
        id=court.new_id(),
        image_id=found.image.id,
        owner=found.image.owner,
        user_id="operator",
        method=decision.method,
        type=ImportType.REJUDGED,
        status=ImportStatus.SUCCESS,
        stores=found.image.stores,
        decision_id=decision_id,
        revision=decision.revision,
        code=reason.code.value,
        message=f"Deactivated: this cloud's policy does not allow this image any more. {reason.message}",
        remedy=reason.remedy,
        created_at=now,
        updated_at=now,
    )
