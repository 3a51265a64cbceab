"""Reading policy trees from disk: which files belong to one, and how they are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.model.errors import Refusal
from gateway.policy.reader import MAX_BYTES, Source

_TEST = ".test.yaml"
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
        message = f"The policy file '{name}' cannot be read: {error.strerror}."
        raise Refusal(message, remedy=_REMEDY, code="policy-unreadable") from error
