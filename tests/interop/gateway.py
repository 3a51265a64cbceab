"""The gateway under test: two writable stores and one read-only, under the interop policies."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.cloud import PASSWORD, SERVICE_PROJECT, SERVICE_USER
from tests.interop.keystone import REGION
from tests.interop.report import Outcome
from tests.interop.running import served

POLICIES = Path(__file__).with_name("policies")
LOG = "output.log"
CACHE_TTL = "5s"
COMMAND = (sys.executable, "-m", "gateway", "serve")


@contextmanager
def gateway(folder: Path, port: int, auth_url: str, fetched: Sequence[int]) -> Iterator[str]:
    """The service with its records in `folder`; imports may fetch from the ports `fetched` of this machine."""
    folder.mkdir()
    url = f"http://127.0.0.1:{port}"
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(settings(url, port, auth_url, fetched), indent=1))
    command: list[str | Path] = [*COMMAND, "--config", file]
    with served(command, f"{url}/versions", folder / LOG, os.environ):
        yield url


def complaints(folder: Path) -> Iterator[Outcome]:
    """What the gateway itself says afterwards: bugs of its own, which no client needs to have noticed."""
    lines = (folder / LOG).read_text(errors="replace").splitlines()
    bugs = [line for line in lines if " ERROR " in line]
    yield Outcome("nothing failed inside", "failed" if bugs else "passed", "; ".join(bugs[:5])[:1000])


def settings(url: str, port: int, auth_url: str, fetched: Sequence[int]) -> Mapping[str, Any]:
    return {
        "server": {"port": port},
        "stores": [
            {"name": "fast", "description": "first", "default": True},
            {"name": "slow", "description": "second"},
            # Tempest knows a read-only store by this name.
            {"name": "web", "type": "http"},
        ],
        "policy": {"directory": str(POLICIES)},
        "identity": {"type": "keystone", "keystone": _login(auth_url)},
        "images": {"show_locations": True},
        "imports": {"progress_interval": "200ms"},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [80, 443, *fetched]},
        "regions": {REGION: {"endpoint": url}},
    }


def _login(auth_url: str) -> Mapping[str, str]:
    user = {"username": SERVICE_USER, "password": PASSWORD, "project": SERVICE_PROJECT}
    return {"auth_url": auth_url, "cache_ttl": CACHE_TTL, **user}
