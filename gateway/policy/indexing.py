"""Filing rules where a decision finds them without looking at those of other projects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from gateway.policy.rules import Index, Rule

_Positions = dict[str, tuple[int, ...]]
_NARROWEST_FIRST = ("projects", "tags", "domains", "roles")


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


def _narrowest(rule: Rule) -> tuple[str, Iterable[str]]:
    for key in _NARROWEST_FIRST:
        for selector in (rule.selector, rule.scope):
            values: frozenset[str] | None = getattr(selector, key)
            if values is not None:
                return key, values
    return "", ()


def _filed(methods: dict[str, dict[str, list[int]]]) -> dict[str, _Positions]:
    return {method: _frozen(values) for method, values in methods.items()}


def _frozen(values: dict[str, list[int]]) -> _Positions:
    return {value: tuple(positions) for value, positions in values.items()}
