"""What has to hold for every tree and every import. Each property is a generator of what it finds wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from random import Random

from jsonschema import Draft202012Validator

from gateway.model.decision import Action, Decision, Within
from gateway.policy.asking_schema import import_schema
from gateway.policy.changes import FACTS, Choices, changes
from gateway.policy.decide import decide
from gateway.policy.expression import Truth
from gateway.policy.facts import Facts
from gateway.policy.offers import Offers, offers
from gateway.policy.problems import Problems
from gateway.policy.rules import Policy
from gateway.policy.whatif import Question, applied, smallest_change
from gateway.policy.within import weighed
from tests.policy.campaign.drawing import (
    CONTAINERS,
    FORMATS,
    GUARDRAILS,
    NOW,
    REGIONS,
    STORES,
    Case,
    Json,
    compiled,
    rule,
    topics,
)
from tests.policy.campaign.hops import hop_refused
from tests.policy.campaign.reference import answer

CHOICES = Choices(disk_formats=FORMATS, container_formats=CONTAINERS, stores=STORES, regions=REGIONS)


@dataclass(frozen=True)
class Tried:
    """A case with its tree compiled; `number` lets costly properties look at some of them."""

    number: int
    case: Case
    policy: Policy

    @property
    def early(self) -> Json:
        """What is known when the call is made."""
        return {name: value for name, value in self.case.facts.items() if not name.startswith("content.")}

    def asked(self, facts: Json, *, final: bool = False) -> Question:
        return Question(
            policy=self.policy, method=self.case.method, facts=Facts(facts, NOW), final=final, choices=CHOICES
        )

    @cached_property
    def offers(self) -> Offers:
        return offers(self.policy, Facts(self.case.who, NOW))

    @cached_property
    def offered(self) -> Decision:
        return self.offers.decisions[self.case.method]

    @cached_property
    def called(self) -> Decision:
        return self.asked(self.early).decided()

    @cached_property
    def ended(self) -> Decision:
        return self.asked(self.case.facts, final=True).decided()

    def kept(self, within: Within, facts: Json) -> set[Truth]:
        return {truth for _, _, truth in weighed(within, self.case.method, facts)}


def the_reference_agrees(tried: Tried) -> Iterator[str]:
    expected = answer(tried.case, tried.case.facts)
    found = tried.ended.action is Action.ALLOW
    if found != expected.allowed:
        yield f"decided {tried.ended.action}, the language says {'allow' if expected.allowed else 'deny'}"
    stages = {call.name for call in tried.ended.plan.stages}
    if found and expected.allowed and stages != expected.stages:
        yield f"planned {sorted(stages)}, the language says {sorted(expected.stages)}"


def what_is_allowed_was_offered(tried: Tried) -> Iterator[str]:
    if tried.ended.action is not Action.ALLOW:
        return
    if tried.offered.action is Action.DENY:
        yield "allowed, but withheld by discovery"
    elif not any(tried.kept(way, tried.case.facts) <= {Truth.YES} for way in tried.offered.within):
        yield "allowed, but outside of everything that discovery shows"
    if tried.called.action is Action.DENY:
        yield "allowed at the end, but refused at the call"


def an_answer_that_is_not_open_is_final(tried: Tried) -> Iterator[str]:
    if tried.called.action not in (Action.OPEN, tried.ended.action):
        yield f"{tried.called.action} at the call, {tried.ended.action} at the end"


def what_is_offered_without_reserve_is_allowed(tried: Tried) -> Iterator[str]:
    inside = any(tried.kept(way, tried.case.facts) <= {Truth.YES} for way in tried.offered.within)
    if inside and not tried.offered.refused_when and tried.ended.action is not Action.ALLOW:
        yield f"offered and inside, but decided {tried.ended.action}"


def a_call_that_passes_is_inside_an_offer(tried: Tried) -> Iterator[str]:
    if tried.called.action is Action.DENY:
        return
    if not any(Truth.NO not in tried.kept(way, tried.early) for way in tried.offered.within):
        yield "passes at the call, but is outside of everything that discovery shows"


def promised_stages_run(tried: Tried) -> Iterator[str]:
    if tried.ended.action is Action.ALLOW:
        promised = {call.name for call in tried.offered.plan.stages}
        may = promised | {call.name for call, _ in tried.offered.sometimes}
        ran = {call.name for call in tried.ended.plan.stages}
        if not promised <= ran <= may:
            yield f"discovery says {sorted(promised)} and maybe {sorted(may - promised)}, {sorted(ran)} run"


def the_smallest_change_passes_and_no_part_of_it_does(tried: Tried) -> Iterator[str]:
    for asked in (tried.asked(tried.early), tried.asked(tried.case.facts, final=True)):
        if asked.decided().action is not Action.DENY or not (found := smallest_change(asked)):
            continue
        if applied(asked, found.changes).decided().action is not found.action or found.action is Action.DENY:
            yield f"{found} does not pass"
        parts = (part for size in range(len(found.changes)) for part in combinations(found.changes, size))
        if any(applied(asked, part).decided().action is not Action.DENY for part in parts):
            yield f"a part of {found} passes already"


def a_single_change_is_not_overlooked(tried: Tried) -> Iterator[str]:
    asked = tried.asked(tried.early)
    if tried.number % 3 or tried.called.action is not Action.DENY:
        return
    found = smallest_change(asked)
    if found is not None and len(found.changes) == 1:
        return
    each = (one for kind in FACTS for one in changes(kind, tried.early, tried.offered.within, CHOICES))
    enough = [one for one in each if applied(asked, (one,)).decided().action is not Action.DENY]
    if enough:
        yield f"{enough[0]} is enough, but {found} is told"


def what_the_schema_refuses_is_refused(tried: Tried) -> Iterator[str]:
    schema = import_schema(tried.offers, CHOICES)
    valid = Draft202012Validator(schema).is_valid(_body(tried.case))
    if not valid and tried.called.action is not Action.DENY:
        yield "the schema of imports refuses what is not refused"


def _body(case: Case) -> Json:
    facts = case.image
    method: Json = {"name": case.method}
    if "request.host" in facts:
        default = facts["request.port"] == {"http": 80, "https": 443}[facts["request.scheme"]]
        port = "" if default else f":{facts['request.port']}"
        address = f"{facts['request.host']}{port}{facts['request.path']}"
        method["uri"] = f"{facts['request.scheme']}://{address}"
    if facts.get("request.credential"):
        method["credential"] = facts["request.credential"]
    if "request.region" in facts:
        method |= {"glance_region": facts["request.region"], "glance_image_id": "0" * 32}
    return {"method": method, "stores": list(facts["request.stores"])}


def a_hop_elsewhere_is_judged_like_the_first(tried: Tried) -> Iterator[str]:
    if tried.case.method != "web-download":
        return
    other = {**tried.early, "request.host": "elsewhere.example"}
    expected = decide(tried.policy, "web-download", Facts(other, NOW)).action is Action.DENY
    if hop_refused(tried.policy, tried.early, "elsewhere.example") != expected:
        yield "a redirect is judged by another host than its own"


def a_guardrail_never_turns_a_refusal_into_an_allow(tried: Tried) -> Iterator[str]:
    if tried.number % 5 or tried.ended.action is Action.ALLOW:
        return
    random = Random(tried.number)
    more = rule(random, topics(random), GUARDRAILS, "more")
    tree = _recompiled(tried, *tried.case.documents, {"version": 1, "policy": "more", "rules": [more]})
    if tree and replace(tried, policy=tree).ended.action is Action.ALLOW:
        yield f"refused, but allowed with one guardrail more: {more}"


def order_changes_nothing(tried: Tried) -> Iterator[str]:
    if tried.number % 5 != 1:
        return
    turned = [{**one, "rules": one["rules"][::-1]} for one in tried.case.documents[::-1]]
    tree = _recompiled(tried, *turned)
    other = replace(tried, policy=tree).ended if tree else None
    if other is None or replace(other, revision=tried.ended.revision) != tried.ended:
        yield "files and rules in another order decide otherwise"


def the_engines_agree(tried: Tried) -> Iterator[str]:
    if tried.number % 10 != 2:
        return
    other = replace(tried, policy=compiled(tried.case.documents, tried.case.stops, "cel-python"))
    if (other.offered, other.called, other.ended) != (tried.offered, tried.called, tried.ended):
        yield "the engines decide differently"


def _recompiled(tried: Tried, *documents: Json) -> Policy | None:
    try:
        return compiled(documents, tried.case.stops)
    except Problems:
        return None


PROPERTIES: tuple[Callable[[Tried], Iterator[str]], ...] = (
    the_reference_agrees,
    what_is_allowed_was_offered,
    an_answer_that_is_not_open_is_final,
    what_is_offered_without_reserve_is_allowed,
    a_call_that_passes_is_inside_an_offer,
    promised_stages_run,
    the_smallest_change_passes_and_no_part_of_it_does,
    a_single_change_is_not_overlooked,
    what_the_schema_refuses_is_refused,
    a_hop_elsewhere_is_judged_like_the_first,
    a_guardrail_never_turns_a_refusal_into_an_allow,
    order_changes_nothing,
    the_engines_agree,
)
