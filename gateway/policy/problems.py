"""What is wrong with a file a person wrote, said so that the person can fix it: place, line, caret, suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.model.errors import Refusal
from gateway.policy.rules import Place

MOST = 100
"""As many problems of one file are told: nobody reads more, and hostile files have a hundred thousand."""

_WINDOW = 100


class Level(StrEnum):
    """An error keeps a tree from loading; a warning is probably a mistake; info is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `line` is the source line as written, `width` how many of its characters the caret underlines."""

    code: str
    place: Place
    message: str
    hint: str = ""
    line: str = ""
    width: int = 1
    level: Level = Level.ERROR

    def __str__(self) -> str:
        head = f"{self.place}: {self.level}[{self.code}]: {self.message}"
        if not self.line.strip():
            return f"{head}\n     | {self.hint}" if self.hint else head
        shown, column = self._window()
        carets = "^" * max(1, min(self.width, len(shown) - column + 1))
        under = " " * (column - 1) + f"{carets} {self.hint}".rstrip()
        return f"{head}\n{self.place.line:>4} | {shown}\n     | {under}"

    def _window(self) -> tuple[str, int]:
        """The part of the line around the column: a hostile line may be a megabyte long. Tabs become spaces."""
        start = max(0, self.place.column - 1 - _WINDOW)
        shown = self.line[start : start + 2 * _WINDOW].replace("\t", " ").rstrip()
        return shown, self.place.column - start


class Problems(Refusal):
    """Every problem of every file of one reading, sorted by place. `str()` is the text to print."""

    status = 500
    code = "invalid-files"

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = sorted(problems, key=_order)
        self.problems = tuple(_told(found))
        count = len(found)
        files = len({problem.place.file for problem in self.problems})
        super().__init__(
            f"{count} problem{'s' * (count != 1)} in {files} file{'s' * (files != 1)}",
            remedy="Correct the marked places; nothing of these files was applied.",
        )

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def _told(found: Sequence[Problem]) -> Iterator[Problem]:
    """The first ones of each file."""
    told: dict[str, int] = {}
    for problem in found:
        file = problem.place.file
        told[file] = told.get(file, 0) + 1
        if told[file] <= MOST:
            yield problem
        elif told[file] == MOST + 1:
            message = f"the file has more than {MOST} problems; the others are not told"
            yield Problem("too-many-problems", problem.place, message, "correct those above first")


def _order(problem: Problem) -> tuple[str, int, int, str, str]:
    place = problem.place
    return (place.file, place.line, place.column, problem.code, problem.message)
