"""Recorded decisions decided again by another tree, at their own time and with their own facts.

The log keeps some facts in part: of properties their names alone, of a project's history only what its tree asked for.
Where the answer of the other tree rests on what is missing, nothing is guessed: `CANNOT_TELL`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.model.decision import Action, Decision
from gateway.model.stop import Stop
from gateway.policy.decide import decide
from gateway.policy.expression import Truth
from gateway.policy.facts import HISTORY, OPENED, VOCABULARY, Facts, FactType
from gateway.policy.quantity import parse_time
from gateway.policy.rules import Policy, Rule
from gateway.policy.stops import laid_over, stop_from_json, stop_rules
from gateway.policy.syntax import parse
from gateway.policy.treewalk import PROPERTIES, reads_property_values
from gateway.policy.wording import said_size

CANNOT_TELL = "cannot tell"

_SIGNS = "-+?~"
_WITHHELD = "(not kept)"
_APPLIED = (Truth.YES, Truth.ERROR)


class Answer(NamedTuple):
    """What is compared of two decisions."""

    action: str
    code: str | None = None
    rule: str | None = None
    stages: tuple[str, ...] = ()
    max_size: int | None = None

    def __str__(self) -> str:
        if self.action == Action.DENY:
            return " ".join(word for word in (self.action, self.code, self.rule) if word)
        size = f", at most {said_size(self.max_size)}" if self.max_size is not None else ""
        after = f", after {', '.join(self.stages)}" if self.stages else ""
        return f"{self.action}{size}{after}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision of the log. `lacking` are facts of which the log does not keep enough to decide by them."""

    id: str
    revision: str
    project: str
    method: str
    final: bool
    facts: Facts
    answer: Answer
    stops: tuple[Stop, ...] = ()
    lacking: frozenset[str] = frozenset()


def read_entry(line: bytes | str) -> Recorded | None:
    """One line of the log; None for a line that records something else. Raises ValueError for a torn one."""
    entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    return recorded(entry) if {"facts", "action", "at", "method"} <= entry.keys() else None


def recorded(entry: Mapping[str, Any]) -> Recorded | None:
    """A decision record as the log or the catalog keeps it; None where its method is not kept. Raises ValueError."""
    try:
        return _recorded(entry) if entry["method"] is not None else None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a decision record: {error}") from error


def _recorded(entry: Mapping[str, Any]) -> Recorded:
    values = {name: _value(name, value) for name, value in entry["facts"].items() if name in _KINDS}
    return Recorded(
        id=entry["id"],
        revision=entry["revision"],
        project=str(entry.get("project_id")),
        method=entry["method"],
        final=bool(entry["final"]),
        facts=Facts(values, parse_time(entry["at"])),
        answer=_recorded_answer(entry),
        stops=tuple(stop_from_json(stop) for stop in entry.get("stops", ())),
        lacking=frozenset(_lacking(values)),
    )


_KINDS: Mapping[str, FactType | None] = {**{name: kind for name, (_, kind) in VOCABULARY.items()}, OPENED: None}


def _value(name: str, value: Any) -> Any:
    if _KINDS[name] is FactType.STRING_MAP:
        return dict.fromkeys(value, _WITHHELD)
    return tuple(value) if _KINDS[name] is FactType.STRINGS else value


def _lacking(values: Mapping[str, Any]) -> Iterable[str]:
    if values.get(PROPERTIES):
        yield PROPERTIES
    if HISTORY.isdisjoint(values):
        yield from HISTORY


def _recorded_answer(entry: Mapping[str, Any]) -> Answer:
    reasons, plan = entry.get("reasons") or [{}], entry["plan"]
    if entry["action"] == Action.DENY:
        return Answer(entry["action"], reasons[0].get("code"), reasons[0].get("rule"))
    stages = tuple(_call(stage["name"], stage["options"]) for stage in plan["stages"])
    return Answer(entry["action"], stages=stages, max_size=plan["max_size"])


def _call(name: str, options: Mapping[str, Any]) -> str:
    said = ", ".join(f"{option}: {value}" for option, value in sorted(options.items()))
    return f"{name} ({said})" if said else name


def answer_of(decision: Decision) -> Answer:
    if decision.action is Action.DENY:
        reason = decision.reasons[0]
        return Answer(decision.action.value, reason.code.value, reason.rule)
    stages = tuple(_call(call.name, call.as_mapping()) for call in decision.plan.stages)
    return Answer(decision.action.value, stages=stages, max_size=decision.plan.max_size)


