"""Whose import starts next: projects take turns, first by how many they run, then by the bytes they were served.

Who runs fewest is next, so that slow sources hold no more places than quick ones, however little they bring: places are
even whatever is imported, bytes as far as the projects' imports are alike. Among equals it is start-time fair queueing
(Goyal, Vin and Cheng, 1996) with costs that are counted as they arise: `served` is where a project stands on a line
that all move along, and the one furthest back is next. Nobody starts behind the last of those that were waiting at any
turn before (`pace`), so that a project that was away neither saves up a right to the whole gateway nor pays for what it
used while it was alone; but who waits is never put forward, so nothing it is behind is forgotten.

Who loses a gateway is made good: an import that was begun, and lost its process, is next, because it had its turn; and
while it is done again, or its process gives no signs of life, its project has one place more (`owed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

TURN = 1 << 20
"""What the start of an import costs, in bytes: those that fail at once are not free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One project in the queue: how many imports wait and run, and since when the oldest waits (None: none does).

    Of those that wait, `begun` had a turn already, and lost it with the process that carried them out. Of those that
    run, `owed` are done again, or are held by a process that gives no signs of life.
    """

    project: str
    waiting: int
    running: int
    oldest: datetime | None = None
    served: int = 0
    begun: int = 0
    owed: int = 0

    @property
    def places(self) -> int:
        """Those it holds as far as turns go. One is owed at most: a source that breaks often is no way to the rest."""
        return self.running - min(self.owed, self.running, 1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One import in the queue. `cost` is what it will be served, in bytes, as far as anybody knows."""

    id: str
    project: str
    cost: int


def start(served: int, given: int) -> int:
    """Where a turn starts; `given` is the `pace` of the turn before."""
    return max(served, given)


def pace(standings: Iterable[Standing], given: int, cap: int | None) -> int:
    """Where those stand that are furthest back of all that could have this turn. It never goes back."""
    return min((start(one.served, given) for one in standings if _able(one, cap)), default=given)


def _able(one: Standing, cap: int | None) -> bool:
    return bool(one.waiting) and (cap is None or one.running < cap)


def next_turn(standings: Iterable[Standing], given: int, cap: int | None) -> Standing | None:
    """The project whose oldest import starts now; None where none waits, or all that wait run `cap` imports."""
    able = [one for one in standings if _able(one, cap)]
    return min(able, key=lambda one: _rank(one, given), default=None)


def _rank(one: Standing, given: int) -> tuple[bool, int, int, datetime, str]:
    assert one.oldest is not None
    return not one.begun, one.places, start(one.served, given), one.oldest, one.project


def order(standings: Sequence[Standing], waiting: Sequence[Waiting], given: int) -> list[str]:
    """The ids in the order in which their turns come if nothing else happens; `waiting` are oldest first.

    Those that run are taken to end in the order in which they were begun. A cap is left out: it delays a project, and
    hardly changes who comes before whom.
    """
    queues = {one.project: deque(each for each in waiting if each.project == one.project) for one in standings}
    known = {one.project: one for one in standings}
    ending = deque(one.project for one in standings for _ in range(one.running))
    turns: list[str] = []
    while (chosen := next_turn(known.values(), given, None)) is not None:
        if not (queue := queues[chosen.project]):
            break  # the two were counted at different moments
        first, began = queue.popleft(), start(chosen.served, given)
        given = pace(known.values(), given, None)
        turns.append(first.id)
        known[chosen.project] = replace(
            chosen,
            waiting=len(queue),
            running=chosen.running + 1,
            served=began + TURN + first.cost,
            begun=max(chosen.begun - 1, 0),
        )
        ending.append(chosen.project)
        ended = ending.popleft()
        known[ended] = replace(known[ended], running=known[ended].running - 1)
    return turns
