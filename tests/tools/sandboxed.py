"""The sandbox as the tests use it, where this machine has what it takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.model.errors import Unavailable
from gateway.tools.sandbox import Bounds, Sandbox


def fault() -> str:
    """Why nothing runs in a sandbox here; empty where it does."""
    try:
        Sandbox().run("true", [], bounds=Bounds(wall=10))
    except Unavailable as away:
        return away.message
    return ""


def lacking(*programs: str) -> str:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)}: apt-get install qemu-utils bubblewrap strace"
    return fault() or ("" if "strace" not in programs or may_trace() else "strace may not trace here")


def may_trace() -> bool:
    """Some containers forbid it."""
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


needs_sandbox = pytest.mark.skipif(bool(why := lacking("bwrap", "prlimit")), reason=why)
needs_converter = pytest.mark.skipif(bool(why := lacking("bwrap", "prlimit", "qemu-img")), reason=why)
needs_strace = pytest.mark.skipif(bool(why := lacking("bwrap", "prlimit", "qemu-img", "strace")), reason=why)


def script(folder: Path, text: str) -> str:
    """A program that takes bwrap's place, in front of it or instead."""
    path = folder / "wrapper"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)
