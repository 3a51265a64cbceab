"""A virtual environment of its own for the servers and suites that judge the gateway."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

KEYSTONE = "keystone==30.0.0"
GLANCE = "glance==33.0.0"
TEMPEST = "tempest==47.0.0"
# setuptools 81 has no pkg_resources, which they still import.
SERVERS = ("pyuwsgi==2.0.30.post1", "waitress==3.0.2", "psycopg2-binary==2.9.13")
REQUIREMENTS = (KEYSTONE, GLANCE, TEMPEST, *SERVERS, "setuptools<81")


class SetupFailed(Exception):
    """A program that prepares the cloud did not do its work; the message ends with its last words."""


def installed(folder: Path, log: Path, requirements: Sequence[str] = REQUIREMENTS) -> Path:
    """The `bin` of a virtual environment in `folder`, made once for these requirements. Raises SetupFailed."""
    if not is_installed(folder, requirements):
        print(f"Setting up {folder} from PyPI (once, some minutes)...", flush=True)
        _make(folder, log, requirements)
        _stamp(folder).write_text(_wanted(requirements))
    return folder / "bin"


def is_installed(folder: Path, requirements: Sequence[str]) -> bool:
    """Whether `installed` has nothing to do."""
    return _stamp(folder).exists() and _stamp(folder).read_text() == _wanted(requirements)


def _stamp(folder: Path) -> Path:
    return folder / "installed.txt"


def _wanted(requirements: Sequence[str]) -> str:
    return "\n".join((sys.version, *requirements))


def _make(folder: Path, log: Path, requirements: Sequence[str]) -> None:
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--clear", "--python", sys.executable, folder], log)
        run([uv, "pip", "install", "--python", python, *requirements], log)
    else:
        run([sys.executable, "-m", "venv", "--clear", folder], log)
        run([python, "-m", "pip", "install", "--disable-pip-version-check", *requirements], log)


def run(command: Sequence[str | Path], log: Path, seconds: float = 900, **env: str) -> None:
    """Run a program to its end; what it says goes to the end of `log`. Raises SetupFailed."""
    with log.open("ab") as output:
        start = output.tell()
        done = subprocess.run(command, stdout=output, stderr=output, timeout=seconds, check=False, env=env or None)
    if done.returncode:
        said = log.read_bytes()[start:].decode(errors="replace")
        raise SetupFailed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said[-2000:]}")
