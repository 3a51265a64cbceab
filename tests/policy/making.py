"""Policies made by hand for tests: the values the compiler makes, without the files it makes them of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from gateway.model.decision import StageCall, Within
from gateway.policy.expression import Program, engine
from gateway.policy.facts import METHODS, Facts
from gateway.policy.indexing import asked_facts, build_index, lent
from gateway.policy.rules import Condition, Exemption, Mode, Place, Policy, Rule, Selector, Verb

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GIB = 1 << 30
PLACE = Place("made.yaml", 1, 1)


@cache
def program(source: str) -> Program:
    return engine("cel-expr").compile(source)


def condition(source: str) -> Condition:
    made = program(source)
    return Condition(source, made, made.facts, PLACE)


def within(**keys: Any) -> Within:
    return Within(**{key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()})


def who(**keys: Iterable[str]) -> Selector:
    return Selector(**{key: frozenset(values) for key, values in keys.items()})


def call(name: str, **options: str | int) -> StageCall:
    return StageCall(name, tuple(sorted(options.items())))


def rule(verb: str, name: str, methods: Iterable[str] = METHODS, **keys: Any) -> Rule:
    when = keys.pop("when", ())
    sources = [when] if isinstance(when, str) else when
    conditions = tuple(condition(source) for source in sources)
    if "mode" in keys:
        keys["mode"] = Mode(keys["mode"])
    return Rule(policy="p", id=name, verb=Verb(verb), methods=frozenset(methods), when=conditions, place=PLACE, **keys)


def exemption(name: str, of: str, until: datetime, **keys: Any) -> Exemption:
    return Exemption(policy="p", id=name, rule=f"p/{of}", until=until, reason="r", approved_by="a", place=PLACE, **keys)


def policy(*rules: Rule, exemptions: Iterable[Exemption] = (), methods: tuple[str, ...] = METHODS) -> Policy:
    by_rule: dict[str, tuple[Exemption, ...]] = {}
    for one in exemptions:
        by_rule[one.rule] = (*by_rule.get(one.rule, ()), one)
    named = tuple(sorted(rules, key=lambda rule: rule.name))
    return Policy(
        revision="sha256:made",
        rules=named,
        exemptions=by_rule,
        methods=methods,
        index=build_index(named),
        facts=asked_facts(named),
        break_glass=lent(named),
    )


def facts(more: Mapping[str, Any] | None = None, *, now: datetime = NOW, **caller: Any) -> Facts:
    """The facts of a caller (`tags`, `roles`, `project`, `domain`) and of one import."""
    known = {
        "project.id": caller.get("project", "p1"),
        "project.name": "demo",
        "project.domain": caller.get("domain", "default"),
        "project.tags": tuple(caller.get("tags", ())),
        "user.id": "u1",
        "user.roles": tuple(caller.get("roles", ("member",))),
    }
    return Facts({**known, **(more or {})}, now)


def image(size: int = GIB, **request: Any) -> dict[str, Any]:
    """Facts of an import whose bytes have been seen; `request` overrides its request facts."""
    known = {
        "request.disk_format": "qcow2",
        "request.container_format": "bare",
        "request.visibility": "shared",
        "request.properties": {},
        "request.size": size,
        "content.size": size,
        "content.virtual_size": size,
        "content.disk_format": request.get("disk_format", "qcow2"),
    }
    return {**known, **{f"request.{name}": value for name, value in request.items()}}
