"""The progress bars of an import, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from gateway.cli.speech import err
from gateway.policy.wording import said_size


class Advance(Protocol):
    """Called with the bytes done so far, the total where it has become known, and what goes on if it has changed."""

    def __call__(self, done: int, known: int | None = None, now: str | None = None) -> None: ...


class RateColumn(ProgressColumn):
    """Bytes a second, in the units of the sizes beside it."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{said_size(int(speed))}/s" if speed else "", style="progress.data.speed")


@contextmanager
def bar(what: str, total: int | None, *, quiet: bool) -> Iterator[Advance]:
    """One bar with bytes, rate and time left; it pulses while the total is unknown."""
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        DownloadColumn(binary_units=True),
        RateColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=err(), disable=quiet) as progress:
        task = progress.add_task(what, total=total)

        def advance(done: int, known: int | None = None, now: str | None = None) -> None:
            progress.update(task, completed=done, total=known if known is not None else total, description=now or what)

        yield advance
