"""The one function that decides: before a call (discovery), at the call, and after the bytes have been seen.

Four verbs, no order. An import needs one `allow` that covers all of it; every `limit` must hold; every stage of every
`require` must pass; any `deny` wins. Doubt counts against the requester.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

from gateway.model.decision import Action, Decision, Lent, Plan, Reason, StageCall, Within
from gateway.model.stop import Stop
from gateway.model.usage import Quota
from gateway.policy import wording
from gateway.policy.demands import demands
from gateway.policy.expression import Truth
from gateway.policy.facts import OPENED, Facts, FactValue
from gateway.policy.grants import Grant, borrowed, nearest, possible, weigh
from gateway.policy.matching import Touched, openable, touch, who
from gateway.policy.plan import contradicting, demanded, demanding, missing
from gateway.policy.rules import Mode, Policy, StopRule, Verb
from gateway.policy.within import QUOTAS, UNLIMITED, covers, meet, quota, uncovered


def decide(
    policy: Policy, method: str, facts: Facts, *, final: bool = False, stages: Container[str] | None = None
) -> Decision:
    """What `policy` says about importing by `method`, as far as `facts` tell.

    `final` says that no more facts will come (the bytes have been seen): whatever is still open then counts against
    the requester. `stages` are the names of the stages set up at this site; None means all of them.
    Raises KeyError if a fact of the first phase is missing: nothing is decided about nobody.
    """
    if method not in policy.methods:
        reason = wording.method_unknown(method, policy.methods)
        return Decision(method=method, action=Action.DENY, revision=policy.revision, reasons=(reason,))
    known = facts.knowing({"request.method": method})
    touched = touch(policy, method, known, final=final)
    keys = _openable(policy, method, known) if policy.break_glass else ()
    decision = _ruling(method, known.values, touched, final, stages, keys).decision(policy.revision)
    return replace(decision, stops=_stops(touched)) if policy.stops else decision


def _stops(touched: Iterable[Touched]) -> tuple[Stop, ...]:
    return tuple(one.rule.stop for one in touched if isinstance(one.rule, StopRule))


class Ruling(NamedTuple):
    """One question and the rules that count, or may count, towards its answer.

    `sure` is what is left of the grants that hold, `unsure` of those that only may hold and offer something more.
    `planned` are the stages of the rules that count, `limit` all their limits met. `openable` are break-glass rules
    that the caller could open.
    """

    method: str
    values: Mapping[str, FactValue]
    final: bool
    stages: Container[str] | None
    touched: list[Touched]
    grants: list[Grant]
    limits: list[Touched]
    requires: list[Touched]
    denies: list[Touched]
    sure: tuple[Within, ...]
    unsure: tuple[Within, ...]
    planned: tuple[StageCall, ...]
    limit: Within
    openable: tuple[str, ...]

    def decision(self, revision: str) -> Decision:
        reasons = tuple(self.reasons())
        outcomes = {one.rule.name: one.truth for one in self.touched}
        if reasons:
            return Decision(
                method=self.method,
                action=Action.DENY,
                revision=revision,
                reasons=reasons,
                plan=Plan(quotas=_quotas([self.limit])),
                warnings=_said(self.warnings()),
                outcomes=outcomes,
                openable=self.openable,
            )
        within = self.sure + self.unsure
        return Decision(
            method=self.method,
            action=Action.ALLOW if self.settled() else Action.OPEN,
            revision=revision,
            plan=Plan(stages=self.planned, max_size=_most(within), quotas=_quotas(within)),
            within=within,
            sometimes=tuple(self.sometimes()),
            refused_when=_said(self.refused_when()),
            warnings=_said(self.warnings()),
            outcomes=outcomes,
            lent=self.lent(),
            openable=self.openable,
        )

    def reasons(self) -> Iterator[Reason]:
        """Everything that refuses the import; the first one is what its owner should hear first."""
        yield from self._denials()
        if not self.grants:
            yield wording.not_granted(self.method, self.openable)
            return
        yield from self._overruns()
        yield from self._uncovered()
        yield from self._unrunnable()

    def _denials(self) -> Iterator[Reason]:
        for one in _counting(self.denies):
            if isinstance(one.rule, StopRule):
                yield wording.stopped(one.rule.message or "", self.values, one.rule.name)
                continue
            doubt = one.truth is not Truth.YES
            yield wording.denied(self.method, one.rule.message, self.values, doubt=doubt, rule=one.rule.name)

    def _overruns(self) -> Iterator[Reason]:
        for one in _counting(self.limits):
            for key, limit, kept in one.kept:
                if self._outside(kept):
                    yield wording.over_limit(key, limit, self.values, one.rule.message, one.rule.name)

    def _outside(self, kept: Truth) -> bool:
        return kept is Truth.NO or (self.final and kept is Truth.OPEN)

    def _uncovered(self) -> Iterator[Reason]:
        if self.sure or self.unsure:
            return
        near = nearest(self.grants)
        if near.fails:
            owns = [grant.touched.within for grant in self.grants]
            rule = near.touched.rule.name
            yield wording.not_covered(self.method, near.fails[0], self.values, owns, rule, self.openable)
        else:
            yield wording.nothing_left(self.method, near.touched.rule.name)

    def _unrunnable(self) -> Iterator[Reason]:
        for stage in contradicting(self.planned):
            yield wording.conflict(stage, demanding(_counting(self.requires), stage))
        for stage in missing(self.planned, self.stages):
            yield wording.stage_unavailable(stage, demanding(_counting(self.requires), stage))

    def lent(self) -> Lent | None:
        """The opening that the import rests on; see `gateway.policy.facts.OPENED`."""
        rule = borrowed(self.grants)
        opened: Any = self.values.get(OPENED, {})
        return None if rule is None else Lent(rule, **opened.get(rule, {}))

    def settled(self) -> bool:
        """True if no fact that is still unknown could change the answer."""
        return (
            any(grant.covers is Truth.YES for grant in self.grants)
            and not any(one.counts is Truth.OPEN for one in (*self.denies, *self.requires))
            and all(kept is Truth.YES for one in self.limits for _, _, kept in one.kept)
        )

    def sometimes(self) -> Iterator[tuple[StageCall, str]]:
        """Stages that open rules may add to the plan, each with the message of its rule."""
        for one in _open(self.requires):
            message = wording.filled(one.rule.message or "", self.values)
            yield from ((call, message) for call in one.stages if call not in self.planned)

    def refused_when(self) -> Iterator[str]:
        """What may still refuse the import although it is inside one of the alternatives."""
        for one in _open(self.denies):
            yield wording.denied(self.method, one.rule.message, self.values, doubt=False, rule=one.rule.name).message
        for one in _open(self.limits):
            if any(kept is not Truth.YES or key in QUOTAS for key, _, kept in one.kept):
                yield self._told(one, wording.may_be_limited(one.within, self.method))
        for grant in self.grants:
            if grant.touched.counts is Truth.OPEN and grant.left in self.unsure:
                yield self._told(grant.touched, wording.may_be_ungranted(grant.left, self.method))
        yield from self._unsure_stages()
        yield from demands(self.planned, self.method)

    def _unsure_stages(self) -> Iterator[str]:
        """Stages that open rules may add, and that could not run here."""
        unsure = _open(self.requires)
        if not unsure:
            return
        calls = demanded(self.requires)
        stuck = {*contradicting(calls), *missing(calls, self.stages)}
        for one in unsure:
            for stage in sorted(stuck.intersection(call.name for call in one.stages)):
                yield self._told(one, wording.stage_unavailable(stage, None).message)

    def warnings(self) -> Iterator[str]:
        for one in self.touched:
            if one.rule.mode is Mode.WARN and one.counts is Truth.YES and self._bites(one):
                yield self._told(one, wording.would_apply(one.rule.verb, self.method, one.within, one.stages))

    def _bites(self, one: Touched) -> bool:
        """Would the rule refuse this import, or ask more of it, if it were enforced?"""
        if one.rule.verb is Verb.LIMIT:
            return any(self._outside(kept) for _, _, kept in one.kept)
        return one.rule.verb is not Verb.ALLOW

    def _told(self, one: Touched, otherwise: str) -> str:
        return wording.filled(one.rule.message, self.values) if one.rule.message else otherwise


def _openable(policy: Policy, method: str, facts: Facts) -> tuple[str, ...]:
    asking = who(facts)
    able = (rule for rule in policy.break_glass if openable(rule, asking, facts.now))
    return tuple(rule.name for rule in able if method in rule.methods)


def _ruling(
    method: str,
    values: Mapping[str, FactValue],
    touched: list[Touched],
    final: bool,
    stages: Container[str] | None,
    keys: tuple[str, ...],
) -> Ruling:
    sides: dict[Verb, list[Touched]] = {verb: [] for verb in Verb}
    for one in touched:
        if one.counts is not Truth.NO and one.rule.mode is Mode.ENFORCE:
            sides[one.rule.verb].append(one)
    limit = reduce(meet, (one.within for one in _counting(sides[Verb.LIMIT])), UNLIMITED)
    grants = [weigh(one, limit, final=final) for one in sides[Verb.ALLOW]]
    sure, unsure = _ways(possible(grants))
    return Ruling(
        method=method,
        values=values,
        final=final,
        stages=stages,
        touched=touched,
        grants=grants,
        limits=sides[Verb.LIMIT],
        requires=sides[Verb.REQUIRE],
        denies=sides[Verb.DENY],
        sure=sure,
        unsure=unsure,
        planned=demanded(_counting(sides[Verb.REQUIRE])),
        limit=limit,
        openable=keys,
    )


def _ways(grants: Iterable[Grant]) -> tuple[tuple[Within, ...], tuple[Within, ...]]:
    """What the import must be inside of, any one of them: first of grants that hold, then of those that may."""
    lefts: dict[Truth, list[Within]] = {Truth.YES: [], Truth.OPEN: []}
    for grant in grants:
        lefts[grant.touched.counts].append(grant.left)
    sure = uncovered(lefts[Truth.YES])
    return sure, uncovered(one for one in lefts[Truth.OPEN] if not any(covers(other, one) for other in sure))


def _counting(side: Iterable[Touched]) -> list[Touched]:
    return [one for one in side if one.counts is Truth.YES]


def _open(side: Iterable[Touched]) -> list[Touched]:
    return [one for one in side if one.counts is Truth.OPEN]


def _said(messages: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*messages}))


def _quotas(alternatives: Iterable[Within]) -> tuple[Quota, ...]:
    """What the project has to keep one of; empty where an alternative asks for nothing."""
    found = tuple(dict.fromkeys(quota(within) for within in alternatives))
    return () if Quota() in found else found


def _most(alternatives: Iterable[Within]) -> int | None:
    """The byte cap of the stream: the most that any alternative grants; None where one has no limit."""
    sizes = [within.max_size for within in alternatives]
    return None if None in sizes else max((size for size in sizes if size is not None), default=None)
