"""The Jobs port over DBOS: durable workflows in the same database as the records.

The workflow has no steps of the engine's own: what an import has done is in its rows (attempt, staged blob), and a
second record of it could only disagree. The engine gives what rows alone cannot: the queue that commits with our
transaction, and the work that is run again after a crash.

Known of the engine and held here: its ids default to shared ones (executor and version are set), it keeps its own
tables in our SQLite file, its import takes a second (so nothing imports this module but `serve`), its paid parts stay
off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

from gateway.ports import Transaction

QUEUE = "imports"
WORKFLOW = "import"
VERSION = "1"
"""Raised only when an older process could not finish what a newer one queued, or the other way round."""

_OPEN = frozenset({"PENDING", "ENQUEUED", "DELAYED"})

Run = Callable[[str], Awaitable[None]]


class DurableJobs:
    """One per process: the engine is a singleton. Start it from the event loop its imports shall run on."""

    def __init__(self, url: str, *, executor: str, concurrency: int, poll: float = 0.25) -> None:
        self._url = url
        self._executor = executor
        self._concurrency = concurrency
        self._poll = poll
        self._client: DBOSClient | None = None

    async def start(self, run: Run) -> None:
        """Launch the engine; imports that were open when their process died begin anew."""
        config: DBOSConfig = {
            "name": "import-gateway",
            "system_database_url": self._url,
            "executor_id": self._executor,
            "application_version": VERSION,
            "log_level": "WARNING",
            "run_migrations": True,
        }
        DBOS(config=config)

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)
        async def carry_out(import_id: str) -> None:
            await run(import_id)

        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=self._concurrency, polling_interval_sec=self._poll, on_conflict="always_update"
        )
        self._client = await asyncio.to_thread(DBOSClient, system_database_url=self._url)

    async def stop(self) -> None:
        """Let go of everything; what runs is left to the next start."""
        if self._client is not None:
            await asyncio.to_thread(self._client.destroy)
            self._client = None
        await asyncio.to_thread(DBOS.destroy)

    async def enqueue(self, tx: Transaction, import_id: str, project: str, turn: int = 0) -> None:
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": _workflow_id(import_id, turn),
            "app_version": VERSION,
        }
        client = self._client
        assert client is not None, "start() comes first"

        def put(connection: Any) -> None:
            client.enqueue_in_transaction(connection, options, import_id)

        await tx.native().run_sync(put)

    async def holds(self, import_id: str, turn: int = 0) -> bool:
        status = await DBOS.get_workflow_status_async(_workflow_id(import_id, turn))
        return status is not None and status.status in _OPEN


def _workflow_id(import_id: str, turn: int) -> str:
    """The engine never runs an id twice, so what goes on has one of its own."""
    return f"{import_id}.{turn}" if turn else import_id
