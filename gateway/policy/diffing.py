"""Two trees compared: what their rules do to each other, and who gains or loses what.

Rules are compared without evaluating anything (`gateway.policy.tightness`), so that a verdict holds for callers and
imports nobody thought of. Who is affected is told for a table of callers, by the same decisions discovery is made of.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from gateway.model.decision import Action, Decision, StageCall, Within
from gateway.policy.decide import decide
from gateway.policy.facts import Facts, FactValue
from gateway.policy.matching import candidates, who
from gateway.policy.rules import Exemption, Policy, Rule
from gateway.policy.testfile import import_facts
from gateway.policy.tightness import loosenings, meaning
from gateway.policy.within import LIMITS, covers
from gateway.policy.wording import said_limit, said_within

T = TypeVar("T")

LOOSER, TIGHTER, EITHER, SAME = "looser", "tighter", "either", "same"
"""What a changed rule does: may allow more, may refuse more, one or the other, or neither."""


class Change(NamedTuple):
    """One thing a caller gains (`+`), loses (`-`), or is only told differently (`~`)."""

    sign: str
    method: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that was added, removed or changed; `rule` is the newer one there is."""

    rule: Rule
    direction: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Callers to whom the same happens."""

    callers: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one tree to another. `asked` counts the callers that were compared."""

    rules: tuple[RuleChange, ...]
    groups: tuple[Group, ...]
    asked: int

    @property
    def looser(self) -> bool:
        """Whether the newer tree may allow what the older one refuses."""
        return any(change.direction in (LOOSER, EITHER) for change in self.rules)

    @property
    def tighter(self) -> bool:
        return any(change.direction in (TIGHTER, EITHER) for change in self.rules)


Callers = Mapping[str, Mapping[str, FactValue]]
Images = Mapping[str, Mapping[str, Any]]


def diff(
    old: Policy,
    new: Policy,
    callers: Callers,
    at: datetime,
    *,
    images: Images | None = None,
    stages: Container[str] | None = None,
) -> Difference:
    """`callers` are facts of the first phase by name, `images` fixtures of test files (`import_facts`).

    `stages` are the names of the stages set up at the site; None means all.
    """
    ask = _Asking(old, new, at, images or {}, stages)
    changed = frozenset(_changed(old, new))
    groups: dict[tuple[Change, ...], list[str]] = {}
    for name, facts in callers.items():
        if changes := tuple(ask.changes(facts, changed)):
            groups.setdefault(changes, []).append(name)
    found = tuple(Group(tuple(names), changes) for changes, names in groups.items())
    return Difference(tuple(rule_changes(old, new)), found, len(callers))


