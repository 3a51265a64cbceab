from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.served import served
from tests.serving.process import LONGEST

NAMESPACES = "/v2/metadefs/namespaces"
USERS = {
    "admin": ("ops", "[admin, member, reader]"),
    "ann": ("apes", "[member, reader]"),
    "rita": ("apes", "[reader]"),
    "bob": ("bees", "[member, reader]"),
    "nora": ("apes", "[porter]"),
}
_SETTINGS = """
identity:
  type: basic
  htpasswd: users
  users:
{users}
metadefs: {{enabled: {enabled}}}
"""


@dataclass(frozen=True)
class Cloud:
    """One client for each user, and fresh names."""

    admin: httpx.Client
    ann: httpx.Client
    rita: httpx.Client
    bob: httpx.Client
    nora: httpx.Client
    numbers: Iterator[int]

    def fresh(self, word: str = "Space") -> str:
        return f"OS::{word}::{next(self.numbers)}"

    def namespace(self, **fields: Any) -> str:
        """The name of a new namespace, public unless said otherwise."""
        name = self.fresh()
        answer = self.admin.post(NAMESPACES, json={"namespace": name, "visibility": "public", **fields})
        assert answer.status_code == 201, answer.text
        return name


@contextmanager
def running_cloud(home: Path, *, enabled: bool = True) -> Iterator[Cloud]:
    secret = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (home / "users").write_text("".join(f"{name}:{secret}\n" for name in USERS))
    users = "".join(
        f"    {name}: {{project: {{id: {project}, name: {project}}}, roles: {roles}}}\n"
        for name, (project, roles) in USERS.items()
    )
    (home / "gateway.yaml").write_text(_SETTINGS.format(users=users, enabled=str(enabled).lower()))
    with served(home, "--config", "gateway.yaml") as url, ExitStack() as stack:
        clients = {
            name: stack.enter_context(httpx.Client(base_url=url, auth=(name, "secret"), timeout=LONGEST))
            for name in USERS
        }
        yield Cloud(**clients, numbers=count(1))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("metadefs")) as cloud:
        yield cloud
