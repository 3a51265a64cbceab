"""Whom rules are about, compared: told only what holds for every caller and every import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from gateway.policy.rules import EVERYONE, Rule, Selector

KEYS = Selector.__slots__
MOST_COMPARED = 40
"""How many rules of one kind a rule is compared with: a lint of a large tree must end."""

_SINGLE = ("projects", "domains")
"""A project has one id and one domain, and any number of tags and roles."""


def contradictory(selectors: Iterable[Selector]) -> str | None:
    """The key of which no caller can have a value that all selectors want."""
    wanted = tuple(selectors)
    for key in _SINGLE:
        values = [found for one in wanted if (found := getattr(one, key)) is not None]
        if values and not frozenset.intersection(*values):
            return key
    return None


def disjoint(one: Rule, other: Rule) -> bool:
    """True if no caller is under both."""
    return contradictory((*one.audience, *other.audience)) is not None


def wider(wide: Rule, narrow: Rule) -> bool:
    """True if `wide` applies whenever `narrow` does: callers, conditions and dates."""
    return (
        wide.break_glass is None
        and all(_selector_wider(one, narrow) for one in wide.audience)
        and {one.source for one in wide.when} <= {one.source for one in narrow.when}
        and _lasts(wide, narrow)
    )


def _selector_wider(wide: Selector, narrow: Rule) -> bool:
    return wide is EVERYONE or all(
        any((found := getattr(one, key)) is not None and found <= values for one in narrow.audience)
        for key in KEYS
        if (values := getattr(wide, key)) is not None
    )


def _lasts(wide: Rule, narrow: Rule) -> bool:
    since, until = wide.active_from, wide.active_until
    begins = since is None or (narrow.active_from is not None and since <= narrow.active_from)
    return begins and (until is None or (narrow.active_until is not None and narrow.active_until <= until))


class Wide:
    """Rules filed so that those which may be wider than another are found without looking at all of them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._filed: Mapping[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            for place in _places(rule):
                self._filed[place].append(rule)

    def than(self, narrow: Rule) -> list[Rule]:
        """The rules that apply whenever `narrow` does, without itself, in the order of their names."""
        places = [("", ""), *_values(narrow)]
        near = {rule.name: rule for place in places for rule in self._filed.get(place, ())[:MOST_COMPARED]}
        found = (near[name] for name in sorted(near))
        return [rule for rule in found if rule is not narrow and wider(rule, narrow)]


def _places(rule: Rule) -> list[tuple[str, str]]:
    """Under each value of one of its keys: a narrower rule has at least one of them."""
    values = list(_values(rule))
    return [place for place in values if place[0] == values[0][0]] or [("", "")]


def _values(rule: Rule) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        for one in rule.audience:
            yield from ((key, value) for value in getattr(one, key) or ())
