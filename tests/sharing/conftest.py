"""One service for the whole folder, with users of three projects and three roles; every test has images of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.served import served
from tests.serving.process import LONGEST

ROLES = {"": ["member", "reader"], "-reader": ["reader"]}
PROJECTS = ("owner", "friend", "other")
LIMITS = {"max_members": 3, "max_tags": 3}

As = Callable[[str], httpx.Client]


def _settings(home: Path) -> Path:
    users: dict[str, Any] = {
        f"{project}{suffix}": {"project": {"id": project}, "roles": roles}
        for project in PROJECTS
        for suffix, roles in ROLES.items()
    }
    users["admin"] = {"project": {"id": "root"}, "roles": ["admin", "member", "reader"]}
    hashed = bcrypt.hashpw(b"demo", bcrypt.gensalt(4)).decode()
    (home / "htpasswd").write_text("".join(f"{name}:{hashed}\n" for name in users))
    (home / "policies").mkdir()
    tree = {"version": 1, "policy": "open", "rules": [{"id": "everything", "allow": "all"}]}
    (home / "policies" / "open.yaml").write_text(json.dumps(tree))
    identity = {"type": "basic", "htpasswd": str(home / "htpasswd"), "users": users}
    file = home / "gateway.yaml"
    file.write_text(json.dumps({"policy": {"directory": "policies"}, "identity": identity, "images": LIMITS}))
    return file


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("sharing")
    with served(home, "--config", str(_settings(home)), "--data", str(home / "data")) as url:
        yield url


@pytest.fixture
def as_(url: str) -> Iterator[As]:
    """A client for a user: `owner`, `owner-reader`, `friend`, ..., `admin`."""
    clients: dict[str, httpx.Client] = {}

    def client(user: str) -> httpx.Client:
        if user not in clients:
            clients[user] = httpx.Client(base_url=url, auth=(user, "demo"), trust_env=False, timeout=LONGEST)
        return clients[user]

    yield client
    for one in clients.values():
        one.close()


@pytest.fixture
def create(as_: As) -> Callable[..., str]:
    """A new raw image of `owner`, active if it gets `content`; answers its path."""

    def make(content: bytes | None = None, user: str = "owner", **values: Any) -> str:
        body = {"disk_format": "raw", "container_format": "bare", **values}
        path = f"/v2/images/{as_(user).post('/v2/images', json=body).raise_for_status().json()['id']}"
        if content is not None:
            head = {"Content-Type": "application/octet-stream"}
            as_(user).put(f"{path}/file", content=content, headers=head).raise_for_status()
        return path

    return make
