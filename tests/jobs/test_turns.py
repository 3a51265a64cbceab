"""Projects take turns: nobody waits behind another's queue; places are even, and bytes where imports are alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.turns import TURN, Standing, Waiting, next_turn, order, pace, start

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LARGEST = 64 << 20
SIZES = st.integers(0, LARGEST)


class Line:
    """The queue as the records keep it, with `slots` places; every project has work for ever."""

    def __init__(self, projects: int, slots: int, cap: int | None = None) -> None:
        self.served = {f"p{number:02}": 0 for number in range(projects)}
        self.got = dict.fromkeys(self.served, 0)
        self.slots, self.cap, self.given = slots, cap, 0
        self.running: list[tuple[str, int]] = []

    def fill(self, size: int) -> str | None:
        chosen = next_turn(self.standings(), self.given, self.cap)
        if chosen is None or len(self.running) == self.slots:
            return None
        began = start(self.served[chosen.project], self.given)
        self.given = pace(self.standings(), self.given, self.cap)
        self.served[chosen.project] = began + TURN
        self.running.append((chosen.project, size))
        return chosen.project

    def end(self, which: int) -> None:
        project, size = self.running.pop(which % len(self.running))
        self.served[project] += size
        self.got[project] += size

    def standings(self) -> list[Standing]:
        runs = [project for project, _ in self.running]
        return [
            Standing(project=name, waiting=1, running=runs.count(name), oldest=NOW, served=served)
            for name, served in self.served.items()
        ]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 7), st.lists(SIZES, min_size=40, max_size=60))
def test_those_that_wait_for_one_place_are_served_the_same_bytes(projects: int, sizes: list[int]) -> None:
    """Whatever the sizes, as far as a single import allows."""
    line = Line(projects, 1)
    for size in sizes:
        if line.fill(size) is None:
            line.end(0)
            line.fill(size)
        assert max(line.served.values()) - min(line.served.values()) <= LARGEST + TURN


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 7), st.integers(1, 9), SIZES)
def test_those_whose_imports_are_alike_are_served_the_same_bytes(projects: int, slots: int, size: int) -> None:
    """However many places there are, as far as two imports allow."""
    line = Line(projects, slots)
    for _ in range(80):
        if line.fill(size) is None:
            line.end(0)
            line.fill(size)
        assert max(line.served.values()) - min(line.served.values()) <= 2 * (size + TURN)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 7), st.integers(1, 9), st.lists(st.tuples(SIZES, st.integers(0, 8)), min_size=20, max_size=40))
def test_those_that_always_wait_have_the_same_places(projects: int, slots: int, ends: list[tuple[int, int]]) -> None:
    """Whatever the sizes, and whosever imports end: who brings little, or slowly, costs the others no place."""
    line = Line(projects, slots)
    for size, ending in ends:
        while line.fill(size) is not None:
            pass
        runs = [one.running for one in line.standings()]
        assert max(runs) - min(runs) <= 1
        for _ in range(min(ending + 1, len(line.running))):
            line.end(ending)


def test_who_was_held_up_catches_up() -> None:
    """One place of p00 is taken for long, as by a gateway that died, while the others go on."""
    line = Line(4, 3)
    assert line.fill(LARGEST) == "p00"
    for _ in range(30):
        while line.fill(LARGEST) is not None:
            pass
        line.end(1)
    line.end(0)
    for _ in range(90):
        while line.fill(LARGEST) is not None:
            pass
        line.end(0)
    assert max(line.got.values()) - min(line.got.values()) <= 2 * LARGEST


def test_slow_sources_hold_no_more_places_than_quick_ones() -> None:
    """Three of six bring next to nothing, for ever: whenever a quick one ends, its place is its project's again."""
    line = Line(6, 6)
    for _ in range(6):
        line.fill(LARGEST)
    for _ in range(60):
        ended, _ = line.running[3]
        line.end(3)
        assert line.fill(LARGEST) == ended


def test_a_source_that_breaks_often_is_no_way_to_all_places() -> None:
    breaking = Standing(project="breaking", waiting=9, running=3, oldest=NOW, owed=3)
    quick = Standing(project="quick", waiting=1, running=1, oldest=NOW, served=9 * LARGEST)
    assert breaking.places == 2
    assert next_turn([breaking, quick], 0, None) is quick


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 8), st.integers(1, 4), st.lists(SIZES, min_size=20, max_size=40))
def test_a_newcomer_is_next_whatever_the_others_have_queued(slots: int, old: int, sizes: list[int]) -> None:
    line = Line(old, slots)
    for size in sizes:
        if line.fill(size) is None:
            line.end(0)
            line.fill(size)
    line.served["newcomer"] = line.got["newcomer"] = 0
    line.end(0)
    assert line.fill(1) == "newcomer"


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 12), st.lists(SIZES, min_size=1, max_size=40))
def test_no_project_runs_more_than_its_cap(cap: int, slots: int, sizes: list[int]) -> None:
    line = Line(2, slots, cap)
    for size in sizes:
        line.fill(size)
        counts = [[project for project, _ in line.running].count(name) for name in line.served]
        assert max(counts) <= cap
        assert sum(counts) == min(slots, len(sizes), sum(counts))


def test_one_that_was_away_saves_nothing_up_and_pays_for_nothing() -> None:
    line = Line(2, 1)
    line.served = {"p00": 50 * LARGEST, "p01": 0}  # p00 was alone here for a while
    line.given = 50 * LARGEST - TURN
    turns = []
    for _ in range(20):
        turns.append(line.fill(LARGEST))
        line.end(0)
    assert abs(turns.count("p00") - turns.count("p01")) <= 2


def test_an_import_that_lost_its_process_is_next() -> None:
    behind = Standing(project="behind", waiting=3, running=0, oldest=NOW)
    lost = Standing(project="lost", waiting=1, running=2, oldest=NOW, served=9 * LARGEST, begun=1)
    assert next_turn([behind, lost], 0, None) is lost
    assert next_turn([behind, lost], 0, cap=2) is behind


def test_places_in_the_queue_are_the_order_of_the_turns() -> None:
    many = [Waiting(f"a{n}", "many", 0) for n in range(4)]
    one = [Waiting("b0", "one", 0)]
    standings = [
        Standing(project="many", waiting=4, running=1, oldest=NOW, served=10 * TURN),
        Standing(project="one", waiting=1, running=0, oldest=NOW + timedelta(hours=1)),
    ]
    assert order(standings, [*many, *one], 9 * TURN)[0] == "b0"
    assert order(standings[:1], many, 0) == ["a0", "a1", "a2", "a3"]
    assert order([], [], 0) == []
