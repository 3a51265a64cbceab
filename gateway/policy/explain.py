"""Why a decision is what it is, for operators: every rule it touched, with its place, clause by clause.

`+` holds, `-` fails, `?` is not known yet, `!` could not be evaluated (and counts against the requester).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.model.decision import Decision, Lent
from gateway.policy.decide import decide
from gateway.policy.expression import Truth
from gateway.policy.facts import OPENED, Facts
from gateway.policy.matching import Touched, Who, active, exempting, selects, shut, touch, who
from gateway.policy.rules import EVERYONE, Mode, Policy, Rule, Selector, Verb
from gateway.policy.within import weighed
from gateway.policy.wording import said_fact, said_limit, said_within

MARKS: Mapping[Truth, str] = {Truth.YES: "+", Truth.NO: "-", Truth.OPEN: "?", Truth.ERROR: "!"}
WORDS: Mapping[Truth, str] = {
    Truth.YES: "applies",
    Truth.NO: "no",
    Truth.OPEN: "may apply",
    Truth.ERROR: "cannot be evaluated, so it counts against the requester",
}
VERBS = (Verb.DENY, Verb.LIMIT, Verb.REQUIRE, Verb.ALLOW)
MOST_OTHERS = 50


@dataclass(frozen=True, slots=True)
class Clause:
    """One line under a rule; `mark` is one of MARKS, or a space for what is only told."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Account:
    """One rule: what it came to, where it is written, and each of its clauses."""

    rule: Rule
    truth: Truth
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its accounts. `others` counts rules for other callers that are not listed."""

    decision: Decision
    facts: Facts
    accounts: tuple[Account, ...]
    others: int = 0


def explain(
    policy: Policy, method: str, facts: Facts, *, final: bool = False, stages: Container[str] | None = None
) -> Explanation:
    """The decision that `decide` makes of the same arguments, accounted for."""
    decision = decide(policy, method, facts, final=final, stages=stages)
    known, asking = facts.knowing({"request.method": method}), who(facts)
    touched = touch(policy, method, known, final=final)
    others = _others(policy, method, {one.rule.name for one in touched})
    accounts = [_account(policy, one, method, known, asking) for one in touched]
    accounts += [Account(rule, Truth.NO, tuple(_selectors(rule, asking, known))) for rule in others[:MOST_OTHERS]]
    return Explanation(decision, known, tuple(sorted(accounts, key=_order)), max(0, len(others) - MOST_OTHERS))


def _others(policy: Policy, method: str, touched: Container[str]) -> list[Rule]:
    return [rule for rule in policy.rules if method in rule.methods and rule.name not in touched]


def _order(account: Account) -> tuple[int, str, int]:
    return (VERBS.index(account.rule.verb), account.rule.place.file, account.rule.place.line)


def _account(policy: Policy, one: Touched, method: str, facts: Facts, asking: Who) -> Account:
    clauses = [
        *_selectors(one.rule, asking, facts),
        *_opening(one.rule, asking, facts),
        *_conditions(one.rule, facts),
        *_limits(one, method, facts),
        *_notes(policy, one, asking, facts),
    ]
    return Account(one.rule, one.truth, tuple(clauses))


def _selectors(rule: Rule, asking: Who, facts: Facts) -> Iterator[Clause]:
    if rule.active_from or rule.active_until:
        since, until = rule.active_from or "ever", rule.active_until or "ever"
        yield _clause(active(facts.now, rule.active_from, rule.active_until), f"from {since} until {until}")
    bounds = (("delegated to", bound) for bound in rule.bounds)
    for word, selector in (*bounds, ("scope", rule.scope), ("for", rule.selector)):
        if selector != EVERYONE:
            yield _clause(selects(selector, asking), f"{word}: {_selector_said(selector)}")


def _clause(holds: bool, text: str) -> Clause:
    return Clause(MARKS[Truth.YES if holds else Truth.NO], text)


def _selector_said(selector: Selector) -> str:
    keys = ((key, getattr(selector, key)) for key in ("domains", "projects", "tags", "roles"))
    return "; ".join(f"{key} {', '.join(sorted(values))}" for key, values in keys if values is not None)


def _opening(rule: Rule, asking: Who, facts: Facts) -> Iterator[Clause]:
    if rule.break_glass is None:
        return
    if shut(rule, asking):
        roles = ", ".join(sorted(rule.break_glass.roles))
        yield _clause(False, f"break_glass not opened   (roles {roles} may, for at most {rule.break_glass.longest})")
        return
    opened: Any = facts.values[OPENED]
    lent = Lent(rule.name, **opened[rule.name])
    said = f"opened{f' by {lent.by}' if lent.by else ''}{f' until {lent.until}' if lent.until else ''}"
    yield _clause(True, f"break_glass {said}")


def _conditions(rule: Rule, facts: Facts) -> Iterator[Clause]:
    for condition in rule.when:
        source = " ".join(condition.source.split())
        yield Clause(MARKS[condition.program.evaluate(facts.values)], f"when: {source}")


def _limits(one: Touched, method: str, facts: Facts) -> Iterator[Clause]:
    for key, limit, kept in weighed(one.within, method, facts.values):
        found = "not known yet" if kept is Truth.OPEN else said_fact(key, facts.values)
        yield Clause(MARKS[kept], f"{said_limit(key, limit)}   ({found})")


def _notes(policy: Policy, one: Touched, asking: Who, facts: Facts) -> Iterator[Clause]:
    if one.stages:
        yield Clause(" ", f"stages: {', '.join(call.name for call in one.stages)}")
    for exemption in exempting(policy, one.rule, asking, facts.now):
        what = said_within(exemption.within, "") or f"without {', '.join(exemption.without)}"
        yield Clause(" ", f"exempted by {exemption.policy}/{exemption.id} until {exemption.until}: {what}")
    if one.rule.mode is not Mode.ENFORCE:
        yield Clause(" ", f"mode {one.rule.mode}: does not count")


def text(explanation: Explanation) -> str:
    """The explanation for a terminal."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield from _verdict(explanation)
    for account in explanation.accounts:
        place = account.rule.place
        yield f"  {account.rule.verb:<8}{account.rule.name:<28} {WORDS[account.truth]}  {place.file}:{place.line}"
        yield from (f"            {clause.mark} {clause.text}" for clause in account.clauses)
    if explanation.others:
        yield f"  and {explanation.others} more rules that are for other callers"


