"""One suite against a service alone and against the gateway in front of it: a table, and each test that differs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.interop.report import Outcome

KINDS = ("passed", "failed", "skipped")

CLOSED: Mapping[str, str] = {
    r"ImageLocationsTest|LocationImportTest|HashCalculationRemoteDeletionTest|ImageLocationsAdminTest": "locations",
    r"test_image_task|ImageTaskCreate": "tasks of type import",
}
"""Tests of what the gateway closes on purpose, for it brings bytes in that nobody judged."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How one test ended in either place; None where it did not run."""

    name: str
    alone: Outcome | None
    front: Outcome | None

    @property
    def closed(self) -> str:
        """What is closed on purpose, where that is why the outcomes differ; else empty."""
        return next((what for pattern, what in CLOSED.items() if re.search(pattern, self.name)), "")

    @property
    def worse(self) -> bool:
        """Passed alone, not in front, and not because it is closed."""
        passed = self.alone is not None and self.alone.outcome == "passed"
        return passed and not self.closed and (self.front is None or self.front.outcome != "passed")

    def told(self) -> str:
        return f"{_kind(self.alone):8} {_kind(self.front):8} {self.name}: {self._why()}"

    def _why(self) -> str:
        if self.closed:
            return f"closed on purpose: {self.closed}"
        if self.front is None:
            return "did not run"
        return self.front.reason or (f"alone: {self.alone.reason}" if self.alone else "")


def compared(alone: Iterable[Outcome], front: Iterable[Outcome]) -> list[Compared]:
    """All tests of either run, by name."""
    left, right = ({one.name: one for one in outcomes} for outcomes in (alone, front))
    return [Compared(name, left.get(name), right.get(name)) for name in sorted({*left, *right})]


def table(tests: Iterable[Compared]) -> str:
    """The counts of both, then a line for each test that differs: alone, in front, name, why."""
    found = list(tests)
    counts = {
        "Glance alone": Counter(_kind(one.alone) for one in found),
        "gateway in front": Counter(_kind(one.front) for one in found),
    }
    head = f"{'':18}{''.join(f'{kind:>9}' for kind in KINDS)}"
    rows = [f"{name:18}{''.join(f'{count[kind]:9}' for kind in KINDS)}" for name, count in counts.items()]
    differing = [one.told() for one in found if _kind(one.alone) != _kind(one.front)]
    return "\n".join([head, *rows, f"{len(differing)} differ (alone, in front):", *differing])


def outcomes(tests: Iterable[Compared]) -> Iterator[Outcome]:
    """What the gateway has to answer for: every test that passed alone."""
    for one in tests:
        if one.alone is not None and one.alone.outcome == "passed" and not one.closed:
            worse = _kind(one.front) if one.worse else "passed"
            yield Outcome(one.name, "failed" if one.worse else "passed", worse if one.worse else "")


def _kind(outcome: Outcome | None) -> str:
    return outcome.outcome if outcome else "-"
