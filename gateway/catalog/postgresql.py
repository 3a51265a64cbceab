"""PostgreSQL as the database of many gateways: many writers at a time, each row held by whoever changes it.

Writers run under READ COMMITTED and hold the rows they are about (`Rows.hold_image`); readers see one snapshot and
cannot write. The server itself ends what a paused or vanished gateway has left open, so that nobody waits for it.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, MetaData, bindparam, event, text
from sqlalchemy.ext.asyncio.engine import AsyncEngine, create_async_engine

from gateway.catalog.failures import lost
from gateway.model.errors import BadRequest

log = logging.getLogger(__name__)

POOL_SIZE = 5
WAIT_SECONDS = 10
_STATEMENT_SECONDS = 30
_IDLE_SECONDS = 8
"""Less than `WAIT_SECONDS`: nobody is refused because another gateway was frozen within a transaction."""
_RECYCLE_SECONDS = 1800
_MIGRATION_LOCK = 0x1A6E_6A7E_0001
"""Any number that nobody else takes; all gateways of a database take the same."""

_SESSION = {
    "timezone": "UTC",
    "statement_timeout": f"{_STATEMENT_SECONDS}s",
    "lock_timeout": f"{WAIT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
    # A gateway whose machine is gone says no goodbye, and its locks would be kept for hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_CONNECTING: dict[str, Any] = {
    "application_name": "import-gateway",
    "connect_timeout": WAIT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * _STATEMENT_SECONDS,
}
"""What a URL may say otherwise, as libpq's parameters."""


def writer(url: URL, *, size: int = POOL_SIZE, password_file: Path | None = None) -> AsyncEngine:
    return _engine(url, size, password_file, isolation="READ COMMITTED")


def reader(url: URL, *, size: int = POOL_SIZE, password_file: Path | None = None) -> AsyncEngine:
    """An engine whose transactions are snapshots that refuse to write."""
    engine = _engine(url, size, password_file, isolation="REPEATABLE READ")

    @event.listens_for(engine.sync_engine, "connect")
    def only_read(connection: Any, _record: Any) -> None:
        connection.set_read_only(True)

    return engine


def _engine(url: URL, size: int, password_file: Path | None, *, isolation: str) -> AsyncEngine:
    if find_spec("psycopg") is None:
        raise BadRequest(
            "The driver of PostgreSQL is not installed.",
            remedy="pip install 'import-gateway[postgresql]'",
            code="catalog-unknown",
        )
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=size,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        # A server that was restarted has closed every connection of the pool: found out before it costs a request.
        pool_pre_ping=True,
        pool_use_lifo=True,
        isolation_level=isolation,
        connect_args={name: value for name, value in _CONNECTING.items() if name not in url.query}
        | {"options": _options(url)},
    )
    if password_file is not None:
        _show_password(engine, password_file)
    return engine


def _options(url: URL) -> str:
    """The session's settings; those of the URL come last and win."""
    own = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    given = url.query.get("options", "")
    return f"{own} {given if isinstance(given, str) else ' '.join(given)}".strip()


def _show_password(engine: AsyncEngine, file: Path) -> None:
    """Read anew for each connection, so that a password can be changed under a running service."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def show(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        try:
            parameters["password"] = file.read_text().strip()
        except OSError as error:
            log.error("the database's password cannot be read from %s: %s", file, error.strerror)
            raise lost() from error


def alone(connection: Connection) -> None:
    """Until this transaction ends no other gateway changes the schema; there is no hurry meanwhile."""
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {name} = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def compare_by_bytes(connection: Connection, made: MetaData) -> None:
    """Text compares as in Python and SQLite, whatever the database's locale, and whatever a new libc thinks of it.

    Done after each change of the schema, so that no revision has to know.
    """
    for table, column in connection.execute(_OTHERWISE, {"tables": list(made.tables)}).all():
        connection.execute(text(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE varchar COLLATE "C"'))


_OTHERWISE = text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C' AND table_name IN :tables"
).bindparams(bindparam("tables", expanding=True))
