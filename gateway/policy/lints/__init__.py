"""Every lint of policy trees. A new one is a function with its paragraph in one of the modules listed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from gateway.policy.document import File, read_file
from gateway.policy.lints import amounts, conditions, dates, reach, trust
from gateway.policy.lints.lint import Lint, Linted
from gateway.policy.problems import Problem
from gateway.policy.reader import Source
from gateway.policy.rules import Policy

MODULES = (amounts, conditions, dates, reach, trust)
LINTS: Mapping[str, Lint] = {
    one.code: one for module in MODULES for one in vars(module).values() if isinstance(one, Lint)
}
"""By code."""


def findings(
    sources: Sequence[Source], policy: Policy, *, schema: Mapping[str, Any], now: datetime, stages: frozenset[str]
) -> list[Problem]:
    """What all lints find in a tree that compiles to `policy`, by place. None of it keeps the tree from loading."""
    files = [file for source in sources if (file := read_file(source, schema)[0]) is not None]
    tree = _linted(files, policy, now, stages)
    found = chain.from_iterable(one.findings(tree) for one in LINTS.values())
    return sorted(set(found), key=lambda problem: (*_at(problem), problem.code, problem.message))


def _at(problem: Problem) -> tuple[str, int, int]:
    return (problem.place.file, problem.place.line, problem.place.column)


def _linted(files: Sequence[File], policy: Policy, now: datetime, stages: frozenset[str]) -> Linted:
    return Linted(
        policy=policy,
        files=tuple(files),
        now=now,
        stages=stages,
        written={f"{file.policy}/{one.at('id').value}": one for file in files for one in file.rules},
        loosening={(file.policy, node.value["id"].node.value): node for file in files for node in file.exemptions},
    )
