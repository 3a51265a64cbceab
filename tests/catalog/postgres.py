"""A PostgreSQL server of the tests' own: on loopback, on a free port, gone with the process that started it.

`shared()` is one server for a whole run; `server()` one of a test's own, that may be stopped and started again.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from gateway.catalog import open_catalog
from tests.interop.running import free_ports

USER = "gateway"
LOCKED = "locked"
"""The one role that has to show a password, once a test has made it."""
_START_SECONDS = 60
_TEMPLATE = "migrated"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "deadlock_timeout": "200ms",
    "random_page_cost": "1.1",  # as on a disk without arms: with the default an index pays from some 100,000 rows on
}
_UNSYNCED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path | None:
    """Where initdb and postgres are, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


MISSING = None if binaries() else "PostgreSQL is not installed: sudo apt-get install postgresql"
needed = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@dataclass(frozen=True, slots=True)
class Server:
    """A cluster in a folder; `settings` are given to each start. Roles are trusted but for LOCKED."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)

    def url(self, database: str = "postgres", user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self, *, empty: bool = False) -> str:
        """The URL of a fresh database: with the records' schema, or with nothing."""
        if not empty:
            self._make_template()
        name = f"t{uuid4().hex[:12]}"
        self._create(name, "template0" if empty else _TEMPLATE)
        return self.url(name)

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """As its superuser, in a transaction of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement))  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        settings = {**_SETTINGS, **self.settings, "port": str(self.port)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            _RUNNING[self.port] = subprocess.Popen(
                _as_server("postgres", "-D", str(self.folder / "cluster"), *arguments),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        self._wait()

    def stop(self, *, immediately: bool = False) -> None:
        """End all sessions and stop; `immediately` as a crash does, without a last checkpoint."""
        process = _RUNNING.pop(self.port, None)
        if process is not None:
            process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if _RUNNING[self.port].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def _make_template(self) -> None:
        """Once, whoever asks first: several test runs may share a server."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(1)")
            if not self.run(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):
                self._create(f"{_TEMPLATE}_", "template0")
                with ThreadPoolExecutor(1) as beside:  # there may be an event loop in this thread
                    beside.submit(asyncio.run, _migrated(self.url(f"{_TEMPLATE}_"))).result()
                self.run(f"ALTER DATABASE {_TEMPLATE}_ RENAME TO {_TEMPLATE}")

    def _create(self, name: str, template: str) -> None:
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")


_RUNNING: dict[int, subprocess.Popen[bytes]] = {}
"""The servers of this process by their port; a `Server` itself can be given to other processes."""


async def _migrated(url: str) -> None:
    async with open_catalog(url):
        pass


@contextmanager
def server(*, fsync: bool = True, **settings: str) -> Iterator[Server]:
    """A new cluster, started; afterwards nothing is left of it. `fsync` false is faster and only a crash can tell."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if os.getuid() == 0:
            shutil.chown(folder, _account().pw_uid, _account().pw_gid)
        _initdb(folder)
        given = settings if fsync else _UNSYNCED | settings
        made = Server(folder, *free_ports(1), given)
        stack.callback(made.stop, immediately=True)
        made.start()
        yield made


@cache
def shared() -> Server:
    """One server for the whole run, without syncs; every test asks it for databases of its own."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(server(fsync=False))


def fresh() -> str:
    """The URL of a new database with the records' schema. Skips the test where there is no PostgreSQL."""
    if MISSING is not None:
        pytest.skip(MISSING)
    return shared().database()


def _initdb(folder: Path) -> None:
    options = ("-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
    command = _as_server("initdb", "-D", str(folder / "cluster"), *options)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    rules = folder / "cluster" / "pg_hba.conf"
    rules.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n" + rules.read_text())


def _as_server(program: str, *arguments: str) -> Sequence[str]:
    """It refuses to run as root, and it must not outlive a test run that was killed."""
    folder = binaries()
    assert folder is not None, MISSING
    account: list[str] = []
    if os.getuid() == 0:
        account = [f"--reuid={_account().pw_uid}", f"--regid={_account().pw_gid}", "--clear-groups"]
    return ["setpriv", "--pdeathsig=QUIT", *account, str(folder / program), *arguments]


@cache
def _account() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")
