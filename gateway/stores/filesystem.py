"""Blobs as files in one folder, which belongs to the service alone.

A blob that is not whole has no name (O_TMPFILE), so a crash leaves nothing behind. Where the filesystem cannot do that
(NFS, some overlays) a hidden part file takes its place, and `keys` reports it under the key it was meant for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gateway.ports import BLOCK_SIZE, Block
from gateway.stores.faults import absent, said
from gateway.stores.part import Part, part_name
from gateway.stores.reading import Reading
from gateway.stores.shards import KEY, check_key, entered, walked

# O_NONBLOCK: opening a pipe that somebody left here must not wait for its writer.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FilesystemStore:
    """`gateway.ports.Store`. Keys are lower-case UUIDs; any other key is NotFound."""

    kind = "file"
    read_only = False

    def __init__(self, name: str, folder: str | Path, *, unnamed: bool = True) -> None:
        """`unnamed=False` writes hidden part files even where O_TMPFILE works. Raises Unavailable."""
        self.name = name
        self._root = Path(folder)
        self._unnamed = unnamed and Path("/proc/self/fd").is_dir()
        with said(name):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def properties(self) -> Mapping[str, object]:
        return {"data_dir": str(self._root), "chunk_size": BLOCK_SIZE, "thin_provisioning": False}

    def url(self, key: str) -> str:
        return f"file://{self._root.absolute()}/{check_key(key)[:2]}/{key[2:4]}/{key}"

    def path(self, key: str) -> Path:
        os.close(self._open(key)[0])
        return self._root.absolute() / key[:2] / key[2:4] / key

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        check_key(key)
        with said(self.name):
            part = Part(self._root, key, unnamed=self._unnamed)
        written = 0
        try:
            # What the iterator raises passes as it is; only what the disk does is said in our words.
            for block in blocks:
                with said(self.name):
                    written += part.write(block)
            with said(self.name):
                part.publish()
        finally:
            with said(self.name):
                part.close()
        return written

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        descriptor, size = self._open(key)
        return Reading(self.name, descriptor, offset, max(0, size - offset) if length is None else length)

    def size(self, key: str) -> int:
        descriptor, size = self._open(key)
        os.close(descriptor)
        return size

    def delete(self, key: str) -> None:
        check_key(key)
        with said(self.name), suppress(FileNotFoundError), entered(self._root, key) as folders:
            for name in (key, part_name(key)):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folders[-1])
            # The record is forgotten next: nobody would come back for a name that a crash brought back.
            os.fsync(folders[-1])

    def keys(self) -> Iterator[str]:
        """In no order; the leftover of a broken put counts as its key."""
        names = walked(self._root)
        while (name := self._next(names)) is not None:
            key = name.removeprefix(".").removesuffix(".part")
            if KEY.fullmatch(key):
                yield key

    def close(self) -> None:
        """Nothing is kept."""

    def _open(self, key: str) -> tuple[int, int]:
        """A descriptor of the blob and its size in bytes. Raises NotFound, also for what is no plain file."""
        check_key(key)
        with said(self.name, sought=key), entered(self._root, key) as folders:
            descriptor = os.open(key, _READ, dir_fd=folders[-1])
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise absent(key)
        return descriptor, status.st_size

    def _next(self, names: Iterator[str]) -> str | None:
        with said(self.name):
            return next(names, None)
