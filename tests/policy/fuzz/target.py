"""What must hold for any bytes: a tree is read and compiled, or refused with problems that can be shown."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.policy.compiler import compile_tree
from gateway.policy.expression import Engine
from gateway.policy.lints import findings
from gateway.policy.lints.paragraphs import PARAGRAPHS
from gateway.policy.problems import Problem, Problems
from gateway.policy.reader import Source
from gateway.shipped_files import shipped

SECONDS = 2.0
_SCHEMA = json.loads((shipped("schemas") / "policy.schema.json").read_text())
_METHODS = ("glance-direct", "web-download")
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_STAGES = frozenset({"inspect", "checksum", "decompress"})


def checked(sources: Sequence[Source], engine: Engine) -> tuple[str, ...]:
    """The codes that were told. Raises AssertionError where the promise is broken, and whatever broke it."""
    started = time.process_time()
    problems = _problems(sources, engine)
    took = time.process_time() - started
    assert took < SECONDS, f"{took:.1f} s"
    for problem in problems:
        _shown(problem, sources)
    return tuple(sorted({problem.code for problem in problems}))


def _problems(sources: Sequence[Source], engine: Engine) -> Sequence[Problem]:
    try:
        policy = compile_tree(sources, schema=_SCHEMA, engine=engine, methods=_METHODS)
    except Problems as found:
        return _told(found)
    return findings(sources, policy, schema=_SCHEMA, now=_NOW, stages=_STAGES)


def _told(found: Problems) -> Sequence[Problem]:
    assert found.problems
    assert str(found)
    return found.problems


def _shown(problem: Problem, sources: Sequence[Source]) -> None:
    """Its place is in the file, its code is explained, and its line is the one that stands there."""
    assert problem.code in PARAGRAPHS, problem.code
    source = next(one for one in sources if one.name == problem.place.file)
    lines = source.text.decode("utf-8-sig", "replace").split("\n")
    assert 1 <= problem.place.line <= len(lines) + 1, str(problem.place)
    line = lines[problem.place.line - 1] if problem.place.line <= len(lines) else ""
    assert 1 <= problem.place.column <= len(line) + 1, str(problem.place)
    assert problem.line in ("", line)
    assert problem.width >= 1
    assert len(str(problem)) < 4000
