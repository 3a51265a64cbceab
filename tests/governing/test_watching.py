"""When a changed folder is taken, look by look: real folders, no waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway import governing
from gateway.governing import TreeFolder
from gateway.model.errors import Refusal, Unavailable
from gateway.service.reloading import ReadTree, Watched
from gateway.settings import Settings
from tests.governing.running import tree, write


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def watched(folder: TreeFolder, refusal: Callable[[], Refusal | None] = lambda: None) -> tuple[Watched, list[str]]:
    """A watch at its beginning, and the revisions that were put into force."""
    taken: list[str] = []

    async def take(found: ReadTree) -> None:
        if (refused := refusal()) is not None:
            raise refused
        taken.append(found.policy.revision)

    return Watched("live", folder, take, Clock(), 0), taken


def folder_of(place: Path) -> TreeFolder:
    return TreeFolder(place, governing.live_folder(Settings(), ("glance-direct", "web-download")).compiled)


def rounds(watch: Watched, *between: Callable[[], object]) -> None:
    """A look after each of `between`."""

    async def play() -> None:
        for act in between:
            act()
            await watch.round()

    asyncio.run(play())


def nothing() -> None: ...


def test_a_change_is_taken_when_two_looks_agree(tmp_path: Path) -> None:
    write(tmp_path, tree(1))
    watch, taken = watched(folder_of(tmp_path))
    rounds(watch, nothing, nothing, nothing)
    assert len(taken) == 1
    rounds(watch, lambda: write(tmp_path, tree(2)))
    assert len(taken) == 1
    rounds(watch, lambda: write(tmp_path, tree(3)))
    assert len(taken) == 1
    rounds(watch, nothing, nothing)
    assert len(set(taken)) == 2


def test_a_half_written_file_is_no_problem_yet(tmp_path: Path) -> None:
    write(tmp_path, tree(1))
    watch, taken = watched(folder_of(tmp_path))
    rounds(watch, nothing, nothing)
    whole = (tmp_path / "limits.yaml").read_text().replace("1MiB", "2MiB")
    rounds(watch, lambda: (tmp_path / "limits.yaml").write_text(whole[:40]))
    rounds(watch, lambda: (tmp_path / "limits.yaml").write_text(whole))
    assert watch.state.pending is None
    rounds(watch, nothing)
    assert watch.state.pending is None
    assert len(set(taken)) == 2


class Torn(TreeFolder):
    """Somebody writes into it while it is read."""

    def load(self, in_force: str | None) -> ReadTree | None:
        (self.path / "limits.yaml").write_text("version: 1")
        try:
            return super().load(in_force)
        finally:
            write(self.path, tree(2))


def test_what_was_written_to_while_it_was_read_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, tree(1))
    watch, taken = watched(Torn(tmp_path, folder_of(tmp_path).compiled))
    rounds(watch, nothing, nothing)
    assert (watch.state.pending, taken) == (None, [])


def test_a_tree_that_cannot_be_kept_is_tried_again(tmp_path: Path) -> None:
    write(tmp_path, tree(1))
    refusals: list[Refusal | None] = [None, Unavailable("The records are away."), Unavailable("Still."), None]
    watch, taken = watched(folder_of(tmp_path), lambda: refusals.pop(0))
    rounds(watch, nothing, nothing, lambda: write(tmp_path, tree(2)), nothing)
    assert watch.state.pending is not None
    rounds(watch, nothing, nothing)
    assert watch.state.pending is None
    assert len(taken) == 2


def test_a_folder_that_went_away_and_came_back(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    write(place, tree(1))
    watch, taken = watched(folder_of(place))
    rounds(watch, nothing, nothing, lambda: place.rename(tmp_path / "aside"))
    assert watch.state.pending is not None
    rounds(watch, lambda: (tmp_path / "aside").rename(place), nothing)
    assert watch.state.pending is None
    assert len(taken) == 1
