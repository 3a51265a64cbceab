"""The real service in a process of its own, with a policy that allows everything and checks all of it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.client import Client
from tests.bench.meter import Meter
from tests.serving.process import Process

POLICY = """\
version: 1
policy: bench
rules:
  - {id: everything, allow: all}
  - {id: ceiling, limit: all, within: {max_size: 64GiB}}
  - {id: checked, require: all, stages: [inspect, checksum]}
"""
RECORD = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Service:
    """The running service and one user of it."""

    client: Client
    meter: Meter
    blobs: Path

    def new_image(self) -> str:
        return str(self.client.ask("POST", "/v2/images", RECORD)["id"])

    def start_import(self, image_id: str, method: dict[str, str]) -> None:
        self.client.ask("POST", f"/v2/images/{image_id}/import", {"method": method})

    def until_active(self, image_id: str) -> None:
        """Asked ten times a second: often enough for seconds, seldom enough to cost nothing."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            status = self.client.ask("GET", f"/v2/images/{image_id}")["status"]
            if status == "active":
                return
            if status == "queued":
                raise RuntimeError(f"the import failed: {self.client.ask('GET', f'/v2/images/{image_id}/tasks')}")
            time.sleep(0.1)
        raise TimeoutError(f"image {image_id} is not active after {PATIENCE} s")

    def remove(self, image_id: str) -> None:
        """Delete the image and wait for its bytes to go, so that nobody measures their removal."""
        self.client.ask("DELETE", f"/v2/images/{image_id}")
        until = time.monotonic() + PATIENCE
        while any(path.is_file() for path in self.blobs.rglob("*")):
            if time.monotonic() > until:
                raise TimeoutError(f"the bytes of image {image_id} are still in {self.blobs}")
            time.sleep(0.05)


@contextmanager
def served(
    folder: Path, *, source_port: int = 80, more: Mapping[str, Any] | None = None, python: str = sys.executable
) -> Iterator[Service]:
    """Start the service with its records and blobs in `folder`; it may fetch from `source_port` of this machine.

    `more` settings are added to those; `python` is of the environment it is installed in.
    """
    blobs = folder / "blobs"
    settings = _settings(folder, blobs, source_port, more or {})
    process = Process(folder, "--config", str(settings), python=python)
    try:
        process.start()
        url = urlsplit(process.url)
        yield Service(Client((str(url.hostname), url.port or 80)), Meter(process.pid), blobs)
    finally:
        process.kill(signal.SIGTERM)


def _settings(folder: Path, blobs: Path, source_port: int, more: Mapping[str, Any]) -> Path:
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "bench.yaml").write_text(POLICY)
    settings = {
        "data": str(folder / "records"),
        "stores": [{"name": "local", "path": str(blobs), "default": True}],
        "policy": {"directory": str(policies)},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [source_port]},
        "log": {"level": "warning"},
        **more,
    }
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(settings))
    return path
