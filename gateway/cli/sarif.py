"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from gateway.policy.paragraph import Paragraph
    from gateway.policy.problems import Problem

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(problems: Sequence[Problem], paragraphs: Mapping[str, Paragraph], version: str) -> dict[str, Any]:
    """One run with the rules that found something; columns count UTF-16 code units from 1 (section 3.30.2)."""
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "import-gateway policy check",
        "version": version,
        "rules": [_rule(code, paragraphs.get(code)) for code in codes],
    }
    results = [_result(problem, codes.index(problem.code)) for problem in problems]
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, told: Paragraph | None) -> dict[str, Any]:
    if told is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": told.title},
        "fullDescription": {"text": " ".join(told.text.split())},
        "help": {"text": str(told)},
        "defaultConfiguration": {"level": _LEVELS[told.level]},
    }


def _result(problem: Problem, index: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": quote(problem.place.file)}, "region": _region(problem)}
    return {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": _LEVELS[problem.level],
        "message": {"text": f"{problem.message} ({problem.hint})" if problem.hint else problem.message},
        "locations": [{"physicalLocation": place}],
    }


def _region(problem: Problem) -> dict[str, int]:
    start = problem.place.column - 1
    before, marked = problem.line[:start], problem.line[start : start + problem.width]
    first = _units(before) + 1 if problem.line else start + 1
    return {"startLine": problem.place.line, "startColumn": first, "endColumn": first + max(1, _units(marked))}


def _units(text: Iterable[str]) -> int:
    return sum(1 + (ord(letter) > 0xFFFF) for letter in text)
