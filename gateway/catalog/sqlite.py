"""SQLite as a server's database: one writer at a time, readers on snapshots beside it, every commit on disk.

WAL lets readers go on during a write; `synchronous=FULL` syncs the log at each commit, so that an acknowledged write
survives a power loss (https://www.sqlite.org/pragma.html#pragma_synchronous). Other engines write to the same file:
the busy timeout waits for them, the pool of one connection keeps our own writers from fighting each other.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio.engine import AsyncEngine, create_async_engine

WAIT_SECONDS = 10
"""How long another process may keep us from writing."""
TURN_SECONDS = 60
"""How long our own transactions wait for a connection. While uploads keep the processors busy a write may take seconds,
and whoever has sent an image rather waits for all those before than sends it again.
"""
_READERS = 8


def writer(path: Path) -> AsyncEngine:
    """An engine whose transactions start with the write lock held, so that none fails half way for want of it."""
    _create(path)
    return _engine(path, size=1, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=FULL"))


def reader(path: Path) -> AsyncEngine:
    """An engine whose transactions are snapshots that refuse to write."""
    return _engine(path, size=_READERS, begin="BEGIN", pragmas=("query_only=ON",))


def _create(path: Path) -> None:
    """The records hold sealed secrets: nobody but the service reads the file (its log inherits the mode)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _engine(path: Path, *, size: int, begin: str, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=size,
        max_overflow=0,
        pool_timeout=TURN_SECONDS,
        # Every transaction ends in our own commit or rollback; a second rollback would be one more thread hop.
        pool_reset_on_return=None,
        connect_args={"timeout": WAIT_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        for pragma in ("foreign_keys=ON", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        # The driver's own BEGIN comes too late (before the first write) and not at all for reads.
        raw: Any = connection.connection.dbapi_connection
        try:
            raw.run_async(lambda driver: driver.execute(begin))
        except sqlite3.Error as error:
            raise OperationalError(begin, None, error) from error
        except asyncio.CancelledError:
            # The driver's thread begins all the same: nobody would end that transaction, so the connection must go.
            connection.invalidate()
            raise

    return engine
