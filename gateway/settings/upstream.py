"""The image service behind the gateway, as gateway.yaml describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.settings.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Where an existing Glance is, without /v2. `timeout` is the longest silence of it that is waited through."""

    endpoint: str | None = None
    ca_file: Path | None = None
    timeout: Seconds = 60.0
