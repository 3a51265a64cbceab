"""Several gateways on one database and one store, each a process of its own that can be killed, paused and stopped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.catalog import postgres
from tests.clients.site import User
from tests.faults.audit import Account, Place, audit
from tests.faults.service import TRUSTING, Service
from tests.serving.held import Folder, Held
from tests.serving.rows import connected, selected

LEASE = 3.0
"""Seconds; long enough for a test machine that is busy, short enough to wait for."""


@dataclass
class Fleet:
    """`members` share the database at `url` and the stores, which hold `held`."""

    home: Path
    url: str
    held: Held
    members: list[Service]

    @contextmanager
    def users(self, name: str = "gold") -> Iterator[list[User]]:
        """One user of each gateway."""
        with ExitStack() as stack:
            yield [stack.enter_context(member.user(name)) for member in self.members]

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        with connected(self.url) as database:
            return list(selected(database, query))

    def count(self, query: str) -> int:
        return len(self.rows(query))

    def number(self, host: str) -> int:
        """Of the member that listens at a host and port."""
        port = host.rpartition(":")[2]
        return next(n for n, one in enumerate(self.members) if one.url.rpartition(":")[2] == port)

    def rest(self, *accounts: Account, seconds: float = 20) -> list[str]:
        """What is wrong and stays so."""
        end = monotonic() + seconds
        while (found := self.findings(*accounts)) and monotonic() < end:
            sleep(0.2)
        return found

    def findings(self, *accounts: Account) -> list[str]:
        """Everything that is wrong at the moment."""
        return audit(self.place, accounts)

    @property
    def place(self) -> Place:
        """Where the auditor looks. Each member has a log of its own decisions."""
        logs = [line for member in self.members for line in _lines(member.data / "decisions.jsonl")]
        joined = self.home / "decisions.jsonl"
        joined.write_text("".join(logs))
        return Place(self.url, self.held, joined)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True) if path.exists() else []


def settings_of(home: Path, url: str, source: int, imports: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "catalog": {"url": url, "pool_size": 3},
        "secret_key": str(home / "secret.key"),
        "receipts": {"key": str(home / "receipt.key")},
        "stores": [{"name": "local", "path": str(home / "blobs"), "default": True}],
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [source]},
        "imports": {
            "lease": f"{int(LEASE * 1000)}ms",
            "progress_interval": "200ms",
            "reaper_interval": "1s",
            **imports,
        },
        "server": {"shutdown_timeout": "10s", "drain_notice": "2s"},
        "metadefs": {"enabled": False},
    }


@contextmanager
def fleet(
    home: Path,
    count: int,
    source: int,
    *,
    more: Mapping[str, Any] | None = None,
    held: Held | None = None,
    rules: Sequence[Mapping[str, Any]] = TRUSTING,
    **imports: Any,
) -> Iterator[Fleet]:
    """Started gateways that are gone at the end. They may fetch from loopback's port `source`.

    `more` are settings in the place of those; where they name other stores, `held` is what those hold.
    """
    url = postgres.fresh()
    made = []
    for number in range(count):
        folder = home / f"g{number}"
        folder.mkdir()
        made.append(Service(folder, {**settings_of(home, url, source, imports), **(more or {})}, rules))
    try:
        made[0].start()  # makes the keys that the others need
        for one in made[1:]:
            one.launch()
        for one in made[1:]:
            one.wait_ready()
        yield Fleet(home, url, held or Folder(home / "blobs"), made)
    finally:
        for one in made:
            one.kill()
        shutil.rmtree(home / "blobs", ignore_errors=True)
