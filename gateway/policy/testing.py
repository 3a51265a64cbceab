"""Running the tests of a policy tree: every case through `decide`, and which rules none of them exercised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.model.decision import Action, Decision
from gateway.policy.decide import decide
from gateway.policy.expression import Truth
from gateway.policy.offers import offers
from gateway.policy.rules import Place, Policy, Rule
from gateway.policy.testfile import Case, Discovered

_APPLIED = (Truth.YES, Truth.ERROR)


@dataclass(frozen=True, slots=True)
class Failure:
    """One case that came out otherwise; `message` says what was expected, what came and why."""

    place: Place
    test: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All cases of a tree. `idle` are the rules that applied in no case."""

    cases: int
    failures: tuple[Failure, ...]
    idle: tuple[Rule, ...]
    coverage: float
    """Percent of the rules that applied in at least one case."""


def run(policy: Policy, cases: Iterable[Case | Discovered]) -> Outcome:
    """Decide every case as the service would once the bytes have been seen, with every stage set up."""
    failures: list[Failure] = []
    applied: set[str] = set()
    count = 0
    for case in cases:
        count += 1
        decisions = _decisions(policy, case)
        applied |= {rule for one in decisions.values() for rule, came in one.outcomes.items() if came in _APPLIED}
        failures += [Failure(case.place, case.test, message) for message in _differences(case, decisions)]
    idle = tuple(rule for rule in policy.rules if rule.name not in applied)
    return Outcome(count, tuple(failures), idle, 100.0 * (len(policy.rules) - len(idle)) / len(policy.rules))


def _decisions(policy: Policy, case: Case | Discovered) -> Mapping[str, Decision]:
    if isinstance(case, Discovered):
        return offers(policy, case.facts).decisions
    return {case.method: decide(policy, case.method, case.facts, final=True)}


def _differences(case: Case | Discovered, decisions: Mapping[str, Decision]) -> Iterator[str]:
    if isinstance(case, Discovered):
        return _discovered(case, decisions)
    return _imported(case, decisions[case.method])


def _discovered(case: Discovered, decisions: Mapping[str, Decision]) -> Iterator[str]:
    found = tuple(sorted(method for method, one in decisions.items() if one.action is not Action.DENY))
    for method in sorted({*found} - {*case.methods}):
        yield f"{case.who} is offered {method}, which is not expected"
    for method in sorted({*case.methods} - {*found}):
        yield f"{case.who} is not offered {method}, {_why(decisions[method])}"


def _imported(case: Case, decision: Decision) -> Iterator[str]:
    subject = f"{case.who}, {case.method}, {case.image}:"
    if case.expect is not None and decision.action != case.expect:
        yield f"{subject} expected {case.expect}, got {decision.action}{_because(decision)}"
    elif case.because is not None and not _named(case.because, decision):
        yield f"{subject} expected {decision.action} because of {case.because}, got it{_because(decision)}"
    stages = tuple(dict.fromkeys(call.name for call in decision.plan.stages))
    if case.stages is not None and decision.action is Action.ALLOW and stages != case.stages:
        yield f"{subject} expected the stages {_said(case.stages)}, got {_said(stages)}"


def _named(because: str, decision: Decision) -> bool:
    return any(because in (reason.rule, reason.code) for reason in decision.reasons)


def _because(decision: Decision) -> str:
    return f" {_why(decision)}" if decision.reasons else ""


def _why(decision: Decision) -> str:
    reasons = (f"{one.rule or one.code}: {one.message} {one.remedy}".rstrip() for one in decision.reasons)
    return f"because {'; '.join(reasons)}"


def _said(stages: Iterable[str]) -> str:
    return ", ".join(stages) or "none"
