"""A blob on its way to becoming one: nothing bears its key before it is whole and on disk."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from gateway.ports import Block
from gateway.stores.shards import entered

_NEW = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


def part_name(key: str) -> str:
    return f".{key}.part"


class Part:
    """Write, publish, close. `close` leaves nothing behind, published or not. All methods raise OSError."""

    def __init__(self, root: Path, key: str, *, unnamed: bool) -> None:
        self._key = key
        self._hidden: str | None = None
        with ExitStack() as stack:
            self._folders = stack.enter_context(entered(root, key, create=True))
            self._folder = self._folders[-1]
            self._refuse_existing()
            self._file = self._open(unnamed)
            stack.callback(os.close, self._file)
            self._open_things = stack.pop_all()

    def write(self, block: Block) -> int:
        left = memoryview(block)
        while left:
            count = os.write(self._file, left)
            if count == 0:
                raise OSError(errno.EIO, "it takes no more bytes")
            left = left[count:]
        return len(block)

    def publish(self) -> None:
        """Sync, link, sync the folders; if any of it fails the key is not there."""
        os.fsync(self._file)
        if self._hidden is None:
            os.link(f"/proc/self/fd/{self._file}", self._key, dst_dir_fd=self._folder)
        else:
            os.link(self._hidden, self._key, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        try:
            for folder in reversed(self._folders):
                os.fsync(folder)
        except OSError:
            with suppress(OSError):
                os.unlink(self._key, dir_fd=self._folder)
            raise

    def close(self) -> None:
        with self._open_things:
            if self._hidden is not None:
                with suppress(FileNotFoundError):
                    os.unlink(self._hidden, dir_fd=self._folder)

    def _refuse_existing(self) -> None:
        """Refuse before the bytes are read; the link refuses whoever comes second in a race."""
        with suppress(FileNotFoundError):
            os.stat(self._key, dir_fd=self._folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _open(self, unnamed: bool) -> int:
        if unnamed:
            try:
                return os.open(".", os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE, 0o600, dir_fd=self._folder)
            except OSError as error:
                if error.errno not in _NO_UNNAMED_FILES:
                    raise
        hidden = part_name(self._key)
        file = os.open(hidden, _NEW | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._folder)
        self._hidden = hidden
        return file
