"""What would become of an import nobody has asked for yet, and the smallest change to it that would pass.

There is no second planner: `decide` is asked about each candidate. The search is directed by its answers. A reason
goes away only if a fact changes that the rule behind it reads, so no other fact is tried.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

from gateway.model.decision import Action, Decision, Reason, ReasonCode, Within
from gateway.policy.changes import FACTS, METHOD, Changes, Choices, changed, changes, method_changes, switched
from gateway.policy.decide import decide
from gateway.policy.facts import VOCABULARY, Facts, FactValue, Phase
from gateway.policy.matching import candidates, who
from gateway.policy.rules import Mode, Policy, Rule, Verb
from gateway.policy.within import LIMIT_FACTS, weighed

MOST_CHANGES = 3
"""An import that needs more changes than this is another import."""

_ONE_RULE = (ReasonCode.DENIED, ReasonCode.STOPPED, ReasonCode.OVER_LIMIT)

MOST_DECISIONS = 256
"""How often `decide` is asked for one answer: it bounds what a refusal costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One import, as `decide` is asked about it; `choices` is what the site has to choose from."""

    policy: Policy
    method: str
    facts: Facts
    final: bool = False
    stages: Container[str] | None = None
    choices: Choices = field(default_factory=Choices)

    def decided(self) -> Decision:
        """Raises KeyError as `decide` does."""
        return decide(self.policy, self.method, self.facts, final=self.final, stages=self.stages)

    def offered(self, method: str) -> tuple[Within, ...]:
        """The alternatives that discovery shows this caller for a method; none where it is withheld."""
        late = {name for name, (phase, _) in VOCABULARY.items() if phase is not Phase.WHO}
        known = {name: value for name, value in self.facts.values.items() if name not in late}
        return decide(self.policy, method, Facts(known, self.facts.now), stages=self.stages).within


class Passing(NamedTuple):
    """Changes after which the import is not refused: allowed, or open while something is not known yet."""

    changes: Changes
    action: Action


def smallest_change(asked: Question) -> Passing | None:
    """The fewest changes after which a refused import is refused no more; of equally few the first in a fixed order.

    None where there is none among at most MOST_CHANGES changes to values that discovery offers, or none was found
    within MOST_DECISIONS.
    """
    search = _Search(asked)
    for count in range(1, MOST_CHANGES + 1):
        found = min(search.passing(count), key=_order, default=None)
        if found is not None:
            return _needed(asked, found)
    return None


def _needed(asked: Question, found: Passing) -> Passing:
    """Without what is not needed: a size that another method's cap suggested may do by itself."""
    for count in range(1, len(found.changes)):
        for part in combinations(found.changes, count):
            action = applied(asked, part).decided().action
            if action is not Action.DENY:
                return Passing(part, action)
    return found


def _order(found: Passing) -> list[tuple[int, int]]:
    return [change.order for change in found.changes]


@dataclass(slots=True)
class _Search:
    asked: Question
    left: int = MOST_DECISIONS
    _offered: dict[str, tuple[Within, ...]] = field(default_factory=dict)
    _decided: dict[tuple[object, ...], Decision] = field(default_factory=dict)

    def passing(self, count: int) -> Iterator[Passing]:
        """Every import that differs by `count` changes and passes, given that none passes with fewer.

        A method that discovery withholds is withheld for every image.
        """
        if self.offered(self.asked.method):
            yield from self._further(self.asked, (), count)
        for other in method_changes(self.asked.method, self.asked.policy.methods):
            if self.offered(str(other.value)):
                yield from self._further(_moved(self.asked, str(other.value)), (other,), count - 1)

    def _further(self, start: Question, made: Changes, count: int) -> Iterator[Passing]:
        decision = self.decision(start, made)
        if decision is None:
            return
        if decision.action is not Action.DENY:
            yield Passing(made, decision.action)
        elif count:
            taken = {change.kind for change in made}
            for kind in blamed(start, decision.reasons[0]):
                if kind not in taken:
                    yield from self._by(kind, start, made, count)

    def _by(self, kind: str, start: Question, made: Changes, count: int) -> Iterator[Passing]:
        for change in changes(kind, start.facts.values, self.offered(start.method), start.choices):
            yield from self._further(start, tuple(sorted((*made, change), key=lambda one: one.order)), count - 1)

    def offered(self, method: str) -> tuple[Within, ...]:
        if method not in self._offered:
            self._offered[method] = self.asked.offered(method)
        return self._offered[method]

    def decision(self, start: Question, made: Changes) -> Decision | None:
        """None once enough has been asked."""
        key = tuple(change.order for change in made)
        if key not in self._decided:
            if self.left == 0:
                return None
            self.left -= 1
            self._decided[key] = varied(start, made).decided()
        return self._decided[key]


def varied(start: Question, made: Changes) -> Question:
    """The same question after changes; the one of its method comes first, in `_moved`."""
    facts = Facts(changed(start.facts.values, (one for one in made if one.kind != METHOD)), start.facts.now)
    return _asking(start, start.method, facts, start.final)


def applied(asked: Question, made: Changes) -> Question:
    """The question with everything changed that `made` names."""
    method = next((str(one.value) for one in made if one.kind == METHOD), asked.method)
    return varied(_moved(asked, method) if method != asked.method else asked, made)


def _moved(asked: Question, method: str) -> Question:
    """By another method. The new source is not known yet, so nothing is final."""
    return _asking(asked, method, Facts(switched(asked.facts.values, method), asked.facts.now), False)


def _asking(asked: Question, method: str, facts: Facts, final: bool) -> Question:
    return Question(
        policy=asked.policy, method=method, facts=facts, final=final, stages=asked.stages, choices=asked.choices
    )


def blamed(asked: Question, reason: Reason) -> list[str]:
    """What can be changed of what the rules behind a reason read."""
    read = {fact for rule in _behind(asked, reason) for fact in _reads(asked, rule)}
    return [kind for kind, facts in FACTS.items() if not read.isdisjoint(facts)]


def _behind(asked: Question, reason: Reason) -> Iterable[Rule]:
    """The rules of which at least one has to come out otherwise before a reason goes away."""
    rules = candidates(asked.policy, asked.method, who(asked.facts))
    named = [rule for rule in rules if rule.name == reason.rule]
    if named and named[0].verb in (Verb.DENY, Verb.LIMIT) and reason.code in _ONE_RULE:
        return named
    if reason.code is ReasonCode.NOT_GRANTED:
        return [rule for rule in rules if rule.verb is Verb.ALLOW]
    return rules


def _reads(asked: Question, rule: Rule) -> Iterator[str]:
    for condition in rule.when:
        yield from condition.facts
    for key, _, _ in weighed(rule.within, asked.method, asked.facts.values):
        if key in LIMIT_FACTS:
            yield LIMIT_FACTS[key]


def unknown(asked: Question, decision: Decision) -> list[str]:
    """The facts that are still to decide an open import."""
    if decision.action is not Action.OPEN:
        return []
    rules = candidates(asked.policy, asked.method, who(asked.facts))
    counting = [one for one in rules if one.mode is Mode.ENFORCE and decision.outcomes.get(one.name) != "no"]
    read = {fact for rule in counting for fact in _reads(asked, rule)}
    return sorted(read - asked.facts.values.keys() - {"request.method"})


def values_json(made: Changes) -> dict[str, Any]:
    """Changes by what is changed."""
    return {change.kind: _plain(change.value) for change in made}


def _plain(value: FactValue) -> Any:
    return list(value) if isinstance(value, tuple) else value