class Difference(NamedTuple):
    """Decisions that come out otherwise alike; `rule` decides now, or decided then, and is empty for a grant."""

    was: str
    now: str
    rule: str
    project: str
    method: str

    @property
    def sign(self) -> str:
        """`-` refused now, `+` refused no more, `?` nobody can tell, `~` granted or refused on other terms."""
        if self.now == CANNOT_TELL:
            return "?"
        before, after = (said.startswith(Action.DENY) for said in (self.was, self.now))
        return "~" if before is after else "-" if after else "+"


@dataclass(slots=True)
class Replay:
    """Decides again, and counts. `examples` keeps the id of one decision of each difference.

    `stages` are the names of the stages set up at the site; None means all.
    """

    policy: Policy
    stages: Container[str] | None = None
    decided: int = 0
    differences: Counter[Difference] = field(default_factory=Counter)
    examples: dict[Difference, str] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _needs: dict[str, frozenset[str]] = field(default_factory=dict)
    _rules: Mapping[str, Rule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rules = {rule.name: rule for rule in self.policy.rules}

    @property
    def unused(self) -> tuple[Rule, ...]:
        """Rules that applied in none of the decisions."""
        return tuple(rule for rule in self.policy.rules if rule.name not in self._used)

    @property
    def same(self) -> int:
        return self.decided - self.differences.total()

    def counted(self) -> list[tuple[Difference, int]]:
        """The differences, those that refuse first, and of one sign the most frequent first."""
        return sorted(self.differences.items(), key=lambda pair: (_SIGNS.index(pair[0].sign), -pair[1], pair[0]))

    def total(self, sign: str) -> int:
        return sum(count for found, count in self.differences.items() if found.sign == sign)

    def again(self, entry: Recorded) -> None:
        self.decided += 1
        now = self.answer(entry)
        if now is None:
            if entry.revision != self.policy.revision:
                self._differs(entry, CANNOT_TELL, entry.answer.rule or "")
        elif now != entry.answer:
            self._differs(entry, str(now), now.rule or entry.answer.rule or "")

    def _differs(self, entry: Recorded, now: str, rule: str) -> None:
        found = Difference(str(entry.answer), now, rule, entry.project, entry.method)
        self.differences[found] += 1
        self.examples.setdefault(found, entry.id)

    def answer(self, entry: Recorded) -> Answer | None:
        """What the tree says of it today; None where that rests on facts the log does not keep."""
        decision = self._decision(entry, entry.facts.values, final=entry.final)
        self._used |= {name for name, came in decision.outcomes.items() if came in _APPLIED}
        doubtful = {name for name in decision.outcomes if self._lacks(name, entry)}
        if not doubtful:
            return answer_of(decision)
        known = {name: value for name, value in entry.facts.values.items() if name not in entry.lacking}
        early = self._decision(entry, known, final=False)
        undecided = {name for name in doubtful if early.outcomes.get(name) in (Truth.OPEN, Truth.ERROR)}
        if not undecided:
            return answer_of(decision)
        return self._sure(entry, early, undecided)

    def known(self, entry: Recorded) -> Facts:
        """Its facts, for an explanation: where a rule it meets asks for what the record lacks, that is not known."""
        met = self._decision(entry, entry.facts.values, final=entry.final).outcomes
        lacking = frozenset[str]().union(*(self._lacks(name, entry) for name in met))
        kept = {name: value for name, value in entry.facts.values.items() if name not in lacking}
        return Facts(kept, entry.facts.now)

    def _sure(self, entry: Recorded, early: Decision, undecided: Iterable[str]) -> Answer | None:
        """What holds whatever the missing values are: a decision that is not open before they are known.

        Which denial comes first, and the widest of several grants, may still depend on them: they stay as they were.
        """
        if early.action is Action.OPEN or any(self._lacks(name, entry) & HISTORY for name in undecided):
            return None
        if early.action is Action.ALLOW:
            return answer_of(early)._replace(max_size=entry.answer.max_size)
        return entry.answer if entry.answer.action == Action.DENY else answer_of(early)

    def _decision(self, entry: Recorded, values: Mapping[str, Any], *, final: bool) -> Decision:
        policy = laid_over(self.policy, stop_rules(entry.stops))
        return decide(policy, entry.method, Facts(values, entry.facts.now), final=final, stages=self.stages)

    def _lacks(self, name: str, entry: Recorded) -> frozenset[str]:
        """The facts a rule's conditions need and the record lacks."""
        if name not in self._needs:
            rule = self._rules.get(name)
            self._needs[name] = _needed(rule) if rule is not None else frozenset()
        return self._needs[name] & entry.lacking


def _needed(rule: Rule) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for condition in rule.when:
        names_alone = PROPERTIES in condition.facts and not reads_property_values(parse(condition.source))
        found |= condition.facts - ({PROPERTIES} if names_alone else frozenset())
    return found & ({PROPERTIES} | HISTORY)
