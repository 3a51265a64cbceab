"""Transforms demanded with contradicting options by rules that are certain to meet.

Rules that only may meet are left to the decision (`policy-conflict`): there may be no import that is under both.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.policy.problems import Problem
from gateway.policy.reader import Node
from gateway.policy.rules import EVERYONE, Mode, Rule, Verb
from gateway.policy.stagewords import TRANSFORMS

_Audience = tuple[object, ...]
_ALWAYS: _Audience = (EVERYONE, EVERYONE, (), (), None, None)


class _Demand(NamedTuple):
    """One option of a transform that a rule demands, and the audience it demands it of."""

    rule: Rule
    node: Node
    key: tuple[str, str, str]
    value: object
    audience: _Audience


def contradictions(required: Sequence[tuple[Rule, Node]], exempted: Container[str]) -> Iterator[Problem]:
    """A problem for each rule whose every import would end in a conflict. `exempted` rules may be spared it."""
    demands = [
        demand
        for rule, node in required
        if rule.verb is Verb.REQUIRE and rule.mode is Mode.ENFORCE and rule.name not in exempted
        for demand in _demands(rule, node)
    ]
    first: dict[tuple[object, ...], _Demand] = {}
    told: set[tuple[str, str]] = set()
    for demand in [*demands, *reversed(demands)]:
        other = _other(demand, first)
        if other is not None and (demand.rule.name, demand.key[1]) not in told:
            told |= {(demand.rule.name, demand.key[1]), (other.rule.name, demand.key[1])}
            yield _problem(demand, other)
        first.setdefault((*demand.key, demand.audience), demand)


def _demands(rule: Rule, node: Node) -> Iterator[_Demand]:
    audience = (
        rule.scope,
        rule.selector,
        rule.bounds,
        tuple(sorted(condition.source for condition in rule.when)),
        rule.active_from,
        rule.active_until,
    )
    for call in rule.stages:
        for option, value in call.options if call.name in TRANSFORMS else ():
            for method in sorted(rule.methods):
                yield _Demand(rule, node, (method, call.name, option), value, audience)


def _other(demand: _Demand, first: Mapping[tuple[object, ...], _Demand]) -> _Demand | None:
    """A demand with another value that holds whenever this one does: for the same audience, or for everybody."""
    found = (first.get((*demand.key, audience)) for audience in (demand.audience, _ALWAYS))
    return next((one for one in found if one is not None and one.value != demand.value), None)


def _problem(demand: _Demand, other: _Demand) -> Problem:
    method, stage, option = demand.key
    where = "the same rule" if other.rule is demand.rule else f"'{other.rule.name}' ({other.rule.place})"
    message = (
        f"'{stage}' is demanded with two values of '{option}', '{demand.value}' here and '{other.value}' by {where}"
    )
    hint = f"every import by {method} would be refused; keep one"
    return demand.node.problem("conflicting-transforms", message, hint)
