"""The folders of a filesystem store: `ab/cd/abcd....`, entered one step at a time and never through a symbolic link."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.model.errors import NotFound

KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SHARD = re.compile(r"[0-9a-f]{2}")


def check_key(key: str) -> str:
    """Raises NotFound for anything but a lower-case UUID, before any path is made of it."""
    if not KEY.fullmatch(key):
        raise NotFound(f"'{key[:64]}' cannot be the key of a blob", remedy="Keys are lower-case UUIDs.")
    return key


@contextmanager
def entered(root: Path, key: str, *, create: bool = False) -> Iterator[tuple[int, int, int]]:
    """Descriptors of the root, the shard and the inner shard that `key` lives in. Raises OSError."""
    with ExitStack() as stack:
        top = stack.enter_context(_open(root))
        outer = stack.enter_context(_step(top, key[:2], create))
        inner = stack.enter_context(_step(outer, key[2:4], create))
        yield top, outer, inner


def walked(root: Path) -> Iterator[str]:
    """The names of all files in inner shards, in no order; a shard that goes away meanwhile is no error."""
    with _open(root) as top:
        for first in _shards(top):
            with _step(top, first) as outer:
                for second in _shards(outer):
                    with _step(outer, second) as inner:
                        yield from os.listdir(inner)


def _shards(folder: int) -> Iterator[str]:
    return (name for name in os.listdir(folder) if _SHARD.fullmatch(name))


@contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, _FOLDER)
    except FileNotFoundError as error:
        # A store that went away must never look like a blob that is not there.
        raise OSError(errno.ESTALE, "its folder is gone") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _step(parent: int, name: str, create: bool = False) -> Iterator[int]:
    if create:
        _make(parent, name)
    descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
