"""What the records show while the gateways come and go: who was served how much, and who took over from the dead."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic

import psycopg
from psycopg.rows import dict_row

from tests.serving.rows import Row

LOOK_SECONDS = 0.2
ENDED = frozenset({"success", "failure"})
QUERY = "SELECT id, project, status, attempt, runner, bytes_done FROM imports"


@dataclass(frozen=True)
class Served:
    """Bytes by project, or by import, at a moment: all that was moved for it, and what of them is not lost again.

    `waiting` are the imports that nobody carried out then.
    """

    moved: Mapping[str, int]
    kept: Mapping[str, int]
    waiting: frozenset[str] = frozenset()


@dataclass
class Watch:
    """A look at all imports five times a second. `history` is by import."""

    url: str
    history: list[Served] = field(default_factory=list)
    handed: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    _orphans: dict[str, tuple[str, float]] = field(default_factory=dict)
    _queued: set[str] = field(default_factory=set)
    _moved: dict[tuple[str, int], int] = field(default_factory=dict)
    _seen: dict[str, Row] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._forever)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _forever(self) -> None:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            stopped = False
            while not stopped:
                stopped = self._stop.wait(LOOK_SECONDS)  # and looks once more
                rows = connection.execute(QUERY).fetchall()
                with self._lock:
                    self._look(rows, monotonic())

    def _look(self, rows: Sequence[Row], now: float) -> None:
        for row in rows:
            self._serve(row)
            self._take_over(row, now)
            before = self._seen.get(row["id"])
            if before is None or (before["runner"] is not None and row["runner"] != before["runner"]):
                self.arrivals.append(now)
            self._seen[row["id"]] = row
        self.history.append(self._now(rows))

    def _serve(self, row: Row) -> None:
        key = (row["id"], row["attempt"])
        self._moved[key] = max(self._moved.get(key, 0), row["bytes_done"])

    def _take_over(self, row: Row, now: float) -> None:
        """First it is in the queue again, then somebody carries it out."""
        dead, since = self._orphans.get(row["id"], ("", now))
        if not dead:
            return
        if row["runner"] == dead:
            if row["status"] in ENDED:  # it had ended before its gateway fell, unseen
                del self._orphans[row["id"]]
            return
        if row["id"] not in self._queued:
            self._queued.add(row["id"])
            self.handed.append(now - since)
        if row["status"] in ENDED or row["runner"] is not None:
            self.takeovers.append(now - since)
            self._queued.discard(row["id"])
            del self._orphans[row["id"]]

    def _now(self, rows: Sequence[Row]) -> Served:
        moved: dict[str, int] = defaultdict(int)
        for (work, _), size in self._moved.items():
            moved[work] += size
        waiting = frozenset(row["id"] for row in rows if row["status"] not in ENDED and row["runner"] is None)
        return Served(moved, {row["id"]: row["bytes_done"] for row in rows}, waiting)

    def died(self, runner: str) -> None:
        """From now on its imports wait for somebody else."""
        now = monotonic()
        with self._lock:
            held = [row["id"] for row in self._seen.values() if row["runner"] == runner and row["status"] not in ENDED]
            self._orphans |= dict.fromkeys(held, (runner, now))

    def came_back(self, runner: str) -> None:
        """It was away, but not dead: what is not in the queue by now is its own again."""
        with self._lock:
            mine = {work for work, dead in self._orphans.items() if dead[0] == runner}
            for work in mine - self._queued:
                del self._orphans[work]

    @property
    def waiting(self) -> int:
        """Imports that nobody has taken over yet."""
        return len(self._orphans)

    def shared(self, projects: Mapping[str, str]) -> Served | None:
        """By project, when the first of them had nothing left to wait for; None if they never all waited at once.

        `projects` are those of the imports that count, all of which have been asked for by then.
        """
        last = None
        for look in self.history:
            if not look.kept.keys() >= projects.keys():
                continue
            if {projects[work] for work in look.waiting if work in projects} != set(projects.values()):
                break
            last = look
        return last and Served(_by_project(last.moved, projects), _by_project(last.kept, projects))


def _by_project(sizes: Mapping[str, int], projects: Mapping[str, str]) -> dict[str, int]:
    found = dict.fromkeys(projects.values(), 0)
    for work, project in projects.items():
        found[project] += sizes.get(work, 0)
    return found


def spread(served: Mapping[str, int]) -> float:
    """The most that a project was served, over the least."""
    return max(served.values()) / max(min(served.values()), 1)


def setback(places: Sequence[tuple[float, int]], arrivals: Sequence[float], slack: float) -> int:
    """The farthest that an import fell back in the queue, those left out that came into it meanwhile (or in the seconds
    of `slack` around it, which is what the watch may be late).
    """
    farthest = 0
    for (before, first), (after, second) in pairwise(places):
        came = sum(before - slack <= arrival <= after + slack for arrival in arrivals)
        farthest = max(farthest, second - first - came)
    return farthest
