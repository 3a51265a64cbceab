"""How it went: one line for each check that did not pass, and the count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`outcome` is passed, failed or skipped; `reason` says why it did not pass."""

    name: str
    outcome: str
    reason: str = ""

    def told(self) -> str:
        return f"{self.outcome:8} {self.name}{f': {self.reason}' if self.reason else ''}"


def live(judge: str, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """All of them; each takes a letter when it comes, and what did not pass is told at the end."""
    found = []
    for outcome in outcomes:
        found.append(outcome)
        print("." if outcome.outcome == "passed" else outcome.outcome[0].upper(), end="", flush=True)
    print(f"\n{told(judge, found)}", flush=True)
    return found


def told(judge: str, outcomes: Iterable[Outcome]) -> str:
    """What did not pass, failures last, then `JUDGE: N passed, N failed, N skipped`."""
    found = sorted(outcomes, key=lambda outcome: (outcome.outcome == "failed", outcome.name))
    counts = Counter(outcome.outcome for outcome in found)
    lines = [outcome.told() for outcome in found if outcome.outcome != "passed"]
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped"))
    return "\n".join([*lines, f"{judge}: {summary}"])


def good(outcomes: Iterable[Outcome]) -> bool:
    """Something passed and nothing failed: a suite that ran no test has shown nothing."""
    kinds = {outcome.outcome for outcome in outcomes}
    return "passed" in kinds and "failed" not in kinds
