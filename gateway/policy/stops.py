"""Stops as rules: each is one deny, `stops/ID`, laid over a compiled tree without looking at the tree's own rules.

A policy with stops is decided about like any other; nothing else knows how a stop works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.model.stop import Stop, StopKind
from gateway.policy.expression import Program
from gateway.policy.facts import METHODS, SOURCE_FACTS
from gateway.policy.hosts import host_pattern
from gateway.policy.rules import EVERYONE, Condition, Place, Policy, Selector, StopRule, Verb
from gateway.policy.within import host_matches

NAME = "stops"
"""What stands in the place of a policy's name: a stop is `stops/ID` wherever rules are named."""

HOST = "request.host"
_PLACE = Place(NAME, 1, 1)
_EVERY = frozenset(METHODS)
_FETCHING = frozenset(method for method, facts in SOURCE_FACTS.items() if HOST in facts)


def stop_rules(stops: Iterable[Stop]) -> tuple[StopRule, ...]:
    """The rules of stops, in the order of their names."""
    return tuple(sorted(map(_rule, stops), key=lambda rule: rule.name))


def laid_over(policy: Policy, rules: tuple[StopRule, ...]) -> Policy:
    """`policy` with exactly these stops over it. Its cost does not depend on the size of the tree."""
    return policy if policy.stops == rules else replace(policy, stops=rules)


def stop_value(kind: StopKind, value: str) -> str:
    """The value in the spelling that facts have. Raises ValueError, in words for the one who wrote it."""
    if kind is StopKind.HOST:
        return host_pattern(value)
    if kind is StopKind.METHOD and value not in _EVERY:
        raise ValueError(f"there is no import method '{value}'; there are {', '.join(METHODS)}")
    return value


def stop_json(stop: Stop) -> dict[str, str]:
    """What a decision record keeps of a stop: enough to decide again. Its words are in the catalog."""
    return {"id": stop.id, stop.kind.value: stop.value}


def stop_from_json(value: Mapping[str, Any]) -> Stop:
    """A stop of a decision record; what the record does not keep is empty. Raises ValueError."""
    kind = next((kind for kind in StopKind if kind.value in value), None)
    if kind is None:
        raise ValueError(f"a stop names one of {', '.join(StopKind)}")
    return Stop(
        id=str(value["id"]),
        kind=kind,
        value=str(value[kind.value]),
        message="",
        reason="",
        added_by="",
        added_at=datetime.min.replace(tzinfo=UTC),
    )


def _rule(stop: Stop) -> StopRule:
    by_project = stop.kind is StopKind.PROJECT
    return StopRule(
        policy=NAME,
        id=stop.id,
        verb=Verb.DENY,
        methods=_methods(stop),
        selector=Selector(projects=frozenset({stop.value})) if by_project else EVERYONE,
        when=(_from_host(stop.value),) if stop.kind is StopKind.HOST else (),
        message=stop.message,
        place=_PLACE,
        stop=stop,
    )


def _methods(stop: Stop) -> frozenset[str]:
    """A host says nothing about methods that have none: they would never be free of doubt."""
    if stop.kind is StopKind.METHOD:
        return frozenset({stop.value})
    return _FETCHING if stop.kind is StopKind.HOST else _EVERY


def _from_host(pattern: str) -> Condition:
    """True as a limit on `hosts` is: no expression is compiled for it, so a stop needs no engine."""
    source = f'{HOST} is "{pattern}"'
    facts = frozenset({HOST})
    program = Program(
        source=source,
        facts=facts,
        awaited=facts,
        _run=lambda known: host_matches(known[HOST], (pattern,)),
        _sets={},
        _readers=((HOST, str),),
    )
    return Condition(source, program, facts, _PLACE)
