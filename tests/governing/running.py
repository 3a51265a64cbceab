"""A service that can be killed, started again and told to look again; its trees are written while it runs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cli.service import eventually
from tests.clients.site import User, user_of
from tests.serving.process import Process

MIB = 1 << 20


def tree(number: int) -> dict[str, list[dict[str, Any]]]:
    """A tree of two files that only make sense together: `number` MiB, and web-download where it is odd."""
    methods = ["glance-direct", "web-download"][: 1 + number % 2]
    return {
        "grants": [{"id": "grant", "allow": methods}],
        "limits": [{"id": "size", "limit": "all", "within": {"max_size": f"{number}MiB"}}],
    }


def write(folder: Path, files: Mapping[str, Any]) -> None:
    """Files by policy name, written one after the other as editors do; others are taken away."""
    folder.mkdir(exist_ok=True)
    for name, rules in files.items():
        text = rules if isinstance(rules, str) else json.dumps({"version": 1, "policy": name, "rules": rules})
        (folder / f"{name}.yaml").write_text(text)
    for path in folder.glob("*.yaml"):
        if path.stem not in files:
            path.unlink()


class Service(Process):
    """`import-gateway serve --demo` over `home`/policies, with what `more` says of gateway.yaml."""

    def __init__(self, home: Path, more: Mapping[str, Any]) -> None:
        self.data = home / "data"
        super().__init__(home, "--demo", "--config", str(home / "gateway.yaml"), "--data", str(self.data))
        self.more = more
        self.users: dict[str, User] = {}

    @property
    def policies(self) -> Path:
        return self.home / "policies"

    def launch(self, *more: str, under: Sequence[str] = ()) -> None:
        """With a fresh log."""
        policy = {"directory": "policies", "watch": "0s", **self.more.get("policy", {})}
        (self.home / "gateway.yaml").write_text(json.dumps({**self.more, "policy": policy}))
        (self.home / "serve.log").unlink(missing_ok=True)
        super().launch(*more, under=under)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        while self.users:
            self.users.popitem()[1].http.close()
        super().kill(number)

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def user(self, name: str = "admin") -> User:
        """A user whose connections last as long as the service."""
        if name not in self.users:
            self.users[name] = user_of(self.url, name)
        return self.users[name]

    def health(self) -> dict[str, Any]:
        """The detailed health, as a program of this machine sees it."""
        found: dict[str, Any] = httpx.get(f"{self.url}/healthcheck?detailed", trust_env=False).raise_for_status().json()
        return found

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.health()["policy"]["live"]
        return found

    def becomes(self, revision: str) -> None:
        eventually(lambda: self.live()["revision"] == revision)


@contextmanager
def service(home: Path, **more: Any) -> Iterator[Service]:
    """Not started yet; ended in any case."""
    one = Service(home, more)
    try:
        yield one
    finally:
        one.kill(signal.SIGTERM)
