"""Figures, and the table they are printed in."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

CAPTION = """\
Targets are held against the median.
Glance 33 was measured before: 2 cores, two processes, Keystone tokens, 1 GiB images."""

Samples = defaultdict[str, list[float]]


class Skipped(Exception):
    """A part that cannot be measured here; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a figure is: its unit, which way is better, what it should reach, and what Glance 33 reached.

    Glance was measured once, on a machine of its own, not in this run.
    """

    unit: str
    more: bool = False
    target: float | None = None
    glance: str = ""

    @property
    def best(self) -> Callable[[Iterable[float]], float]:
        return max if self.more else min


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured; `samples` holds what each round gave."""

    part: str
    name: str
    kind: Kind
    samples: tuple[float, ...]

    @property
    def best(self) -> float:
        return self.kind.best(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        """Does the median reach the target? None without a target."""
        if self.kind.target is None:
            return None
        return self.median >= self.kind.target if self.kind.more else self.median <= self.kind.target

    def to_json(self) -> dict[str, object]:
        kind = self.kind
        return {
            "part": self.part,
            "name": self.name,
            "unit": kind.unit,
            "best": self.best,
            "median": self.median,
            "samples": list(self.samples),
            "target": kind.target,
            "reached": self.reached,
            "glance": kind.glance or None,
        }


def figures(part: str, samples: Mapping[str, list[float]], kinds: Mapping[str, Kind]) -> list[Figure]:
    """The samples in the order of `kinds`; what could not be measured here is left out."""
    return [Figure(part, name, kind, tuple(samples[name])) for name, kind in kinds.items() if samples.get(name)]


def show(found: Iterable[Figure], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=CAPTION, caption_justify="left")
    for column in ("", "best", "median", "", "target", "", "Glance 33"):
        table.add_column(column, justify="left" if column == "" else "right", no_wrap=True)
    part = ""
    for figure in found:
        if figure.part != part:
            part = figure.part
            table.add_section()
            table.add_row(f"[bold]{part}")
        table.add_row(*_row(figure))
    console.print(table)


def _row(figure: Figure) -> list[str]:
    kind = figure.kind
    target = "" if kind.target is None else f"{'≥' if kind.more else '≤'} {number(kind.target)}"
    word = {None: "", True: "[green]yes", False: "[red]no"}[figure.reached]
    return [f"  {figure.name}", number(figure.best), number(figure.median), kind.unit, target, word, kind.glance]


def number(value: float) -> str:
    """Three digits are all a measurement on a shared machine is worth."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
