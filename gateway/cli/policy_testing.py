"""`import-gateway policy test`: the tests of a tree, and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.policy_asking import EngineOption, Folder, JsonOption, compiled, moment, schema, told

if TYPE_CHECKING:
    from gateway.policy.coverage import Coverage
    from gateway.policy.testing import Outcome


def run_tests(
    folder: Folder = Path(),
    min_coverage: Annotated[int, typer.Option(min=0, max=100, help="Percent of rules that must apply.")] = 0,
    clauses: Annotated[bool, typer.Option("--clauses", help="List the clauses that never came out both ways.")] = False,
    min_clauses: Annotated[
        int, typer.Option(min=0, max=100, help="Percent of clauses that must come out both ways.")
    ] = 0,
    json: JsonOption = False,
    engine: EngineOption = "cel-expr",
) -> None:
    """Run the tree's `*.test.yaml`, and list the rules that applied in none of their cases.

    A clause is a condition (true and false), a limit (kept and exceeded), or whether a rule applies at all.
    """
    from gateway.cli.policy_printing import print_tests
    from gateway.policy.coverage import coverage
    from gateway.policy.testfile import read_tests
    from gateway.policy.testing import run
    from gateway.trees import read_tests as test_files

    with told(folder):
        policy = compiled(folder, engine)
        cases = read_tests(test_files(folder), schema=schema("policy-test"), policy=policy, now=moment(None))
    outcome, covered = run(policy, cases), coverage(policy, cases)
    if json:
        _print_json(outcome, covered, folder)
    else:
        print_tests(outcome, folder, min_coverage)
        _print_clauses(covered, folder, listed=clauses, least=min_clauses)
    short = outcome.coverage < min_coverage or covered.percent < min_clauses
    if outcome.failures or not outcome.cases or short:
        raise typer.Exit(1)


def _print_clauses(covered: Coverage, folder: Path, *, listed: bool, least: int) -> None:
    if not listed and covered.percent >= least:
        return
    for clause in covered.missed:
        place = clause.rule.place
        print(f"{(folder / place.file).as_posix()}:{place.line}: {clause}")
    short = f", less than the {least}% asked for" if covered.percent < least else ""
    print(f"{covered.percent:.0f}% of {covered.clauses} clauses exercised{short}")


def _print_json(outcome: Outcome, covered: Coverage, folder: Path) -> None:
    from gateway.cli.speech import print_json

    failures = [
        {"file": (folder / one.place.file).as_posix(), "line": one.place.line, "test": one.test, "message": one.message}
        for one in outcome.failures
    ]
    print_json(
        {
            "cases": outcome.cases,
            "failures": failures,
            "coverage": {"rules": round(outcome.coverage, 1), "clauses": round(covered.percent, 1)},
            "rules": covered.rules,
            "missed": [{"rule": one.rule.name, "clause": one.what, "side": one.side} for one in covered.missed],
        }
    )
