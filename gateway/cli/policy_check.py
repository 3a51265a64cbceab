"""`import-gateway policy check` and `policy schema`: what is wrong with a tree, and how files are written.

Exit codes of `check`: 0 clean, 1 findings, 2 used wrongly. Warnings count as findings with `--strict` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import EngineOption, Folder, NowOption, compiled, moment, schema, told
from gateway.cli.speech import print_json
from gateway.cli.workflow import workflow_command

if TYPE_CHECKING:
    from gateway.policy.problems import Problem
    from gateway.policy.rules import Policy

_WORKFLOW = {"error": "error", "warning": "warning", "info": "notice"}
_SCHEMAS = ("policy", "policy-test", "settings", "decision", "discovery")


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def _codes(incomplete: str) -> list[str]:
    """For shell completion."""
    from gateway.policy.lints.paragraphs import PARAGRAPHS

    return [code for code in PARAGRAPHS if code.startswith(incomplete)]


def _explained(code: str | None) -> None:
    """Answers `--explain` and ends: it asks for no tree."""
    if code is None:
        return
    from gateway.policy.lints.paragraphs import PARAGRAPHS
    from gateway.policy.spelling import suggestion

    if code != "all" and code not in PARAGRAPHS:
        hint = suggestion(code, PARAGRAPHS) or "`--explain all` lists every code"
        raise typer.BadParameter(f"there is no code '{code}'; {hint}", param_hint="--explain")
    print("\n".join(str(PARAGRAPHS[one]) for one in (PARAGRAPHS if code == "all" else [code])), end="")
    raise typer.Exit


ExplainOption = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="CODE",
        help="Say what a code means, and how to be rid of it; `all` for every code.",
        callback=_explained,
        is_eager=True,
        autocompletion=_codes,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="CODE", help="Leave a warning out; repeat for more.", autocompletion=_codes),
]


def check(
    folder: Folder = Path(),
    format: Annotated[Format, typer.Option(help="How to print what is found.")] = Format.TEXT,  # noqa: A002
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")] = False,
    ignore: IgnoreOption = None,
    explain: ExplainOption = None,
    now: NowOption = None,
    engine: EngineOption = "cel-expr",
) -> None:
    """Is the tree right? Every problem of every file, with its place.

    Errors keep a tree from loading: spelling, types of expressions, and what files say about each other. Warnings are
    what a tree does otherwise than it reads.
    """
    from gateway.policy.problems import Level
    from gateway.trees import read_tree

    with told(folder):
        files = len(read_tree(folder))
        policy, problems = _found(folder, engine, now)
    kept = [_here(one, folder) for one in problems if one.level is Level.ERROR or one.code not in (ignore or ())]
    _PRINTERS[format](files, policy, kept)
    counting = (Level.ERROR, Level.WARNING) if strict else (Level.ERROR,)
    if any(one.level in counting for one in kept):
        raise typer.Exit(1)


def _found(folder: Path, engine: str, now: str | None) -> tuple[Policy | None, Sequence[Problem]]:
    """The policy and what the lints say about it, or None and what keeps it from loading."""
    from gateway.policy.lints import findings
    from gateway.policy.problems import Problems
    from gateway.policy.stagewords import BUILT
    from gateway.trees import read_tree

    try:
        policy = compiled(folder, engine)
    except Problems as problems:
        return None, problems.problems
    return policy, findings(read_tree(folder), policy, schema=schema("policy"), now=moment(now), stages=BUILT)


def _here(problem: Problem, folder: Path) -> Problem:
    """Its file as seen from the current folder, so that editors and CI find it."""
    return replace(problem, place=replace(problem.place, file=(folder / problem.place.file).as_posix()))


def _print_text(files: int, policy: Policy | None, problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(problem)
    print(counted(files, policy, problems))


def _print_github(files: int, policy: Policy | None, problems: Sequence[Problem]) -> None:
    for one in problems:
        text = f"{one.message} {one.hint}".strip()
        place = one.place
        print(workflow_command(_WORKFLOW[one.level], place.file, place.line, place.column, one.code, text))
    print(counted(files, policy, problems))


def _print_sarif(files: int, policy: Policy | None, problems: Sequence[Problem]) -> None:
    from importlib.metadata import version

    from gateway.cli.sarif import sarif
    from gateway.policy.lints.paragraphs import PARAGRAPHS

    print_json(sarif(problems, PARAGRAPHS, version("import-gateway")))


def _print_json(files: int, policy: Policy | None, problems: Sequence[Problem]) -> None:
    print_json(
        {
            "files": files,
            "rules": None if policy is None else len(policy.rules),
            "revision": None if policy is None else policy.revision,
            "problems": [_problem_json(problem) for problem in problems],
        }
    )


def _problem_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "level": problem.level.value,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    }


_PRINTERS: Mapping[Format, Any] = {
    Format.TEXT: _print_text,
    Format.JSON: _print_json,
    Format.SARIF: _print_sarif,
    Format.GITHUB: _print_github,
}


def counted(files: int, policy: Policy | None, problems: Sequence[Problem]) -> str:
    """What was read and what was found, in one line; below it the revision of a tree that can be used."""
    levels = [problem.level.value for problem in problems]
    named = {"error": "problem", "warning": "warning", "info": "remark"}
    found = [_count(levels.count(level), word) for level, word in named.items() if level in levels]
    said = ", ".join(found) or "no problems"
    if policy is None:
        return f"{_count(files, 'file')}: {said}"
    exemptions = sum(len(one) for one in policy.exemptions.values())
    counts = [_count(files, "file"), _count(len(policy.rules), "rule"), _count(exemptions, "exemption")]
    return f"{', '.join(counts)}: {said}\n{policy.revision}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def print_schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(_SCHEMAS)}.")] = "policy",
) -> None:
    """Print a JSON Schema: what editors complete and explain files with.

    Begin a policy with `# yaml-language-server: $schema=` and the path of the printed file.
    """
    if name not in _SCHEMAS:
        raise typer.BadParameter(f"there is no schema '{name}'; there are {', '.join(_SCHEMAS)}", param_hint="NAME")
    print_json(schema(name))
