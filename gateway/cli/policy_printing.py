"""How `import-gateway policy` prints what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.model.decision import Action, Decision
from gateway.policy.offers import Offers
from gateway.policy.testing import Outcome
from gateway.policy.wording import said_within


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def print_tests(outcome: Outcome, folder: Path, min_coverage: int) -> None:
    for failure in outcome.failures:
        place = failure.place
        print(f"{(folder / place.file).as_posix()}:{place.line}: {failure.test}\n    {failure.message}")
    for rule in outcome.idle:
        print(f"{(folder / rule.place.file).as_posix()}:{rule.place.line}: no test applies {rule.name}")
    print(_tested(outcome, min_coverage))


def _tested(outcome: Outcome, min_coverage: int) -> str:
    if not outcome.cases:
        return "There are no tests: write a *.test.yaml beside the policy."
    counted = f"{_count(outcome.cases, 'case')}, {_count(len(outcome.failures), 'failure')}"
    short = f", less than the {min_coverage}% asked for" if outcome.coverage < min_coverage else ""
    return f"{counted}; {outcome.coverage:.0f}% of the rules applied{short}"


def print_offers(found: Mapping[str, Offers]) -> None:
    """One table for all callers: what each may import, and why not the rest."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=True)
    for title in ("caller", "method", "within", "stages", "remarks"):
        table.add_column(title, overflow="fold")
    for caller, offered in found.items():
        for method, decision in sorted(offered.decisions.items()):
            cells = (caller, method, *_cells(method, decision))
            table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)


def _cells(method: str, decision: Decision) -> tuple[str, str, str]:
    if decision.action is Action.DENY:
        reason = decision.reasons[0]
        return "not offered", "", f"{reason.code}: {reason.message}"
    ways = "\nor ".join(said_within(within, method) or "anything" for within in decision.within)
    stages = ", ".join(dict.fromkeys(call.name for call in decision.plan.stages))
    return ways, stages, "\n".join(_remarks(decision))


def _remarks(decision: Decision) -> Iterator[str]:
    yield from (f"sometimes {call.name}: {message}" for call, message in decision.sometimes)
    yield from (f"refused when: {message}" for message in decision.refused_when)
    yield from (f"warning: {message}" for message in decision.warnings)
