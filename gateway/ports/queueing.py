"""What many gateways on the same records ask of them: the queue of imports, and each other's signs of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.model.imports import Import
from gateway.model.process import Process
from gateway.model.turns import Standing, Waiting


class Queueing(Protocol):
    """The queue: open imports that nobody carries out and that wait for no person."""

    async def claim_import(self, runner: str, *, cap: int | None, now: datetime) -> Import | None:
        """START the import whose turn it is (`gateway.model.turns`) on behalf of a process, its attempt begun.

        None where none waits, or every project that waits runs `cap` already. Claims of all processes come one after
        the other.
        """
        ...

    async def queued(self) -> bool:
        """Whether an import waits for its turn."""
        ...

    async def standings(self) -> Sequence[Standing]:
        """Every project with open imports."""
        ...

    async def turn(self) -> int:
        """Where the last turn started."""
        ...

    async def waiting_imports(self) -> Sequence[Waiting]:
        """Those that wait for their turn, oldest first."""
        ...

    async def running_imports(self) -> Sequence[Import]:
        """Those that a process carries out, oldest first."""
        ...

    async def release_import(self, import_id: str, attempt: int) -> bool:
        """Back into the queue, with attempt + 1: whoever held it is fenced out. False where that has happened."""
        ...

    async def release_imports(self, runner: str | None = None) -> int:
        """The same with all that a process carries out, or (None) that processes do which are no more among
        `processes`. Gives their number.
        """
        ...

    async def park_import(self, import_id: str, attempt: int, values: Mapping[str, Any]) -> bool:
        """`progress`, and out of the queue until `unpark_import`. False if fenced out."""
        ...

    async def unpark_import(self, import_id: str) -> None: ...


class Living(Protocol):
    """The processes, and what they have to share."""

    async def clock(self) -> datetime:
        """The database's, which all processes have in common."""
        ...

    async def processes(self) -> Sequence[Process]:
        """All that have beaten and were not buried, oldest first."""
        ...

    async def beat(self, process: Process) -> Process | None:
        """A sign of life at `beat_at`. Gives the one before; None at the first, and after a burial."""
        ...

    async def bury(self, process: Process) -> bool:
        """Forget one that was seen so; False where it has beaten since, or somebody else has buried it."""
        ...

    async def leave(self, process_id: str) -> None: ...
    async def share_key(self, name: str, fingerprint: str) -> bool:
        """Keep the fingerprint of a key that all processes have to share; whether it is the one that is kept.

        Raises Conflict where another process brings the first one at the same moment.
        """
        ...
