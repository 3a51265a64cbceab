"""The real service over one data folder, as processes that can be killed, paused and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.cli.running import environment
from tests.clients.site import PASSWORD, User
from tests.faults.audit import Place

START_SECONDS = 60
TRUSTING: Sequence[Mapping[str, Any]] = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "size", "limit": "all", "within": {"max_size": "64MiB"}},
)


class Ended(Exception):
    """The process ended before it served."""


class Service:
    """`import-gateway serve --demo` with settings of its own in the folder `home`; its port changes at each start."""

    def __init__(self, home: Path, settings: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] = TRUSTING) -> None:
        self.home = home
        self.data = home / "data"
        self.blobs = self.data / "blobs" / "local"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.allow(rules)
        (home / "gateway.yaml").write_text(json.dumps({"policy": {"directory": "policies"}, **settings}))

    def allow(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """The policy tree from the next start on."""
        folder = self.home / "policies"
        folder.mkdir(exist_ok=True)
        (folder / "faults.yaml").write_text(json.dumps({"version": 1, "policy": "faults", "rules": list(rules)}))

    def launch(self, under: Sequence[str] = ()) -> None:
        """Start a process, `under` another program where one is named; do not wait for it."""
        command = [*under, sys.executable, "-m", "gateway", "serve", "--demo", "--port", "0"]
        command += ["--config", str(self.home / "gateway.yaml"), "--data", str(self.data)]
        with self._output.open("wb") as output, (self.home / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.home, env=environment(self.home), stdout=output, stderr=log, start_new_session=True
            )

    def wait_ready(self) -> None:
        """Until it says where it serves. Raises Ended."""
        end = monotonic() + START_SECONDS
        while (found := re.search(rb"http://[^\s]+(?=\s)", self._output.read_bytes())) is None:
            if self.ended():
                raise Ended((self.home / "serve.log").read_text()[-2000:])
            assert monotonic() < end, "it did not start"
            sleep(0.01)
        self.url = found[0].decode()

    def start(self, under: Sequence[str] = ()) -> None:
        self.launch(under)
        self.wait_ready()

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """To the process, and to what it runs under."""
        assert self._process is not None
        if not self.ended():
            os.killpg(self._process.pid, number)

    def wait(self, seconds: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait(10)

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextmanager
    def user(self, name: str = "gold") -> Iterator[User]:
        """A user of the process that runs now."""
        with httpx.Client(base_url=self.url, auth=(name, PASSWORD), trust_env=False, timeout=30) as http:
            yield User(http)

    def files(self) -> list[Path]:
        """Every file the store holds, whole or not."""
        return [path for path in self.blobs.rglob("*") if path.is_file()]

    @property
    def place(self) -> Place:
        """Where the auditor looks."""
        return Place(self.data / "records.sqlite", self.blobs, self.data / "decisions.jsonl")

    @property
    def _output(self) -> Path:
        return self.home / "serve.out"


@contextmanager
def service(
    home: Path, settings: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] = TRUSTING
) -> Iterator[Service]:
    """A started service that is gone at the end."""
    made = Service(home, settings, rules)
    made.start()
    try:
        yield made
    finally:
        if not made.ended():
            made.kill()