def _changed(old: Policy, new: Policy) -> Iterator[str]:
    """Names of rules that say or do something else in the two trees."""
    before, after = ({rule.name: _whole(policy, rule) for rule in policy.rules} for policy in (old, new))
    yield from (name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _whole(policy: Policy, rule: Rule) -> tuple[object, ...]:
    return (*meaning(rule), rule.message, _exempted(policy, rule))


def _exempted(policy: Policy, rule: Rule) -> frozenset[object]:
    found = policy.exemptions.get(rule.name, ())
    return frozenset((one.selector, one.within, one.without, one.until) for one in found)


def rule_changes(old: Policy, new: Policy) -> Iterator[RuleChange]:
    """Every rule that does something else now, with what that may mean for anybody."""
    looser = {rule.name for rule in loosenings(old, new)}
    tighter = {rule.name for rule in loosenings(new, old)}
    before, after = ({rule.name: rule for rule in policy.rules} for policy in (old, new))
    for name in sorted(_changed(old, new)):
        was, now = before.get(name), after.get(name)
        either = name in looser and name in tighter
        direction = EITHER if either else LOOSER if name in looser else TIGHTER if name in tighter else SAME
        yield RuleChange(now or before[name], direction, _what(was, now, old, new))


def _what(was: Rule | None, now: Rule | None, old: Policy, new: Policy) -> str:
    if was is None or now is None:
        return "new" if was is None else "removed"
    said = [*_fields(was, now), *_limits(was.within, now.within), *_stages(was.stages, now.stages)]
    if _exempted(old, was) != _exempted(new, now):
        said.append(f"exemptions {_exemptions(old, was)} become {_exemptions(new, now)}")
    return "; ".join(said)


def _fields(was: Rule, now: Rule) -> Iterator[str]:
    for word, name in (("verb", "verb"), ("mode", "mode"), ("from", "active_from"), ("until", "active_until")):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield f"{word} {before or 'none'} becomes {after or 'none'}"
    if was.methods != now.methods:
        yield f"methods {', '.join(sorted(was.methods))} become {', '.join(sorted(now.methods))}"
    for word, name in (("who it is for", "audience"), ("message", "message"), ("break_glass", "break_glass")):
        if getattr(was, name) != getattr(now, name):
            yield f"{word} changed"
    if [one.program.meaning for one in was.when] != [one.program.meaning for one in now.when]:
        yield "`when` changed"


def _limits(was: Within, now: Within) -> Iterator[str]:
    for key in LIMITS:
        before, after = getattr(was, key), getattr(now, key)
        if before != after:
            yield f"{_limit(key, before)} becomes {_limit(key, after)}"


def _limit(key: str, value: Any) -> str:
    return f"any {key}" if value is None else said_limit(key, value)


def _stages(was: tuple[StageCall, ...], now: tuple[StageCall, ...]) -> Iterator[str]:
    if was != now:
        yield f"stages {', '.join(map(said_call, was))} become {', '.join(map(said_call, now))}"


def _exemptions(policy: Policy, rule: Rule) -> str:
    found: Iterable[Exemption] = policy.exemptions.get(rule.name, ())
    return ", ".join(f"{one.policy}/{one.id} until {one.until:%Y-%m-%d}" for one in found) or "(none)"


def said_call(call: StageCall) -> str:
    options = ", ".join(f"{name}: {value}" for name, value in call.options)
    return f"{call.name} ({options})" if options else call.name


class _Asking(NamedTuple):
    """The two trees, and everything they are asked with but the caller."""

    old: Policy
    new: Policy
    at: datetime
    images: Images
    stages: Container[str] | None

    def changes(self, caller: Mapping[str, FactValue], changed: Container[str]) -> Iterator[Change]:
        facts = Facts(caller, self.at)
        for method in self.new.methods:
            if self._touched(method, facts, changed):
                before, after = (decide(tree, method, facts, stages=self.stages) for tree in (self.old, self.new))
                yield from _compared(before, after)
                if Action.DENY not in (before.action, after.action):
                    yield from self._imports(method, facts)

    def _touched(self, method: str, facts: Facts, changed: Container[str]) -> bool:
        """A caller that meets no changed rule is answered as before."""
        asking = who(facts)
        met = (rule for tree in (self.old, self.new) for rule in candidates(tree, method, asking))
        return any(rule.name in changed for rule in met)

    def _imports(self, method: str, facts: Facts) -> Iterator[Change]:
        """What becomes of whole imports, once their bytes have been seen."""
        for name, said in self.images.items():
            known = facts.knowing(import_facts(said, method))
            before, after = (
                decide(tree, method, known, final=True, stages=self.stages) for tree in (self.old, self.new)
            )
            if before.action is not after.action:
                gained = after.action is not Action.DENY
                why = "" if gained else f": {after.reasons[0].message}"
                yield Change(
                    "+" if gained else "-", method, f"may {'now' if gained else 'no longer'} import {name}{why}"
                )


def _compared(before: Decision, after: Decision) -> Iterator[Change]:
    method = after.method
    if before.action is Action.DENY or after.action is Action.DENY:
        yield from _offered(before, after)
        return
    gained = _more("was", method, before.within, after.within)
    lost = _more("now", method, after.within, before.within)
    yield from (Change("+", method, f"may now import {text}") for text in gained)
    yield from (Change("-", method, f"may no longer import {text}") for text in lost)
    for sign, word, added in (
        ("-", "must now pass", _added(before.plan.stages, after.plan.stages)),
        ("+", "need no longer pass", _added(after.plan.stages, before.plan.stages)),
        ("-", "may now have to pass", _sometimes(before, after)),
        ("+", "never has to pass any more", _sometimes(after, before)),
    ):
        yield from (Change(sign, method, f"{word} {said_call(call)}") for call in added)
    for sign, word, texts in (
        ("-", "may now be refused", _added(before.refused_when, after.refused_when)),
        ("+", "is no longer refused", _added(after.refused_when, before.refused_when)),
        ("~", "is now warned", _added(before.warnings, after.warnings)),
        ("~", "is no longer warned", _added(after.warnings, before.warnings)),
    ):
        yield from (Change(sign, method, f"{word}: {text}") for text in texts)


def _offered(before: Decision, after: Decision) -> Iterator[Change]:
    if after.action is not Action.DENY:
        yield Change("+", after.method, f"is offered now: {_ways(after)}")
    elif before.action is not Action.DENY:
        yield Change("-", after.method, f"is not offered any more: {after.reasons[0].message}")
    elif before.reasons != after.reasons:
        yield Change("~", after.method, f"is still not offered, but now because: {after.reasons[0].message}")


def _ways(decision: Decision) -> str:
    ways = " or ".join(said_within(one, decision.method) or "anything" for one in decision.within)
    stages = ", ".join(map(said_call, decision.plan.stages))
    return f"{ways}{f', after {stages}' if stages else ''}"


def _more(word: str, method: str, before: tuple[Within, ...], after: tuple[Within, ...]) -> Iterator[str]:
    """What is inside some alternative of `after` and was inside none of `before`."""
    gained = [one for one in after if not any(covers(other, one) for other in before)]
    if len(before) == len(after) == 1 and gained:
        yield from _wider(before[0], after[0], word)
    else:
        yield from (said_within(one, method) or "anything" for one in gained)


def _wider(was: Within, now: Within, word: str) -> Iterator[str]:
    for key in LIMITS:
        before, after = getattr(was, key), getattr(now, key)
        if not covers(Within(**{key: before}), Within(**{key: after})):
            yield f"{_limit(key, after)} ({word} {_limit(key, before)})"


def _added(before: Iterable[T], after: Iterable[T]) -> list[T]:
    known = tuple(before)
    return [one for one in after if one not in known]


def _sometimes(before: Decision, after: Decision) -> list[StageCall]:
    known = {*before.plan.stages, *(call for call, _ in before.sometimes)}
    return [call for call, _ in dict.fromkeys(after.sometimes) if call not in known]
