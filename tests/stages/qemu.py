"""qemu-img as the oracle: what an emulator makes of an image."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is missing: apt-get install qemu-utils"
)
DRIVERS = {"vhd": "vpc", "ploop": "parallels", "iso": "raw", "gpt": "raw", "ami": "raw"}


def driver(disk_format: str) -> str:
    return DRIVERS.get(disk_format, disk_format)


def qemu_img(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["qemu-img", *words], capture_output=True, timeout=60)


def info(path: Path, disk_format: str | None = None) -> dict[str, Any] | None:
    """What `qemu-img info` says; None where it will not open the image. Without a format, it probes."""
    chosen = ["-f", driver(disk_format)] if disk_format else []
    done = qemu_img("info", *chosen, "--output=json", str(path))
    found: dict[str, Any] | None = json.loads(done.stdout.decode(errors="replace")) if not done.returncode else None
    return found


def other_files(found: dict[str, Any]) -> list[str]:
    """Every file but the image itself that its header names."""
    special = found.get("format-specific", {}).get("data", {})
    names = [found.get("backing-filename"), found.get("full-backing-filename"), special.get("data-file")]
    extents = [extent.get("filename") for extent in special.get("extents", [])]
    return [name for name in [*names, *extents] if name and name != found["filename"]]
