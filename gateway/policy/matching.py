"""Which rules touch an import, and what each of them comes to, exemptions and dates included."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from gateway.model.decision import StageCall, Within
from gateway.policy.expression import Truth
from gateway.policy.facts import OPENED, Facts
from gateway.policy.rules import EVERYONE, Exemption, Policy, Rule, Selector, Verb
from gateway.policy.within import for_method, loosened, weighed


class Who(NamedTuple):
    """The facts selectors look at. All of them are known once the token has been read.

    `opened` are the break-glass rules that are open for the project, by name.
    """

    project: str
    domain: str
    tags: frozenset[str]
    roles: frozenset[str]
    opened: frozenset[str] = frozenset()


class Touched(NamedTuple):
    """One rule that a caller and a method can meet.

    `truth` is what its selectors, dates and conditions come to. `counts` is what that means for the decision: YES
    (it counts), NO, or OPEN (it may count once more is known). `within` and `stages` are what exemptions leave, for
    this method; `kept` is each limit of `within` with its answer for the known facts (empty where `counts` is NO).
    """

    rule: Rule
    truth: Truth
    counts: Truth
    within: Within
    stages: tuple[StageCall, ...]
    kept: tuple[tuple[str, Any, Truth], ...] = ()


def who(facts: Facts) -> Who:
    """Raises KeyError where a fact of the first phase is missing: nothing is decided about nobody."""
    values = facts.values
    return Who(
        str(values["project.id"]),
        str(values["project.domain"]),
        frozenset(values["project.tags"]),  # type: ignore[arg-type]
        frozenset(values["user.roles"]),  # type: ignore[arg-type]
        frozenset(values.get(OPENED, ())),  # type: ignore[arg-type]
    )


def active(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    """The one answer to "does this rule or exemption hold at that time": from `since` on, before `until`."""
    return (since is None or since <= at) and (until is None or at < until)


def selects(selector: Selector, who: Who) -> bool:
    """Keys AND, values OR."""
    return (
        (selector.projects is None or who.project in selector.projects)
        and (selector.domains is None or who.domain in selector.domains)
        and (selector.tags is None or not selector.tags.isdisjoint(who.tags))
        and (selector.roles is None or not selector.roles.isdisjoint(who.roles))
    )


def candidates(policy: Policy, method: str, who: Who) -> list[Rule]:
    """The rules whose selectors can match, in the order of their names, after the stops.

    Its cost does not depend on rules of other projects and tags.
    """
    index, nothing = policy.index, dict[str, tuple[int, ...]]()
    found = set(index.always.get(method, ()))
    found.update(index.by_project.get(method, nothing).get(who.project, ()))
    found.update(index.by_domain.get(method, nothing).get(who.domain, ()))
    for tag in who.tags:
        found.update(index.by_tag.get(method, nothing).get(tag, ()))
    for role in who.roles:
        found.update(index.by_role.get(method, nothing).get(role, ()))
    rules = [policy.rules[position] for position in sorted(found)]
    return [*_stopping(policy, method, who), *rules] if policy.stops else rules


def _stopping(policy: Policy, method: str, who: Who) -> list[Rule]:
    return [one for one in policy.stops if method in one.methods and selects(one.selector, who)]


def selected(rule: Rule, who: Who, at: datetime) -> bool:
    """Is the rule for this caller, at this time?"""
    if rule.scope is not EVERYONE and not selects(rule.scope, who):
        return False
    if rule.selector is not EVERYONE and not selects(rule.selector, who):
        return False
    if rule.bounds and not all(selects(bound, who) for bound in rule.bounds):
        return False
    return active(at, rule.active_from, rule.active_until)


def shut(rule: Rule, who: Who) -> bool:
    """Is it a break-glass rule that nobody has opened for the project?"""
    return rule.break_glass is not None and rule.name not in who.opened


def openable(rule: Rule, who: Who, at: datetime) -> bool:
    """Is it one that this caller could open, and would it then be for this caller?"""
    glass = rule.break_glass
    able = glass is not None and not glass.roles.isdisjoint(who.roles)
    return able and shut(rule, who) and selected(rule, who, at)


def outcome(rule: Rule, who: Who, facts: Facts) -> Truth:
    """Not selected, or not opened: NO. Any condition false: NO. All true: YES. Else see `_doubtful`."""
    if not selected(rule, who, facts.now) or shut(rule, who):
        return Truth.NO
    if not rule.when:
        return Truth.YES
    truths = [condition.program.evaluate(facts.values) for condition in rule.when]
    if len(truths) == 1:
        return truths[0]
    return Truth.NO if Truth.NO in truths else _doubtful(truths, rule.verb)


def _doubtful(truths: list[Truth], verb: Verb) -> Truth:
    """An error that a condition may still turn false is no error yet: the rule stays open.

    Only an `allow` is lost at once, because neither a false condition nor an error grants anything.
    """
    weights = (Truth.ERROR, Truth.OPEN) if verb is Verb.ALLOW else (Truth.OPEN, Truth.ERROR)
    return next((truth for truth in weights if truth in truths), Truth.YES)


def counts(verb: Verb, truth: Truth, *, final: bool) -> Truth:
    """What an outcome means for the decision. Doubt counts against the requester: an error always, OPEN at the end."""
    if truth is Truth.ERROR or (final and truth is Truth.OPEN):
        return Truth.NO if verb is Verb.ALLOW else Truth.YES
    return truth


def exempting(policy: Policy, rule: Rule, who: Who, at: datetime) -> list[Exemption]:
    """The exemptions from `rule` that hold for this caller now."""
    found = policy.exemptions.get(rule.name, ())
    return [one for one in found if active(at, None, one.until) and selects(one.selector, who)]


def touch(policy: Policy, method: str, facts: Facts, *, final: bool = False) -> list[Touched]:
    """Every rule that the caller and the method can meet, with what it comes to."""
    asking = who(facts)
    return [_touched(policy, rule, method, asking, facts, final) for rule in candidates(policy, method, asking)]


def _touched(policy: Policy, rule: Rule, method: str, asking: Who, facts: Facts, final: bool) -> Touched:
    truth = outcome(rule, asking, facts)
    count = counts(rule.verb, truth, final=final)
    if count is Truth.NO:
        return Touched(rule, truth, count, rule.within, rule.stages)
    within, stages = rule.within, rule.stages
    for exemption in exempting(policy, rule, asking, facts.now) if policy.exemptions else ():
        within = loosened(within, exemption.within)
        stages = tuple(call for call in stages if call.name not in exemption.without)
    if rule.verb is Verb.REQUIRE or rule.verb is Verb.DENY:
        return Touched(rule, truth, count, within, stages)
    within = for_method(within, method)
    return Touched(rule, truth, count, within, stages, weighed(within, method, facts.values))
