"""A folder on this machine's disk, for tools that need whole files. What is in there is nobody's after a restart."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from gateway.model.errors import OverLimit, Unavailable
from gateway.ports import BLOCK_SIZE, Block

ROOM = "room-"


@dataclass(frozen=True, slots=True)
class Spool:
    """`limit` is the most bytes one file in it may have."""

    folder: Path
    limit: int

    @classmethod
    def nowhere(cls) -> Spool:
        """For a site without tools that need it."""
        return cls(Path("/nonexistent"), 0)

    def clear(self) -> None:
        """Begin anew; only the one process of this data folder may. Raises Unavailable."""
        with _said():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for room in self.folder.glob(f"{ROOM}*"):
                shutil.rmtree(room, ignore_errors=True)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Path]:
        """A folder of its own for one piece of work. Raises Unavailable."""
        with _said():
            room = Path(mkdtemp(prefix=ROOM, dir=self.folder))
        try:
            yield room
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, room, ignore_errors=True))

    def keep(self, path: Path, blocks: Iterable[Block]) -> Path:
        """Write a new file, which has to fit. Raises OverLimit, Unavailable, and what `blocks` raises."""
        room = self.limit
        with _said(), path.open("xb") as file:
            for block in blocks:
                room -= len(block)
                if room < 0:
                    raise too_large(self.limit)
                file.write(block)
        return path


def read(path: Path) -> Iterator[bytes]:
    """The file's bytes in runs of 1 MiB. Raises Unavailable."""
    with _said(), path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            yield block


def too_large(limit: int) -> OverLimit:
    return OverLimit(
        f"The image needs more than the {limit} bytes it may have here while it is converted.",
        remedy="Shrink the disk inside, or ask the operator for a higher limit.",
    )


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The gateway's working space fails: {error.strerror or error}.",
            remedy="Try again; if it happens again, tell the operators of your cloud.",
            code="stage-unavailable",
        ) from error
