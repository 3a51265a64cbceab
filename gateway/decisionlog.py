"""The decision log: one JSON object a line, written before the decision it records takes effect.

A line is one append to a file opened with O_APPEND, so several processes may share a file. A file that was rotated
away (its name now means another inode, or none) is opened again by name.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from gateway.model.errors import Unavailable

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

_log = logging.getLogger(__name__)


class JsonLines:
    """`gateway.ports.DecisionLog` over one file of mode 0600. Safe to call from many threads.

    With `fsync` a decision survives a power cut, else a crash of the process. With `required` false, a decision that
    cannot be written is let through with a warning in the service's own log.
    """

    def __init__(self, path: Path, *, fsync: bool = False, required: bool = True) -> None:
        self._path = path
        self._fsync = fsync
        self._required = required
        self._lock = threading.Lock()
        self._file: int | None = None
        self._torn = False

    def record(self, entry: Mapping[str, object]) -> None:
        """Append one decision (JSON values only). Raises Unavailable if it cannot be kept."""
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        with self._lock:
            self._forget()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        file = self._current()
        try:
            self._write(file, line)
        except OSError:
            self._forget()  # the next record looks again at how the file ends
            raise

    def _write(self, file: int, line: bytes) -> None:
        # A torn line (a full disk, a kill in the middle) is ended first, so that it costs one record and not two.
        whole = b"\n" + line if self._torn else line
        written = os.write(file, whole)
        if written != len(whole):
            raise OSError(f"{written} of {len(whole)} bytes written")
        if self._fsync:
            os.fsync(file)
        self._torn = False

    def _current(self) -> int:
        if self._file is not None and _same_file(self._file, self._path):
            return self._file
        self._forget()
        self._file = os.open(self._path, _FLAGS, 0o600)
        self._torn = _ends_torn(self._file)
        return self._file

    def _forget(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _failed(self, error: OSError) -> None:
        _log.error("cannot write the decision log %s: %s", self._path, error)
        if self._required:
            raise Unavailable(
                "The decision could not be recorded, so it was not made.",
                remedy="Try again later; the operator has to make the decision log writable.",
                code="decision-log-unavailable",
            ) from error


def _same_file(file: int, path: Path) -> bool:
    """Whether `path` still names the open `file`; a log rotation makes it name another, or nothing."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _ends_torn(file: int) -> bool:
    """Whether a regular file's last line has no end."""
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
        return False
    return os.pread(file, 1, about.st_size - 1) != b"\n"
