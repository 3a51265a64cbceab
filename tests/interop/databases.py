"""Where Keystone and Glance keep their records: a PostgreSQL of their own where it is installed, else files of SQLite.

SQLite tells a writer that has read before another's commit to begin anew, at once; Glance's tasks give up on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.catalog import postgres

Database = Callable[[Path], str]
"""Gives the URL of a new database; the path is that of its file, where it has one."""


def file(path: Path) -> str:
    return f"sqlite:///{path}?timeout=60"


@contextmanager
def databases() -> Iterator[Database]:
    """Until the block ends."""
    if postgres.MISSING is not None:
        yield file
        return
    with postgres.server(fsync=False) as server:
        yield lambda path: server.database(empty=True).replace("postgresql:", "postgresql+psycopg2:")
