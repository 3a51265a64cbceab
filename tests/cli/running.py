"""The command line, run as users run it: arguments, an environment, a folder and two output streams."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from gateway.cli import main

_NOT_OURS = (
    "OS_",
    "IMPORT_GATEWAY_",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)


def unignored() -> None:
    """Before a program begins: a shell that starts the tests in the background has SIGINT ignored, and children
    inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user with an empty home and a terminal too wide to wrap lines."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return {**kept, "HOME": str(home), "COLUMNS": "240", "NO_COLOR": "1", **more}


def process(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`import-gateway ARGUMENTS`, in the folder `home`, as a process of its own."""
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(
        command, cwd=home, env=environment(home, **env), capture_output=True, text=True, timeout=120, check=False
    )


def cli(home: Path, *arguments: str, **env: str) -> Done:
    """The same within this process, which is many times as fast."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    argv = mock.patch.object(sys, "argv", ["import-gateway", *arguments])
    environ = mock.patch.dict(os.environ, environment(home, **env), clear=True)
    with argv, environ, chdir(home), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code
        finally:
            signal.signal(signal.SIGTERM, before)
    return Done(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())
