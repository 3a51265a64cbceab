"""Filing rules where a decision finds them without looking at those of other projects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gateway.policy.rules import Index, Mode, Rule
from gateway.policy.wording import placeholders

_Positions = dict[str, tuple[int, ...]]
_NARROWEST_FIRST = ("projects", "tags", "domains", "roles")
MOST_FILED = 2_000_000
"""Values of selectors, each counted for every rule and method: a few lines may name one set thousands of times."""


def build_index(rules: Sequence[Rule]) -> Index:
    """Files each rule under the narrowest selector key it has, `for` before `scope`; see `Index`."""
    files: dict[str, dict[str, dict[str, list[int]]]] = {
        key: defaultdict(lambda: defaultdict(list)) for key in _NARROWEST_FIRST
    }
    always: dict[str, list[int]] = defaultdict(list)
    for position, rule in enumerate(rules):
        key, values = _narrowest(rule)
        for method in rule.methods:
            if not key:
                always[method].append(position)
            for value in values:
                files[key][method][value].append(position)
    return Index(
        always=_frozen(always),
        by_project=_filed(files["projects"]),
        by_tag=_filed(files["tags"]),
        by_domain=_filed(files["domains"]),
        by_role=_filed(files["roles"]),
    )


def crowded(rules: Iterable[Rule]) -> Rule | None:
    """The rule with which a tree names more values than are filed; None where there is no such rule."""
    filed = 0
    for rule in rules:
        filed += len(rule.methods) * len(list(_narrowest(rule)[1]))
        if filed > MOST_FILED:
            return rule
    return None


def _narrowest(rule: Rule) -> tuple[str, Iterable[str]]:
    for key in _NARROWEST_FIRST:
        for selector in (rule.selector, rule.scope, *rule.bounds):
            values: frozenset[str] | None = getattr(selector, key)
            if values is not None:
                return key, values
    return "", ()


def _filed(methods: dict[str, dict[str, list[int]]]) -> dict[str, _Positions]:
    return {method: _frozen(values) for method, values in methods.items()}


def _frozen(values: dict[str, list[int]]) -> _Positions:
    return {value: tuple(positions) for value, positions in values.items()}


def asked_facts(rules: Iterable[Rule]) -> frozenset[str]:
    """Every fact that a condition reads or a message shows: what nobody asks for need not be learned."""
    read = {fact for rule in rules for condition in rule.when for fact in condition.facts}
    return frozenset(read.union(*(placeholders(rule.message) for rule in rules if rule.message)))


def lent(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Those that grant only while they are opened. One that is tried out grants nothing, open or not."""
    return tuple(rule for rule in rules if rule.break_glass is not None and rule.mode is Mode.ENFORCE)
