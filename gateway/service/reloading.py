"""Keeping a compiled tree as its folder is: looked at now and then, read, checked and compiled beside the loop.

A folder is taken over only when two looks in a row see the same, and it still looks so after it was read: files that
are being written are left alone. A tree with problems changes nothing; what is wrong stays known until it is put right.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.model.errors import Refusal
from gateway.policy.rules import Policy
from gateway.ports import Clock
from gateway.service.policies import beside_the_loop

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadTree:
    """A compiled tree with the texts of its files by name."""

    policy: Policy
    files: Mapping[str, str]


class Folder(Protocol):
    """Where a tree is written. Both calls may take long, and raise Refusal (Problems, with every place)."""

    def look(self) -> Hashable:
        """What it looks like from outside: equal looks mean that nobody has written to it."""
        ...

    def load(self, in_force: str | None) -> ReadTree | None:
        """Read and compile it; None where it holds the revision that is in force."""
        ...


@dataclass(slots=True)
class TreeState:
    """What is in force since when, and since when and why the folder says something else that cannot be taken."""

    revision: str | None = None
    rules: int = 0
    since: datetime | None = None
    reloads: int = 0
    pending: Refusal | None = None
    pending_since: datetime | None = None


@dataclass(slots=True)
class Watched:
    """One tree and its folder. `take` puts a tree into force; `interval` in seconds, 0 for never by itself."""

    name: str
    folder: Folder
    take: Callable[[ReadTree], Awaitable[None]]
    clock: Clock
    interval: float
    state: TreeState = field(default_factory=TreeState)
    _seen: Hashable = None
    _tried: Hashable = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """Look now, and take the folder as it is."""
        self._asked.set()

    async def forever(self) -> None:
        while True:
            await self.round(asked=await self._wait())

    async def round(self, *, asked: bool = False) -> None:
        """One look, and a reload where there is something new. Whatever refuses it is kept in the state."""
        before, self._seen = self._seen, None
        try:
            look = self._seen = await beside_the_loop(self.folder.look)
            quiet = look == before
            if asked or (quiet and look != self._tried):
                await self._reload(look, asked)
        except Refusal as refusal:
            self._refused(refusal)
        except Exception as error:
            # Whatever a folder can do to a reader, the tree in force stays and the next look comes.
            log.exception("policy tree %s", self.name)
            self._refused(Refusal(f"The tree could not be read: {error!r}.", code="policy-unreadable"))

    async def accept(self, tree: ReadTree | None) -> None:
        """Put a tree into force; None is what is in force already. Raises what `take` raises."""
        state = self.state
        if tree is not None:
            await self.take(tree)
            state.revision, state.rules = tree.policy.revision, len(tree.policy.rules)
            state.since, state.reloads = self.clock.now(), state.reloads + 1
            log.info("policy tree %s: %s, %d rules", self.name, state.revision, state.rules)
        elif state.pending is not None:
            log.info("policy tree %s: its folder holds again what is in force", self.name)
        state.pending = state.pending_since = None

    async def _wait(self) -> bool:
        """Until it is time to look; True where somebody asked."""
        try:
            await asyncio.wait_for(self._asked.wait(), self.interval or None)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _reload(self, look: Hashable, asked: bool) -> None:
        found = await beside_the_loop(_loaded, self.folder, self.state.revision)
        if not asked and await beside_the_loop(self.folder.look) != look:
            return  # it was written to meanwhile, so what was read of it says nothing
        if isinstance(found, Refusal):
            self._tried = look
            raise found
        await self.accept(found)
        self._tried = look

    def _refused(self, refusal: Refusal) -> None:
        state = self.state
        if self._seen is None:
            self._tried = None  # it could not even be looked at: whatever comes next is new
        if state.pending is None:
            state.pending_since = self.clock.now()
        if str(state.pending) != str(refusal):
            log.error("policy tree %s: %s stays in force: %s\n%s", self.name, state.revision, refusal.message, refusal)
        state.pending = refusal


def _loaded(folder: Folder, in_force: str | None) -> ReadTree | Refusal | None:
    try:
        return folder.load(in_force)
    except Refusal as refusal:
        return refusal
