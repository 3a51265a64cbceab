"""Who may publish an import, as a model says it, against the records: processes die, sleep, wake and are buried.

The model's rule is one line: an import is its last claimant's, until that process has been silent for its lease and
somebody has looked. Everything else is the records' own doing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.catalog import open_catalog
from gateway.jobs.heartbeat import bury_dead
from gateway.model.errors import Cancelled
from gateway.model.imports import ImportMove, ImportStatus
from gateway.model.process import Process
from tests.catalog.made import NOW, image, work

LEASE = timedelta(seconds=15)
CAP = 2
NAMES = st.sampled_from(["p1", "p2", "p3"])
Token = tuple[str, str, int]
"""A process that believes it carries out an import, as that attempt."""


class Leases(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        opened = open_catalog(Path(folder) / "records.sqlite")
        self.catalog = self.runner.run(self.stack.enter_async_context(opened))
        self.now = NOW
        self.beats: dict[str, Any] = {}
        self.projects: dict[str, str] = {}
        self.current: dict[str, Token] = {}
        self.tokens: list[Token] = []
        self.published: list[str] = []
        for project in "aaab":
            self.ask(project)
        for name in ("p1", "p2"):
            self.beat(name)
        for _ in range(3):
            self.claimed("p1")

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.runner.run(self.stack.aclose())
            self.runner.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self.catalog.begin() as tx:

            async def clock() -> Any:
                return self.now

            tx.clock = clock  # type: ignore[method-assign]
            yield tx

    @rule(project=st.sampled_from(["a", "b"]))
    def ask(self, project: str) -> None:
        async def add() -> str:
            async with self.catalog.begin() as tx:
                made = image()
                asked = work(made, project=project, created_at=self.now)
                await tx.add_image(made)
                await tx.add_import(asked)
                return asked.id

        self.projects[self.runner.run(add())] = project

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(name=NAMES)
    def beat(self, name: str) -> None:
        me = Process(id=name, host=name, slots=4, lease=LEASE, started_at=NOW, beat_at=self.now)

        async def beat() -> Process | None:
            async with self.transaction() as tx:
                return await tx.beat(me)

        before = self.runner.run(beat())
        assert (before and before.beat_at) == self.beats.get(name)
        self.beats[name] = self.now

    @precondition(lambda self: self.beats)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        self.claimed(data.draw(st.sampled_from(sorted(self.beats))))

    def claimed(self, name: str) -> None:
        async def claim() -> Any:
            async with self.transaction() as tx:
                return await tx.claim_import(name, cap=CAP, now=self.now)

        found = self.runner.run(claim())
        waiting = [one for one in self.projects if one not in self.current and one not in self.published]
        running = [self.projects[one] for one in self.current]
        able = [one for one in waiting if running.count(self.projects[one]) < CAP]
        assert (found is None) == (not able)
        if found is not None:
            assert found.id in able
            token = (name, found.id, found.attempt)
            self.current[found.id] = token
            self.tokens.append(token)

    @rule()
    def look_for_the_dead(self) -> None:
        async def look() -> None:
            async with self.transaction() as tx:
                await bury_dead(tx)

        self.runner.run(look())
        dead = {name for name, at in self.beats.items() if self.now - at > LEASE}
        self.beats = {name: at for name, at in self.beats.items() if name not in dead}
        self.current = {one: token for one, token in self.current.items() if token[0] in self.beats}

    @rule(name=NAMES)
    def drain(self, name: str) -> None:
        async def drain() -> None:
            async with self.transaction() as tx:
                await tx.release_imports(name)

        self.runner.run(drain())
        self.current = {one: token for one, token in self.current.items() if token[0] != name}

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), ends=st.booleans())
    def go_on(self, data: st.DataObject, ends: bool) -> None:
        """Any process that ever had it, however long it slept."""
        token = data.draw(st.sampled_from(self.tokens))
        _, import_id, attempt = token

        async def publish() -> bool:
            try:
                async with self.transaction() as tx:
                    if not ends:
                        return bool(await tx.progress(import_id, attempt, {"bytes_done": attempt}))
                    await tx.move_import(import_id, ImportMove.SUCCEED, attempt=attempt, now=self.now)
            except Cancelled:
                return False
            return True

        owns = self.current.get(import_id) == token
        assert self.runner.run(publish()) == owns
        if owns and ends:
            del self.current[import_id]
            self.published.append(import_id)

    @rule()
    def the_records_agree(self) -> None:
        async def read() -> Any:
            async with self.catalog.read() as tx:
                return await tx.running_imports(), [await tx.import_(one) for one in self.published]

        running, ended = self.runner.run(read())
        assert {one.id: one.runner for one in running} == {one: token[0] for one, token in self.current.items()}
        assert all(one.status is ImportStatus.SUCCESS for one in ended)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
