"""A table of callers that leaves nobody out whom a policy names: one for each value, and those several rules meet in.

Every value of every selector has its caller, exemptions included, and so has every text that a condition on tags,
roles, projects or domains compares with. Beside them stands `anyone`, whom nothing names; where a rule asks for a
project's history, everybody is there without one, with a long one, and with a long one that went badly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice, product

from gateway.policy.facts import HISTORY, FactValue
from gateway.policy.rules import Policy, Rule, Selector
from gateway.policy.syntax import parse
from gateway.policy.testfile import caller
from gateway.policy.treewalk import literals

KEYS = ("projects", "domains", "tags", "roles")
MOST_PAIRED = 24
"""So many values are paired with each other; of more of them, only those that one rule names together."""
MOST_OF_ONE_RULE = 64

_WORDS = {"projects": "project", "domains": "domain", "tags": "tag", "roles": "role"}
_FACTS = {"project.id": "projects", "project.domain": "domains", "project.tags": "tags", "user.roles": "roles"}
_ORDINARY_ROLES = ("member", "reader")
_PASTS: Mapping[str, Mapping[str, int]] = {
    "": {},
    "many imports": {"accepted": 1000, "first_at": 1000},
    "many imports, many refused": {"accepted": 1000, "first_at": 1000, "rejected": 1000},
}

Value = tuple[str, str]
"""A selector's key, and one value of it."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """A caller by what is special about it. `past` is a key of _PASTS."""

    values: frozenset[Value] = frozenset()
    past: str = ""

    @property
    def name(self) -> str:
        said = sorted(self.values, key=lambda value: (KEYS.index(value[0]), value[1]))
        named = " + ".join(f"{_WORDS[key]} {value}" for key, value in said) or "anyone"
        return f"{named} with {self.past}" if self.past else named

    def facts(self) -> dict[str, FactValue]:
        """The facts of the first phase. It has the roles of an ordinary member besides."""
        found = {key: [value for have, value in sorted(self.values) if have == key] for key in KEYS}
        said = {
            "id": next(iter(found["projects"]), "(a project of its own)"),
            "domain": next(iter(found["domains"]), "(a domain of its own)"),
            "tags": found["tags"],
            "roles": [*_ORDINARY_ROLES, *found["roles"]],
            "imports": _PASTS[self.past],
        }
        return caller(self.name, said)


def callers_of(policies: Collection[Policy]) -> Mapping[str, Mapping[str, FactValue]]:
    """The facts of the first phase of each caller, by name, in a fixed order."""
    sketches = {Sketch(): None}
    singles: dict[Value, None] = {}
    for policy in policies:
        for selectors in _audiences(policy):
            sketches |= dict.fromkeys(_together(selectors))
            singles |= dict.fromkeys(_values(selectors))
        singles |= dict.fromkeys(_compared(policy.rules))
    sketches |= dict.fromkeys(Sketch(frozenset({value})) for value in singles)
    if len(singles) <= MOST_PAIRED:
        sketches |= dict.fromkeys(_pairs(singles))
    if any(not HISTORY.isdisjoint(policy.facts) for policy in policies):
        sketches |= dict.fromkeys(Sketch(one.values, past) for one in list(sketches) for past in _PASTS)
    named = sorted(sketches, key=lambda sketch: (len(sketch.values), sketch.name))
    return {sketch.name: sketch.facts() for sketch in named}


def _audiences(policy: Policy) -> Iterator[tuple[Selector, ...]]:
    yield from (rule.audience for rule in policy.rules)
    yield from ((one.selector,) for found in policy.exemptions.values() for one in found)


def _values(selectors: Iterable[Selector]) -> Iterator[Value]:
    for selector in selectors:
        for key in KEYS:
            yield from ((key, value) for value in getattr(selector, key) or ())


def _together(selectors: Iterable[Selector]) -> Iterator[Sketch]:
    """Callers whom all the selectors select, with one value of each key."""
    choices = [
        [(key, value) for value in sorted(getattr(selector, key))]
        for selector in selectors
        for key in KEYS
        if getattr(selector, key)
    ]
    if choices:
        chosen = (frozenset(values) for values in islice(product(*choices), MOST_OF_ONE_RULE))
        yield from (Sketch(values) for values in chosen if _possible(values))


def _pairs(singles: Iterable[Value]) -> Iterator[Sketch]:
    chosen = (frozenset(pair) for pair in combinations(singles, 2))
    yield from (Sketch(values) for values in chosen if _possible(values))


def _possible(values: Iterable[Value]) -> bool:
    """A project has one id, and is in one domain."""
    keys = [key for key, _ in values]
    return keys.count("projects") < 2 and keys.count("domains") < 2


def _compared(rules: Iterable[Rule]) -> Iterator[Value]:
    """The texts in conditions about who asks. Some may be no tag at all: one caller too many costs nothing."""
    for source, facts in {condition.source: condition.facts for rule in rules for condition in rule.when}.items():
        keys = [key for fact, key in _FACTS.items() if fact in facts]
        for text in literals(parse(source)) if keys else ():
            yield from ((key, text) for key in keys)
