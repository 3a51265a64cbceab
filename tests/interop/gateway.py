"""The gateway under test: two writable stores and one read-only, under the interop policies."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.cloud import PASSWORD, SERVICE_PROJECT, SERVICE_USER
from tests.interop.keystone import REGION
from tests.interop.report import Outcome
from tests.serving.process import Process

POLICIES = Path(__file__).with_name("policies")
CACHE_TTL = "5s"


@contextmanager
def gateway(folder: Path, port: int, chosen: Mapping[str, Any]) -> Iterator[Process]:
    """The service with these settings, and its records in `folder`."""
    folder.mkdir()
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(chosen, indent=1))
    process = Process(folder, "--config", str(file), port=port)
    try:
        process.start()
        yield process
    finally:
        process.kill(signal.SIGTERM)


def complaints(folder: Path) -> Iterator[Outcome]:
    """What the gateway itself says afterwards: bugs of its own, which no client needs to have noticed."""
    lines = (folder / "serve.log").read_text(errors="replace").splitlines()
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


def fronting(port: int, auth_url: str, fetched: Sequence[int], upstream: str) -> Mapping[str, Any]:
    """Settings in front of the image service at `upstream`, as far as they differ from those of the example."""
    alone = settings(f"http://127.0.0.1:{port}", port, auth_url, fetched)
    return {
        **{name: alone[name] for name in ("server", "policy", "identity", "imports", "fetch", "regions")},
        "backend": "glance",
        "upstream": {"endpoint": upstream},
        "stores": [{"name": "staging"}],
    }
