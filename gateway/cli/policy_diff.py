"""`import-gateway policy diff`: who gains and who loses what from one tree to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import EngineOption, NowOption, compiled, moment, schema, told

if TYPE_CHECKING:
    from gateway.policy.diffing import Callers, Difference, Group, Images, RuleChange
    from gateway.policy.rules import Policy

SHOWN_CALLERS = 4


class Gate(StrEnum):
    LOOSER = "looser"
    TIGHTER = "tighter"
    ANY = "any"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


OldFolder = Annotated[Path, typer.Argument(metavar="OLD", help="The tree as it is.")]
NewFolder = Annotated[Path, typer.Argument(metavar="NEW", help="The tree as it shall be.")]
WhoOption = Annotated[
    Path | None, typer.Option("--who", help="A test file with more callers (`who`) and imports (`images`) to compare.")
]


def diff(
    old: OldFolder,
    new: NewFolder,
    who: WhoOption = None,
    fail_on: Annotated[Gate | None, typer.Option(help="Exit 1 where the new tree may be that.")] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,  # noqa: A002
    now: NowOption = None,
    engine: EngineOption = "cel-expr",
) -> None:
    """Who gains and who loses what from one tree to another?

    Every rule that changed, with what the change may do (looser, tighter, either), and every caller that a selector
    names, with what it gains (+) and loses (-).
    """
    from gateway.policy.callers import callers_of
    from gateway.policy.diffing import diff as compare

    at = moment(now)
    with told(old):
        before = compiled(old, engine)
    with told(new):
        after = compiled(new, engine)
    callers, images = _fixtures(who, after, at) if who else ({}, {})
    found = compare(before, after, {**callers, **callers_of((before, after))}, at, images=images)
    _PRINTERS[format](found, old, new)
    if fail_on is not None and _is(found, fail_on):
        raise typer.Exit(1)


def _is(found: Difference, gate: Gate) -> bool:
    if gate is Gate.ANY:
        return bool(found.rules or found.groups)
    return found.looser if gate is Gate.LOOSER else found.tighter


def _fixtures(file: Path, policy: Policy, at: Any) -> tuple[Callers, Images]:
    """`who` and `images` of a test file, held against the newer tree."""
    from gateway.model.errors import NotFound
    from gateway.policy.problems import Problems
    from gateway.policy.reader import Source, plain, read_yaml
    from gateway.policy.schemacheck import check_schema
    from gateway.policy.testfile import TestFile, caller

    with told(file.parent):
        try:
            root = read_yaml(Source(file.name, file.read_bytes()))
        except OSError as error:
            raise NotFound(f"{file} cannot be read: {error.strerror}.", remedy="Name a test file.") from None
        shape = {**schema("policy-test"), "required": ["version"]}
        if problems := check_schema(root, shape) or list(TestFile(root, policy, at).problems()):
            raise Problems(problems)
    said = plain(root)
    return {name: caller(name, one) for name, one in said.get("who", {}).items()}, said.get("images", {})


def _place(change: RuleChange, old: Path, new: Path) -> str:
    place = change.rule.place
    return f"{((old if change.text == 'removed' else new) / place.file).as_posix()}:{place.line}"


def _print_text(found: Difference, old: Path, new: Path) -> None:
    for change in found.rules:
        rule = change.rule
        print(f"  {change.direction:<8} {rule.verb:<8}{rule.name:<28} {change.text}  {_place(change, old, new)}")
    if found.rules and found.groups:
        print()
    for group in found.groups:
        print("\n".join(_lines(group)))
    print(_summary(found))


def _lines(group: Group) -> Iterator[str]:
    shown = _plainest(group.callers)[:SHOWN_CALLERS]
    more = len(group.callers) - len(shown)
    label = f"{', '.join(shown)}{f' and {more} more' if more else ''}"
    if len(label) <= 28:
        yield from (f"  {one.sign} {label:<28} {one.method}: {one.text}" for one in group.changes)
        return
    yield f"  {label}"
    yield from (f"  {one.sign} {'':<28} {one.method}: {one.text}" for one in group.changes)


def _plainest(callers: tuple[str, ...]) -> list[str]:
    """Without those who are like another one of them and something besides."""
    parts = {name: frozenset(name.split(" + ")) for name in callers}
    alone = [name for name in callers if len(parts[name]) == 1]
    singles = frozenset(alone)
    return alone + [name for name in callers if len(parts[name]) > 1 and parts[name].isdisjoint(singles)]


def _summary(found: Difference) -> str:
    if not found.rules:
        return "The two trees do the same."
    verdict = {
        (True, True): "may allow more, and may refuse more",
        (True, False): "may allow more, and refuses nothing that was allowed",
        (False, True): "may refuse more, and allows nothing that was refused",
        (False, False): "allows and refuses the same",
    }[found.looser, found.tighter]
    affected = sum(len(group.callers) for group in found.groups)
    changed = f"{len(found.rules)} rule{'s' * (len(found.rules) != 1)} changed"
    return f"The new tree {verdict}: {changed}, {affected} of {found.asked} callers affected."


def _print_json(found: Difference, old: Path, new: Path) -> None:
    from gateway.cli.speech import print_json

    print_json(
        {
            "looser": found.looser,
            "tighter": found.tighter,
            "callers": found.asked,
            "rules": [
                {
                    "rule": one.rule.name,
                    "verb": one.rule.verb.value,
                    "direction": one.direction,
                    "change": one.text,
                    "place": _place(one, old, new),
                }
                for one in found.rules
            ],
            "groups": [
                {"callers": list(group.callers), "changes": [dict(one._asdict()) for one in group.changes]}
                for group in found.groups
            ],
        }
    )


_LEVELS: Mapping[str, str] = {"looser": "warning", "either": "warning", "tighter": "notice", "same": "notice"}


def _print_github(found: Difference, old: Path, new: Path) -> None:
    from gateway.cli.workflow import workflow_command

    for one in found.rules:
        file, _, line = _place(one, old, new).rpartition(":")
        text = f"{one.rule.name}: {one.text}"
        print(workflow_command(_LEVELS[one.direction], file, int(line), one.rule.place.column, one.direction, text))
    print(_summary(found))


_PRINTERS = {Format.TEXT: _print_text, Format.JSON: _print_json, Format.GITHUB: _print_github}
