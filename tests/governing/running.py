"""A service that can be killed, started again and told to look again; its trees are written while it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import environment
from tests.cli.service import eventually
from tests.clients.site import User, user_of

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


@dataclass
class Service:
    """`import-gateway serve --demo` over `home`/policies, with what `more` says of gateway.yaml."""

    home: Path
    more: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[str] | None = None
    users: dict[str, User] = field(default_factory=dict)

    @property
    def policies(self) -> Path:
        return self.home / "policies"

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    def start(self, *arguments: str) -> None:
        """Raises AssertionError, with the service's log, where it does not serve."""
        policy = {"directory": "policies", "watch": "0s", **self.more.get("policy", {})}
        file = self.home / "gateway.yaml"
        file.write_text(json.dumps({**self.more, "policy": policy}))
        command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--demo", "--config", str(file)]
        command += ["--data", str(self.home / "data"), *arguments]
        with (self.home / "serve.log").open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.home, env=environment(self.home), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, self.log
        self.url = found[0]

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        while self.users:
            self.users.popitem()[1].http.close()
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def reload(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGHUP)

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
