"""`import-gateway policy replay`: what recorded decisions would be under another tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import EngineOption, compiled, told

if TYPE_CHECKING:
    from gateway.policy.replaying import Recorded, Replay

SHOWN_TORN = 5


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(slots=True)
class Reading:
    """The decisions of some logs, and which lines could not be read. `other` counts lines about something else."""

    files: list[Path]
    torn: list[str] = field(default_factory=list)
    other: int = 0

    def entries(self) -> Iterator[Recorded]:
        """Raises NotFound for a file that cannot be read; a line that cannot is left out and kept in `torn`."""
        from gateway.model.errors import NotFound

        for file in self.files:
            try:
                with file.open("rb") as lines:
                    yield from self._entries(file, lines)
            except OSError as error:
                message = f"The decision log {file} cannot be read: {error.strerror}."
                raise NotFound(message, remedy="Name files with one decision a line.") from None

    def _entries(self, file: Path, lines: Any) -> Iterator[Recorded]:
        from gateway.policy.replaying import read_entry

        for number, line in enumerate(lines, start=1):
            try:
                entry = read_entry(line)
            except ValueError:
                self.torn.append(f"{file}:{number}")
                continue
            self.other += entry is None
            if entry is not None:
                yield entry


def replay(
    log: Annotated[list[Path], typer.Argument(metavar="LOG...", help="Decision logs, rotated ones too.")],
    folder: Annotated[Path, typer.Option("--with", metavar="DIR", help="The tree to decide with.")],
    unused: Annotated[bool, typer.Option("--unused", help="List the rules that applied in none of them.")] = False,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.TEXT,  # noqa: A002
    engine: EngineOption = "cel-expr",
) -> None:
    """What would recorded decisions be under another tree? Prints only what changes.

    Every decision is made again at its own time, with its own facts and stops. What rests on facts the log does not
    keep (values of properties, a history no rule asked for) is a group of its own.
    """
    from gateway.policy.replaying import Replay
    from gateway.policy.stagewords import BUILT

    reading = Reading(log)
    with told(folder):
        again = Replay(compiled(folder, engine), BUILT)
        for entry in reading.entries():
            again.again(entry)
    if format is Format.JSON:
        _print_json(again, reading, unused=unused)
    else:
        _print_text(again, reading, folder, unused=unused)


def _print_text(again: Replay, reading: Reading, folder: Path, *, unused: bool) -> None:
    from gateway.cli.speech import remark

    for place in reading.torn[:SHOWN_TORN]:
        remark(f"{place}: this line is torn, and left out")
    for found, count in again.counted():
        print(f"{found.sign} {count:>6}  {found.was}  ->  {found.now}")
        print(f"          {found.method}, project {found.project}, e.g. {again.examples[found]}")
    for rule in again.unused if unused else ():
        print(f"{(folder / rule.place.file).as_posix()}:{rule.place.line}: {rule.name} applied in none of them")
    print(_summary(again, reading))


def _summary(again: Replay, reading: Reading) -> str:
    said = [f"{again.decided} decisions: {again.same} stay the same"]
    for sign, words in (("-", "refused now"), ("+", "refused no more"), ("~", "on other terms")):
        said += [f"{again.total(sign)} {words}"] if again.total(sign) else []
    said += [f"{again.total('?')} cannot be told"] if again.total("?") else []
    said += [f"{len(reading.torn)} torn lines left out"] if reading.torn else []
    said += [f"{reading.other} lines are no decisions"] if reading.other else []
    return ", ".join(said)


def _print_json(again: Replay, reading: Reading, *, unused: bool) -> None:
    from gateway.cli.speech import print_json

    found = {
        "decisions": again.decided,
        "same": again.same,
        "changes": [
            {"sign": one.sign, **one._asdict(), "count": count, "example": again.examples[one]}
            for one, count in again.counted()
        ],
        "torn": reading.torn,
        "other": reading.other,
    }
    print_json({**found, "unused": [rule.name for rule in again.unused]} if unused else found)
