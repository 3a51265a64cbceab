"""What a tree lets through that another may refuse, told from the rules alone: nothing is evaluated.

`loosenings(old, new)` is empty only where every import that `new` allows is allowed by `old`: each grant of `new` lies
inside one of `old`, and each limit, requirement and denial of `old` is kept by `new`, by whatever name. The other way
round it tells what `new` tightens. A condition that was changed may do either, so it appears both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import islice, product

from gateway.model.decision import StageCall, Within
from gateway.policy.rules import Exemption, Mode, Policy, Rule, Selector, Verb
from gateway.policy.within import covers, for_method, limits

MOST_AUDIENCES = 256
"""A rule for more callers than this is compared as a whole, which may find it looser than it is."""

_KEYS = tuple(one.name for one in fields(Selector))
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def meaning(rule: Rule) -> tuple[object, ...]:
    """Equal for rules that do the same, whatever they are called and whatever they say."""
    when = frozenset(condition.program.meaning for condition in rule.when)
    times = (rule.active_from, rule.active_until)
    return (rule.verb, rule.methods, rule.audience, when, rule.within, rule.stages, rule.mode, times, rule.break_glass)


def loosenings(old: Policy, new: Policy) -> tuple[Rule, ...]:
    """Grants of `new` that `old` does not cover, and guards of `old` that `new` does not keep; by name."""
    before, after = _Side(old), _Side(new)
    grants = [one for one in after.grants if not before.grants_all(one)]
    guards = [one for one in before.guards if not after.keeps_all(one, before)]
    return tuple(sorted((*grants, *guards), key=lambda rule: rule.name))


@dataclass(slots=True)
class _Side:
    """One tree, its enforced rules by name and by verb."""

    policy: Policy
    rules: dict[str, Rule] = field(default_factory=dict)
    verbs: dict[Verb, list[Rule]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = {rule.name: rule for rule in self.policy.rules if rule.mode is Mode.ENFORCE}
        self.verbs = {verb: [rule for rule in self.rules.values() if rule.verb is verb] for verb in Verb}

    @property
    def grants(self) -> list[Rule]:
        return self.verbs[Verb.ALLOW]

    @property
    def guards(self) -> Iterator[Rule]:
        return (rule for rule in self.rules.values() if rule.verb is not Verb.ALLOW)

    def grants_all(self, rule: Rule) -> bool:
        """Is everything that `rule` grants granted here, to everybody it grants it to?"""
        return all(
            any(_grants(mine, one, method) for mine in self.like(rule))
            for one in _apart(rule)
            for method in rule.methods
        )

    def keeps_all(self, rule: Rule, theirs: _Side) -> bool:
        """Is everything that `rule` asks asked here too, of everybody it is asked of?"""
        return all(
            any(self.keeps(mine, one, piece, method, theirs) for mine in self.like(rule))
            for one in _apart(rule)
            for method in rule.methods
            for piece in _pieces(one, method)
        )

    def keeps(self, mine: Rule, theirs: Rule, piece: Within | StageCall | None, method: str, side: _Side) -> bool:
        if not _reaches(mine, theirs, method):
            return False
        if isinstance(piece, StageCall):
            return piece in mine.stages and not self._exempts(mine, piece, theirs, side)
        return piece is None or (_inside(mine, piece, method) and not self._exempts(mine, piece, theirs, side))

    def _exempts(self, mine: Rule, piece: Within | StageCall, theirs: Rule, side: _Side) -> bool:
        """Does an exemption here loosen the piece further than one over there did?"""
        known = side.policy.exemptions.get(theirs.name, ())
        found = (one for one in self.policy.exemptions.get(mine.name, ()) if _loosens(one, piece))
        return any(not any(_as_far(other, one, piece) for other in known) for one in found)

    def like(self, rule: Rule) -> Iterator[Rule]:
        """Rules of the same verb; the one of the same name comes first, for it is nearly always the answer."""
        namesake = self.rules.get(rule.name)
        if namesake is not None and namesake.verb is rule.verb:
            yield namesake
        yield from self.verbs[rule.verb]


def _grants(wide: Rule, narrow: Rule, method: str) -> bool:
    return _reaches(wide, narrow, method) and _opened(wide, narrow) and _covers(wide.within, narrow.within, method)


def _opened(wide: Rule, narrow: Rule) -> bool:
    """A grant that has to be opened by name covers no other grant: the other may be open without it."""
    return wide.break_glass is None or (wide.break_glass == narrow.break_glass and wide.name == narrow.name)


def _covers(wide: Within, narrow: Within, method: str) -> bool:
    return covers(for_method(wide, method), for_method(narrow, method))


def _inside(rule: Rule, piece: Within, method: str) -> bool:
    """Does the rule bound what `piece` bounds, and at least as tightly?"""
    return covers(piece, Within(**dict(limits(rule.within, method))))


def _reaches(wide: Rule, narrow: Rule, method: str) -> bool:
    """Does `wide` count whenever `narrow` does? Fewer conditions reach further, and errors count alike in both."""
    wanted = {condition.program.meaning for condition in narrow.when}
    return (
        method in wide.methods
        and implies(narrow.audience, wide.audience)
        and all(condition.program.meaning in wanted for condition in wide.when)
        and _from(wide) <= _from(narrow)
        and _until(wide) >= _until(narrow)
    )


def _from(rule: Rule) -> datetime:
    return rule.active_from or _EVER[0]


def _until(rule: Rule) -> datetime:
    return rule.active_until or _EVER[1]


def implies(narrow: Sequence[Selector], wide: Sequence[Selector]) -> bool:
    """Is whoever all of `narrow` select also selected by all of `wide`?"""
    return all(
        _implied(narrow, key, values) for one in wide for key in _KEYS if (values := getattr(one, key)) is not None
    )


def _implied(narrow: Iterable[Selector], key: str, values: frozenset[str]) -> bool:
    return any((mine := getattr(one, key)) is not None and mine <= values for one in narrow)


def _apart(rule: Rule) -> Iterator[Rule]:
    """The rule once for each value it selects by, so that two rules may share what one had."""
    several = [one for one in rule.audience if any(len(getattr(one, key) or ()) > 1 for key in _KEYS)]
    choices = [[frozenset({value}) for value in getattr(one, key)] for one in several for key in _keys(one)]
    if not several or len(list(islice(product(*choices), MOST_AUDIENCES + 1))) > MOST_AUDIENCES:
        yield rule
        return
    whole = tuple(one for one in rule.audience if one not in several)
    names = [(number, key) for number, one in enumerate(several) for key in _keys(one)]
    for chosen in product(*choices):
        picked = dict(zip(names, chosen, strict=True))
        single = (Selector(**{key: picked[number, key] for key in _keys(one)}) for number, one in enumerate(several))
        yield replace(rule, bounds=(*whole, *single), scope=Selector(), selector=Selector())


def _keys(selector: Selector) -> list[str]:
    return [key for key in _KEYS if getattr(selector, key) is not None]


def _pieces(rule: Rule, method: str) -> Iterator[Within | StageCall | None]:
    """What a guard asks, one by one; None for a denial, which is one piece."""
    if rule.verb is Verb.LIMIT:
        yield from (Within(**{key: value}) for key, value in limits(rule.within, method))
    elif rule.verb is Verb.REQUIRE:
        yield from rule.stages
    else:
        yield None


def _key(piece: Within) -> str:
    return next(one.name for one in fields(Within) if getattr(piece, one.name) is not None)


def _loosens(exemption: Exemption, piece: Within | StageCall) -> bool:
    if isinstance(piece, StageCall):
        return piece.name in exemption.without
    return getattr(exemption.within, _key(piece)) is not None


def _as_far(other: Exemption, one: Exemption, piece: Within | StageCall) -> bool:
    """Does `other` loosen the piece at least as far as `one`, for as many, and for as long?"""
    if other.until < one.until or not implies((one.selector,), (other.selector,)) or not _loosens(other, piece):
        return False
    if isinstance(piece, StageCall):
        return True
    key = _key(piece)
    return covers(Within(**{key: getattr(other.within, key)}), Within(**{key: getattr(one.within, key)}))
