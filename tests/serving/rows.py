"""The records of a service, seen past its code: rows as the database gives them, JSON as its text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg.types.json
from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.pool import NullPool

Row = dict[str, Any]


@contextmanager
def connected(url: str, *, writes: bool = False) -> Iterator[Connection]:
    """One transaction that sees one snapshot; committed at its end. `url` as gateway.yaml has it."""
    engine = _postgresql(url) if url.startswith("postgresql://") else _sqlite(url, "rw" if writes else "ro")
    with engine.begin() as connection:
        yield connection


def _postgresql(url: str) -> Engine:
    driver = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(driver, poolclass=NullPool, isolation_level="REPEATABLE READ")

    @event.listens_for(engine, "connect")
    def leave_json(raw: Any, record: object) -> None:
        psycopg.types.json.set_json_loads(_as_text, raw)

    return engine


def _as_text(raw: str | bytes) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw


def _sqlite(url: str, mode: str) -> Engine:
    """Who only reads must not repair what a killed service left: that is for the service to do."""
    file = f"file:{make_url(url).database}?mode={mode}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(file, uri=True, timeout=10, isolation_level=None),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def tables(url: str) -> list[str]:
    with connected(url) as connection:
        return inspect(connection).get_table_names()


def rows(url: str, statement: str, **values: Any) -> list[Row]:
    with connected(url) as connection:
        return selected(connection, statement, **values)


def selected(connection: Connection, statement: str, **values: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def change(url: str, statement: str, **values: Any) -> None:
    """Behind the service's back."""
    with connected(url, writes=True) as connection:
        connection.execute(text(statement), values)