def _verdict(explanation: Explanation) -> Iterator[str]:
    decision, values = explanation.decision, explanation.facts.values
    tags = ", ".join(values.get("project.tags", ()))  # type: ignore[arg-type]
    project = values.get("project.name") or values.get("project.id") or "(no id)"
    yield f"{decision.action.upper()}  {decision.method}  project {project}{f' ({tags})' if tags else ''}"
    for reason in decision.reasons:
        rule = f" [{reason.rule}]" if reason.rule else ""
        yield f"  because {reason.code}{rule}: {reason.message} {reason.remedy}".rstrip()
    if decision.plan.stages:
        yield f"  stages: {', '.join(call.name for call in decision.plan.stages)}"
    yield from (f"  refused when: {message}" for message in decision.refused_when)
    yield from (f"  warning: {message}" for message in decision.warnings)
    yield ""


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The same, as JSON values."""
    decision = explanation.decision
    return {
        "method": decision.method,
        "action": decision.action.value,
        "revision": decision.revision,
        "reasons": [
            {"code": one.code.value, "message": one.message, "remedy": one.remedy, "rule": one.rule}
            for one in decision.reasons
        ],
        "stages": [{"name": call.name, "options": call.as_mapping()} for call in decision.plan.stages],
        "refused_when": list(decision.refused_when),
        "warnings": list(decision.warnings),
        "rules": [_account_json(account) for account in explanation.accounts],
        "others": explanation.others,
    }


def _account_json(account: Account) -> dict[str, Any]:
    return {
        "rule": account.rule.name,
        "verb": account.rule.verb.value,
        "place": str(account.rule.place),
        "outcome": account.truth.value,
        "clauses": [{"mark": clause.mark, "text": clause.text} for clause in account.clauses],
    }
