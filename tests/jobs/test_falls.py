"""Turns while gateways fall, in a model of seconds: no servers, many seeds, and the rules of `gateway.model.turns`.

Three gateways with four places each, 20 projects that ask for nine imports each, every import taking five seconds. As
in `make faults`, a gateway falls about every eight seconds and comes back later; what it held is lost. Imports of one
that was killed are free when it is back, of one that was paused at the end of its lease.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.model.turns import TURN, Standing, next_turn, pace, start

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GATEWAYS, PLACES, PROJECTS, EACH = 3, 4, 20, 9
TAKES, LEASE, SILENT, GAP = 5, 15, 5, 8
SECOND = 1 << 20
SEEDS = 30


@dataclass(eq=False)
class Work:
    """`done` seconds of its five; `again` once it was lost."""

    project: str
    done: int = 0
    again: bool = False


@dataclass(eq=False)
class Gateway:
    """Down until `back`; what it holds is free at `free`."""

    holds: list[Work] = field(default_factory=list)
    fell: int | None = None
    free: int = 0
    back: int = 0


class Model:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.gateways = [Gateway() for _ in range(GATEWAYS)]
        self.projects = [f"p{number:02}" for number in range(PROJECTS)]
        self.waiting = {name: [Work(name) for _ in range(EACH)] for name in self.projects}
        self.served = dict.fromkeys(self.projects, 0)
        self.kept = dict.fromkeys(self.projects, 0)
        self.given, self.now = 0, 0

    def spread(self) -> float:
        """The most that a project was served to stay over the least, as long as all had something to wait for."""
        falls = GAP
        while all(self.waiting.values()):
            if self.now >= falls and self.fall():
                falls = self.now + self.chance.randint(GAP // 2, GAP + GAP // 2)
            for one in self.gateways:
                self.pass_second(one)
            self.now += 1
        kept = [self.kept[name] + self.under_way(name) for name in self.projects]
        return max(kept) / max(min(kept), 1)

    def under_way(self, project: str) -> int:
        return sum(work.done for one in self.gateways for work in one.holds if work.project == project)

    def fall(self) -> bool:
        """One at the least is always left alone."""
        up = [one for one in self.gateways if one.fell is None]
        if len(up) < 2:
            return False
        one, paused = self.chance.choice(up), self.chance.random() < 0.2
        one.fell = self.now
        one.back = self.now + (self.chance.randint(LEASE + 3, 2 * LEASE) if paused else self.chance.randint(2, 6))
        one.free = min(one.back, self.now + LEASE + 2)
        return True

    def pass_second(self, one: Gateway) -> None:
        if one.fell is None:
            self.work(one)
            while len(one.holds) < PLACES and self.claim(one):
                pass
            return
        if self.now >= one.free:
            self.release(one)
        if self.now >= one.back:
            one.fell = None

    def work(self, one: Gateway) -> None:
        for work in list(one.holds):
            work.done += 1
            self.served[work.project] += SECOND
            if work.done == TAKES:
                one.holds.remove(work)
                self.kept[work.project] += TAKES

    def release(self, one: Gateway) -> None:
        for work in one.holds:
            self.served[work.project] -= work.done * SECOND
            work.done, work.again = 0, True
            self.waiting[work.project].insert(0, work)
        one.holds.clear()

    def claim(self, one: Gateway) -> bool:
        standings = [self.standing(name) for name in self.projects]
        chosen = next_turn(standings, self.given, None)
        if chosen is None:
            return False
        self.served[chosen.project] = start(chosen.served, self.given) + TURN
        self.given = pace(standings, self.given, None)
        one.holds.append(self.waiting[chosen.project].pop(0))
        return True

    def standing(self, name: str) -> Standing:
        waiting = self.waiting[name]
        held = [(one, work) for one in self.gateways for work in one.holds if work.project == name]
        return Standing(
            project=name,
            waiting=len(waiting),
            running=len(held),
            oldest=NOW,
            served=self.served[name],
            begun=sum(work.again for work in waiting),
            owed=sum(work.again or (one.fell is not None and self.now - one.fell > SILENT) for one, work in held),
        )


def test_gateways_that_fall_leave_no_project_behind() -> None:
    """Of 300 seeds one is above 1.5: a project may lose a gateway twice within the few imports that are counted."""
    spreads = sorted(Model(seed).spread() for seed in range(SEEDS))
    assert spreads[-1] <= 1.5, spreads[-5:]
    assert spreads[SEEDS // 2] <= 1.2
