"""From required stages to the plan: what runs, in which order, and where two rules contradict each other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from functools import lru_cache

from gateway.model.decision import StageCall
from gateway.policy.matching import Touched
from gateway.policy.stagewords import RUNNING_ORDER, TRANSFORMS, set_up

_POSITIONS = {name: position for position, name in enumerate(RUNNING_ORDER)}


def demanded(requires: Iterable[Touched]) -> tuple[StageCall, ...]:
    """The union of all required stages in running order.

    A check runs once for each distinct set of options. A transform runs once, with all its options together; where
    they contradict each other both calls stay, and `contradicting` names the stage.
    """
    return _ordered(frozenset([call for one in requires for call in one.stages]))


@lru_cache(maxsize=4096)
def _ordered(calls: frozenset[StageCall]) -> tuple[StageCall, ...]:
    checks = {call for call in calls if call.name not in TRANSFORMS}
    return tuple(sorted([*checks, *_transforms(calls - checks)], key=_place))


def _place(call: StageCall) -> tuple[int, str, str]:
    return (_POSITIONS.get(call.name, len(_POSITIONS)), call.name, repr(call.options))


def _transforms(calls: Iterable[StageCall]) -> Iterator[StageCall]:
    wanted: dict[str, set[StageCall]] = {}
    for call in calls:
        wanted.setdefault(call.name, set()).add(call)
    for name, asked in wanted.items():
        together = {pair for call in asked for pair in call.options}
        agree = len({option for option, _ in together}) == len(together)
        yield from [StageCall(name, tuple(sorted(together)))] if agree else asked


def contradicting(calls: Iterable[StageCall]) -> list[str]:
    """Names of the transforms that are demanded with options that contradict each other."""
    names = [call.name for call in calls if call.name in TRANSFORMS]
    return sorted({name for name in names if names.count(name) > 1}) if len(names) > 1 else []


def missing(calls: Iterable[StageCall], stages: Container[str] | None) -> list[str]:
    """Names of the demanded stages that are not set up at this site; `stages` None means that all are."""
    return [] if stages is None else sorted({call.name for call in calls if not set_up(call, stages)})


def demanding(requires: Iterable[Touched], stage: str) -> str | None:
    """The first rule, by name, that demands a stage."""
    names = (one.rule.name for one in requires if any(call.name == stage for call in one.stages))
    return min(names, default=None)
