"""The one way to a decision: facts are gathered here, `decide` is called here, and the log is written here.

A decision that cannot be logged is not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.model.caller import Caller
from gateway.model.decision import Action, Decision
from gateway.model.errors import PolicyRefused
from gateway.model.image import Image
from gateway.model.verdict import Verdict
from gateway.policy.advice import advice
from gateway.policy.changes import Choices
from gateway.policy.decide import decide
from gateway.policy.facts import Facts, FactValue
from gateway.policy.record import record
from gateway.policy.rules import Policy
from gateway.policy.whatif import Question
from gateway.ports import Transaction
from gateway.service.shadow import Asked
from gateway.service.site import Site
from gateway.service.standing import standing

FactValues = Mapping[str, FactValue]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision that stands in the log under `id`, made `at` that time with these facts."""

    id: str
    at: datetime
    decision: Decision
    facts: FactValues
    entry: Mapping[str, object]


def who(caller: Caller) -> FactValues:
    return {
        "project.id": caller.project_id,
        "project.name": caller.project_name,
        "project.domain": caller.project_domain,
        "project.tags": caller.project_tags,
        "user.id": caller.user_id,
        "user.roles": caller.roles,
    }


async def asking(site: Site, policy: Policy, caller: Caller) -> Facts:
    """All facts of the first phase, for questions about what a caller may do."""
    values = who(caller)
    return Facts({**values, **await standing(site, policy, values)}, site.clock.now())


def about(image: Image) -> FactValues:
    """The request facts a record gives; formats that are not set yet are absent."""
    known: dict[str, FactValue] = {
        "request.visibility": image.visibility,
        "request.properties": dict(image.properties),
    }
    if image.disk_format is not None:
        known["request.disk_format"] = image.disk_format
    if image.container_format is not None:
        known["request.container_format"] = image.container_format
    return known


def seen(verdict: Verdict) -> FactValues:
    """The content facts a verdict proves. What a conversion made has sizes of its own; its format was not asked for."""
    known: dict[str, FactValue] = {"content.size": verdict.size}
    if verdict.virtual_size is not None:
        known["content.virtual_size"] = verdict.virtual_size
    disk_format = (verdict.made_of or verdict).disk_format
    if disk_format is not None:
        known["content.disk_format"] = disk_format
    return known


async def judge(site: Site, method: str, values: FactValues, *, image_id: str, final: bool = False) -> Judgement:
    """Decide under the tree in force, log, and refuse in words if the answer is no.

    `final` once the bytes have been seen. Raises PolicyRefused (403), Unavailable when the log cannot be written.
    """
    policy = site.policy.current
    values = {**values, **await standing(site, policy, values)}
    return await asyncio.to_thread(judge_under, site, policy, method, values, image_id=image_id, final=final)


def judge_under(
    site: Site, policy: Policy, method: str, values: FactValues, *, image_id: str, final: bool = False
) -> Judgement:
    """The same under a given tree, for the worker's threads: an import keeps the tree it was granted under.

    The stops of this moment lie over any tree.
    """
    facts = Facts({**values, "request.method": method}, site.clock.now())
    policy = site.policy.over(policy)
    decision = decide(policy, method, facts, final=final, stages=site.stages)
    judgement_id = site.new_id()
    entry = record(decision, facts, decision_id=judgement_id, image_id=image_id, final=final)
    site.decisions.record(entry)
    site.metrics.decided(decision)
    if site.shadow is not None:
        site.shadow.ask(Asked(decision, facts, final, policy.stops, entry))
    if decision.action is Action.DENY:
        asked = Question(
            policy=policy, method=method, facts=facts, final=final, stages=site.stages, choices=choices(site)
        )
        raise _refused(asked, decision, judgement_id)
    return Judgement(judgement_id, facts.now, decision, facts.values, entry)


def _refused(asked: Question, decision: Decision, judgement_id: str) -> PolicyRefused:
    """One text, whatever call or import is refused."""
    reason = advice(asked, decision).reason
    return PolicyRefused(
        reason.message, remedy=reason.remedy, code=reason.code, rule=reason.rule, decision=judgement_id
    )


def choices(site: Site) -> Choices:
    """What a refused caller may be pointed to: what this site has."""
    limits = site.limits
    stores = site.taking_stores if site.upstream is None else site.upstream.stores_seen
    return Choices(disk_formats=limits.disk_formats, container_formats=limits.container_formats, stores=stores)


async def remember(tx: Transaction, judgement: Judgement, image_id: str) -> None:
    """Keep the decision beside the record it was made for, in the transaction that acts on it."""
    await tx.add_decision(judgement.id, image_id, judgement.at, judgement.decision.revision, judgement.entry)
