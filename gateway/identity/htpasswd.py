"""User files as `htpasswd -B` writes them: NAME:HASH lines, bcrypt alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from gateway.model.errors import Unavailable

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_DEFAULT_COST = "12"

Stamp = tuple[int, int, int]
"""A file's identity: inode, size, time of change in nanoseconds."""


def stamp(path: Path) -> Stamp:
    """Raises Unavailable."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_htpasswd(path: Path) -> Mapping[str, bytes]:
    """User name -> bcrypt hash. Raises Unavailable with the line; a message never shows what the line holds."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    users = [_user(path, number, line) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    return dict(users)


def decoy(hashes: Mapping[str, bytes]) -> bytes:
    """A hash that no password has, as slow to check as the slowest real one."""
    costs = [value[4:6].decode() for value in hashes.values()]
    return f"$2b${max(costs, default=_DEFAULT_COST)}${'.' * 53}".encode()


def _user(path: Path, number: int, line: str) -> tuple[str, bytes]:
    name, _, value = line.strip().partition(":")
    if not name or not _BCRYPT.fullmatch(value):
        raise Unavailable(
            f"{path}:{number}: not a NAME:HASH line with a bcrypt hash",
            remedy=f"Write the line with: htpasswd -B {path} NAME",
            code="htpasswd-invalid",
        )
    return name, value.encode()


def _unreadable(path: Path, error: Exception) -> Unavailable:
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return Unavailable(
        f"The user file {path} cannot be read: {reason}",
        remedy=f"Create it with: htpasswd -cB {path} NAME",
        code="htpasswd-unreadable",
    )
