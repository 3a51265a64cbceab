"""Exemptions held against the rules they loosen: each must name something its rule has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime

from gateway.model.decision import Within
from gateway.policy.delegates import below
from gateway.policy.problems import Problem
from gateway.policy.reader import Entry, Node
from gateway.policy.resolving import Resolver
from gateway.policy.rules import EVERYONE, Exemption, Rule, Selector, Verb
from gateway.policy.spelling import suggestion
from gateway.policy.zones import Zone

_LIMITS = tuple(limit.name for limit in fields(Within))


def read_exemption(
    node: Node, policy: str, scope: Selector, rules: Mapping[str, Rule], known: Collection[str], zone: Zone
) -> Exemption | None:
    """The exemption, or None where the rule it names cannot be read. `known` also names rules that are broken."""
    rule, resolver = rules.get(_text(node, "rule")), zone.resolver
    if rule is None:
        resolver.problems += _unknown(node, known)
        return None
    resolver.problems += [*_misfits(node, rule), *_foreign(node, rule, zone.directory)]
    selector = _narrowed(node, scope, resolver)
    return Exemption(
        policy=policy,
        id=_text(node, "id"),
        rule=rule.name,
        selector=selector,
        within=resolver.within(node.get("within")),
        without=tuple(sorted({item.value for item in _listed(node, "without")})),
        reason=_text(node, "reason"),
        approved_by=_text(node, "approved_by"),
        until=resolver.time(node.get("until")) or datetime.min.replace(tzinfo=UTC),
        place=node.place,
    )


def _text(node: Node, key: str) -> str:
    found = node.get(key)
    return "" if found is None else str(found.value)


def _listed(node: Node, key: str) -> list[Node]:
    found = node.get(key)
    return [] if found is None else list(found.value)


def _unknown(node: Node, known: Collection[str]) -> Iterator[Problem]:
    name, where = _text(node, "rule"), node.get("rule") or node
    if name not in known:
        yield where.problem("unknown-rule", f"there is no rule '{name}'", suggestion(name, known) or "write policy/id")


def _misfits(node: Node, rule: Rule) -> Iterator[Problem]:
    where = node.get("rule") or node
    if rule.verb is Verb.ALLOW:
        yield where.problem("exempt-allow", f"'{rule.name}' is an allow", "write another allow rule instead")
    elif rule.verb is Verb.DENY:
        yield where.problem("exempt-deny", f"'{rule.name}' is a deny", "narrow its `for` or `when` instead")
    elif rule.verb is Verb.LIMIT:
        yield from _wrong_part(node, "within", "without")
        yield from _lacking(node, [entry.key for entry in _keys(node)], _limits(rule), f"limit '{rule.name}'")
    else:
        yield from _wrong_part(node, "without", "within")
        yield from _lacking(node, _listed(node, "without"), _stages(rule), f"requirement '{rule.name}'")


def _foreign(node: Node, rule: Rule, directory: str) -> Iterator[Problem]:
    """Who writes a delegated folder may loosen nothing but what was written there."""
    if not below(rule.place.file, directory):
        where = node.get("rule") or node
        message = f"'{rule.name}' is not a rule of '{directory}', which is all that may be loosened here"
        yield where.problem("delegate-exemption", message, "ask those who wrote the rule")


def _keys(node: Node) -> Iterable[Entry]:
    within = node.get("within")
    return () if within is None else within.value.values()


def _limits(rule: Rule) -> set[str]:
    return {name for name in _LIMITS if getattr(rule.within, name) is not None}


def _stages(rule: Rule) -> set[str]:
    return {call.name for call in rule.stages}


def _wrong_part(node: Node, needed: str, foreign: str) -> Iterator[Problem]:
    if node.get(needed) is None:
        yield node.problem("exempt-nothing", "the exemption loosens nothing", f"write `{needed}`")
    if node.get(foreign) is not None:
        yield node.key(foreign).problem("misplaced-key", f"'{foreign}' does not fit this rule", f"write `{needed}`")


def _lacking(node: Node, named: Iterable[Node], has: set[str], what: str) -> Iterator[Problem]:
    for item in named:
        if item.value not in has:
            hint = f"it has {', '.join(sorted(has))}"
            yield item.problem("exempt-lacking", f"{what} does not have '{item.value}'", hint)


def _narrowed(node: Node, scope: Selector, resolver: Resolver) -> Selector:
    """`for` within the file's scope. Keys are ANDed, so a key in both must be the narrower of the two."""
    selector = resolver.selector(node.get("for"))
    both = {key: _narrower(key, getattr(selector, key), getattr(scope, key)) for key in Selector.__slots__}
    for key, values in both.items():
        if values is not None and not values:
            where = node.get("for") or node
            resolver.note(where, "out-of-scope", f"'{key}' reaches outside the file's scope", "name only what is in it")
    return Selector(**both) if scope is not EVERYONE else selector


def _narrower(key: str, mine: frozenset[str] | None, scope: frozenset[str] | None) -> frozenset[str] | None:
    if mine is None or scope is None:
        return scope if mine is None else mine
    if mine <= scope or scope <= mine:
        return mine & scope
    # A project has one id and one domain, so both hold for the common values; tags and roles come in numbers.
    return mine & scope if key in ("projects", "domains") else frozenset()
