"""The real service over one data folder, as processes that can be killed, paused and started again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.clients.site import PASSWORD, User
from tests.faults.audit import Place
from tests.serving.backing import catalog_url, held
from tests.serving.held import Held
from tests.serving.process import LONGEST, Ended, Process

__all__ = ["TRUSTING", "Ended", "Service", "service"]

TRUSTING: Sequence[Mapping[str, Any]] = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "size", "limit": "all", "within": {"max_size": "64MiB"}},
)


class Service(Process):
    """`import-gateway serve` with settings of its own in the folder `home`; `--demo` where they name no identity."""

    def __init__(self, home: Path, settings: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] = TRUSTING) -> None:
        self.data = home / "data"
        who = () if "identity" in settings else ("--demo",)
        super().__init__(home, *who, "--config", str(home / "gateway.yaml"), "--data", str(self.data))
        self.held: Held = held(self.data)
        self.allow(rules)
        (home / "gateway.yaml").write_text(json.dumps({"policy": {"directory": "policies"}, **settings}))

    def allow(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """The policy tree from the next start on."""
        folder = self.home / "policies"
        folder.mkdir(exist_ok=True)
        (folder / "faults.yaml").write_text(json.dumps({"version": 1, "policy": "faults", "rules": list(rules)}))

    @contextmanager
    def user(self, name: str = "gold") -> Iterator[User]:
        """A user of the process that runs now."""
        with httpx.Client(base_url=self.url, auth=(name, PASSWORD), trust_env=False, timeout=LONGEST) as http:
            yield User(http)

    def files(self) -> set[str]:
        """Everything the store holds, whole or not."""
        return set(self.held.sizes())

    @property
    def place(self) -> Place:
        """Where the auditor looks."""
        return Place(catalog_url(self.data), self.held, self.data / "decisions.jsonl")


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
        made.kill()
