"""Gateways killed, paused and stopped at moments that a seed draws; one at the least is always left alone."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from time import monotonic

from tests.faults.service import Service
from tests.fleet.fleet import Fleet
from tests.fleet.watching import Watch

WAYS = ("killed", "killed", "killed", "paused", "stopped")
LONGEST_AWAY = 4.0
STOP_SECONDS = 40


@dataclass(frozen=True)
class Blow:
    """`at` seconds after the begin; back after `away` seconds. `member` is the first to be looked at."""

    at: float
    member: int
    way: str
    away: float


def blows(chance: random.Random, seconds: float, members: int, lease: float, gap: float) -> list[Blow]:
    """One every `gap` seconds on average."""
    drawn: list[Blow] = []
    at = chance.uniform(0.5, 1.5) * gap
    while at < seconds:
        way = WAYS[len(drawn) % len(WAYS)]
        away = chance.uniform(1.2, 2) * lease if way == "paused" else chance.uniform(0, LONGEST_AWAY)
        drawn.append(Blow(at, chance.randrange(members), way, away))
        at += chance.uniform(0.5, 1.5) * gap
    return drawn


@dataclass
class Havoc:
    fleet: Fleet
    watch: Watch
    done: Counter[str] = field(default_factory=Counter)
    _away: set[int] = field(default_factory=set)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def striking(self, drawn: Sequence[Blow]) -> Iterator[Future[None]]:
        """Meanwhile; at the end everybody is back. The future is done after the last blow."""
        with ThreadPoolExecutor(len(self.fleet.members) + 1) as pool:
            going = pool.submit(self._strike, drawn, pool)
            try:
                yield going
            finally:
                self._end.set()
        going.result()

    def _strike(self, drawn: Sequence[Blow], pool: ThreadPoolExecutor) -> None:
        began, falls = monotonic(), []
        for blow in drawn:
            if self._end.wait(max(began + blow.at - monotonic(), 0)):
                break
            number = self._free(blow.member)
            falls.append(pool.submit(self._fall, number, blow))
        for fall in falls:
            fall.result()

    def _free(self, first: int) -> int:
        """A member that is there, once there is another one besides."""
        count = len(self.fleet.members)
        with self._change:
            self._change.wait_for(lambda: len(self._away) < count - 1)
            number = next(n % count for n in range(first, first + count) if n % count not in self._away)
            self._away.add(number)
            return number

    def _fall(self, number: int, blow: Blow) -> None:
        member = self.fleet.members[number]
        try:
            getattr(self, f"_{blow.way}")(member, blow.away)
            self.done[blow.way] += 1
        finally:
            with self._change:
                self._away.discard(number)
                self._change.notify_all()

    def _killed(self, member: Service, away: float) -> None:
        runner = self._runner(member)
        member.kill(SIGKILL)
        self.watch.died(runner)
        self._end.wait(away)
        member.start()

    def _paused(self, member: Service, away: float) -> None:
        """Past its lease, so that others take over; then it wakes up amid of what it was doing."""
        runner = self._runner(member)
        member.signal(SIGSTOP)
        self.watch.died(runner)
        self._end.wait(away)
        member.signal(SIGCONT)
        self.watch.came_back(runner)

    def _stopped(self, member: Service, away: float) -> None:
        runner = self._runner(member)
        member.signal(SIGTERM)
        self.watch.died(runner)
        member.wait(STOP_SECONDS)
        self._end.wait(away)
        member.start()

    def _runner(self, member: Service) -> str:
        port = member.url.rpartition(":")[2]
        found = self.fleet.rows(f"SELECT id FROM processes WHERE split_part(host, chr(58), 2) = '{port}'")
        return str(found[0]["id"]) if found else ""
