"""Uploads that were begun and not ended, remembered in this user's state folder, so that a new command goes on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.cli.sources import LocalFile


@dataclass(frozen=True, slots=True)
class Begun:
    """One upload: of which file, as which record, to which image and under which URL."""

    size: int
    changed_ns: int
    record: Mapping[str, str]
    image: str
    upload: str


@dataclass(slots=True)
class Memory:
    """What is remembered of one file at one service; `found` from before. Without a `path` nothing is."""

    source: LocalFile
    record: Mapping[str, str]
    path: Path | None = None
    found: Begun | None = None

    @property
    def kept(self) -> bool:
        """Whether a later command would find it."""
        return self.path is not None and _read(self.path) is not None

    def fits(self, begun: Begun) -> bool:
        """Whether going on gives the same image as beginning anew: the same file, asked for in the same words."""
        same = (begun.size, begun.changed_ns) == (self.source.size, _changed(self.source))
        return same and dict(begun.record) == dict(self.record)

    def keep(self, image: str, upload: str) -> None:
        """What cannot be written is not remembered: the import does not fail for it."""
        begun = Begun(self.source.size, _changed(self.source), dict(self.record), image, upload)
        if self.path is not None:
            with suppress(OSError):
                self.path.write_text(json.dumps(asdict(begun)))

    def forget(self) -> None:
        if self.path is not None:
            with suppress(OSError):
                self.path.write_text("")


@contextmanager
def memory(endpoint: str, source: LocalFile, record: Mapping[str, str]) -> Iterator[Memory]:
    """The memory of this file at that service, held for this command alone: another one that runs meanwhile begins
    an upload of its own, and remembers nothing.
    """
    path = _folder() / hashlib.sha256(f"{endpoint}\0{source.path.absolute()}".encode()).hexdigest()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield Memory(source, record)
        return
    with os.fdopen(descriptor):
        if not _locked(descriptor):
            yield Memory(source, record)
            return
        try:
            yield Memory(source, record, path, _read(path))
        finally:
            with suppress(OSError):
                if not path.read_text():
                    path.unlink()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(path: Path) -> Begun | None:
    try:
        return Begun(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _folder() -> Path:
    """XDG Base Directory Specification: what is to outlive a restart and is nobody's data."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "state") / "import-gateway" / "uploads"


def _changed(source: LocalFile) -> int:
    return source.path.stat().st_mtime_ns
