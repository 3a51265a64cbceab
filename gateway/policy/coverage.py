"""What the tests of a tree exercise, rule by rule and clause by clause.

A clause is exercised on a side when some case brings it there: a condition to true and to false, a limit to inside and
to outside, a rule to applying and to not applying. A limit no case ever exceeds could be any other number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.policy.expression import Truth
from gateway.policy.facts import Facts
from gateway.policy.matching import Touched, touch
from gateway.policy.rules import EVERYONE, Policy, Rule, Verb
from gateway.policy.testfile import Case, Discovered
from gateway.policy.within import QUOTAS, limits
from gateway.policy.wording import said_limit

APPLIES, FAILS = "applies", "does not apply"
_LIMITED = (Verb.ALLOW, Verb.LIMIT)


@dataclass(frozen=True, slots=True)
class Clause:
    """One side of one clause of a rule: `what` it is, and where a test would have to bring it."""

    rule: Rule = field(compare=False)
    what: str
    side: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.rule.name)

    def __str__(self) -> str:
        if self.what == APPLIES:
            return f"{self.rule.name}: no test where it {self.side}"
        return f"{self.rule.name}: no test where {self.what} {self.side}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """`rules` says of each rule's name whether it applied, did not, or both. `missed` is in the order of the tree."""

    rules: dict[str, str]
    clauses: int
    missed: tuple[Clause, ...]

    @property
    def percent(self) -> float:
        """Of the sides of all clauses."""
        return 100.0 * (self.clauses - len(self.missed)) / self.clauses if self.clauses else 100.0


def coverage(policy: Policy, cases: Iterable[Case | Discovered]) -> Coverage:
    seen: set[Clause] = set()
    for case in cases:
        methods = policy.methods if isinstance(case, Discovered) else (case.method,)
        for method in methods:
            seen.update(_seen(policy, method, case.facts, final=not isinstance(case, Discovered)))
    wanted = [clause for rule in policy.rules for clause in _sides(rule)]
    missed = tuple(clause for clause in wanted if clause not in seen)
    return Coverage({rule.name: _both(rule, seen) for rule in policy.rules}, len(wanted), missed)


def _both(rule: Rule, seen: set[Clause]) -> str:
    applied, failed = (Clause(rule, APPLIES, side) in seen for side in (APPLIES, FAILS))
    return "both" if applied and failed else "yes" if applied else "no"


def _sides(rule: Rule) -> Iterator[Clause]:
    """Everything a test could bring about. A rule for everybody, always, cannot but apply."""
    yield Clause(rule, APPLIES, APPLIES)
    if rule.when or any(selector != EVERYONE for selector in rule.audience) or rule.active_from or rule.active_until:
        yield Clause(rule, APPLIES, FAILS)
    for condition in rule.when:
        yield from (Clause(rule, _said(condition.source), side) for side in ("is true", "is false"))
    for what in dict.fromkeys(what for method in sorted(rule.methods) for what in _limits(rule, method)):
        yield from (Clause(rule, what, side) for side in ("is kept", "is exceeded"))


def _said(source: str) -> str:
    return f"`{' '.join(source.split())}`"


def _limits(rule: Rule, method: str) -> Iterator[str]:
    """Quotas are left out: a test says nothing of what a project has in all."""
    if rule.verb in _LIMITED:
        yield from (f"'{said_limit(key, limit)}'" for key, limit in limits(rule.within, method) if key not in QUOTAS)


def _seen(policy: Policy, method: str, facts: Facts, *, final: bool) -> Iterator[Clause]:
    known = facts.knowing({"request.method": method})
    touched = {one.rule.name: one for one in touch(policy, method, known, final=final)}
    for rule in policy.rules:
        if method in rule.methods:
            yield from _brought(rule, touched.get(rule.name), known)


def _brought(rule: Rule, touched: Touched | None, facts: Facts) -> Iterator[Clause]:
    """Where one case brings one rule; None for a rule whose selectors cannot match."""
    if touched is None or touched.truth is Truth.NO:
        yield Clause(rule, APPLIES, FAILS)
    elif touched.truth is not Truth.OPEN:
        yield Clause(rule, APPLIES, APPLIES)
    if touched is None:
        return
    for condition in rule.when:
        truth = condition.program.evaluate(facts.values)
        if truth in (Truth.YES, Truth.NO):
            yield Clause(rule, _said(condition.source), "is true" if truth is Truth.YES else "is false")
    for key, _, kept in touched.kept:
        if kept is not Truth.OPEN:
            what = f"'{said_limit(key, getattr(rule.within, key))}'"
            yield Clause(rule, what, "is kept" if kept is Truth.YES else "is exceeded")
