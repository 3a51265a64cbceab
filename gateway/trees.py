"""Reading policy trees from disk: which files belong to one, and how they are named."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from gateway.model.errors import Refusal
from gateway.policy.compiler import Loaded, load_tree
from gateway.policy.expression import Engine
from gateway.policy.reader import MAX_BYTES, Source

_TEST = ".test.yaml"
_LARGE = 10_000
_NEVER = 1 << 30
_loading = Lock()
_REMEDY = "Point it at a folder with *.yaml files this process may read."


def read_tree(folder: Path) -> tuple[Source, ...]:
    """The policy files (`*.yaml`, but no `*.test.yaml`) of a folder and those below it, sorted by relative name.

    Hidden files and folders are left out. Raises Refusal where the folder or a file cannot be read, or where a link
    leads out of the folder. No file is read beyond the reader's size limit and one byte.
    """
    return tuple(_read(folder, path) for path in _files(folder) if not path.name.endswith(_TEST))


def read_tests(folder: Path) -> tuple[Source, ...]:
    """The test files (`*.test.yaml`) of a folder, under the same rules."""
    return tuple(_read(folder, path) for path in _files(folder) if path.name.endswith(_TEST))


def load(
    sources: Sequence[Source],
    *,
    schema: Mapping[str, Any],
    engine: Engine,
    methods: Sequence[str],
    previous: Loaded | None = None,
) -> Loaded:
    """`load_tree`, in half the time for a large tree. One at a time; raises Problems."""
    with _loading, _few_collections():
        loaded = load_tree(sources, schema=schema, engine=engine, methods=methods, previous=previous)
    if len(loaded.policy.rules) >= _LARGE:
        # Else each full collection walks the tree while all else waits. It has no cycles, so it goes when unused.
        gc.freeze()
    return loaded


@contextmanager
def _few_collections() -> Iterator[None]:
    """Young objects alone are looked through: a tree becomes a million lasting ones, and none of them is garbage."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


Look = tuple[tuple[str, int, int, int], ...]
"""Name, time of last change, size and inode of each policy file."""


def look(folder: Path) -> Look:
    """What a tree looks like without reading it: it changes with every file that is written, added or taken away.

    Raises Refusal as `read_tree` does.
    """
    return tuple(_look(folder, path) for path in _files(folder) if not path.name.endswith(_TEST))


def _look(folder: Path, path: Path) -> tuple[str, int, int, int]:
    name = path.relative_to(folder).as_posix()
    try:
        about = path.stat()
    except OSError as error:
        raise _unreadable(name, error) from error
    return name, about.st_mtime_ns, about.st_size, about.st_ino


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise Refusal(f"There is no policy folder '{folder}'.", remedy=_REMEDY, code="policy-unreadable")
    # A folder reached through a link is never entered: links to folders can also go round in circles.
    found = [path for path in folder.rglob("*.yaml") if path.is_file() and not _hidden(path.relative_to(folder))]
    yield from sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(folder: Path, path: Path) -> Source:
    name = path.relative_to(folder).as_posix()
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise Refusal(f"'{name}' leads out of '{folder}'.", remedy="Copy the file.", code="policy-unreadable")
        with path.open("rb") as file:
            return Source(name, file.read(MAX_BYTES + 1))
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> Refusal:
    message = f"The policy file '{name}' cannot be read: {error.strerror}."
    return Refusal(message, remedy=_REMEDY, code="policy-unreadable")
