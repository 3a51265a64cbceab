"""Trying cases in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.policy.problems import Problems
from tests.policy.campaign.drawing import case, compiled
from tests.policy.campaign.properties import PROPERTIES, Tried


@dataclass(slots=True)
class Tally:
    """What came of some cases. `skipped` are trees that the compiler refuses; `wrong` names each disagreement."""

    cases: int = 0
    skipped: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.skipped += other.skipped
        self.actions += other.actions
        self.wrong += other.wrong

    def __str__(self) -> str:
        decided = ", ".join(f"{count:,} {action}" for action, count in sorted(self.actions.items()))
        return f"{self.cases:,} trees and requests ({decided}), {len(self.wrong)} disagreements"


def try_cases(numbers: Iterable[int], *, until_wrong: bool = False) -> Tally:
    """Each number is one case, the same wherever it is tried."""
    tally = Tally()
    for number in numbers:
        _try(number, tally)
        if until_wrong and tally.wrong:
            break
    return tally


def _try(number: int, tally: Tally) -> None:
    drawn = case(number)
    try:
        tried = Tried(number, drawn, compiled(drawn.documents, drawn.stops))
    except Problems:
        tally.skipped += 1
        return
    tally.cases += 1
    tally.actions[tried.ended.action.value] += 1
    for holds in PROPERTIES:
        tally.wrong += [f"case {number}, {holds.__name__}: {wrong}" for wrong in holds(tried)]
