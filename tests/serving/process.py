"""`import-gateway serve` as a process that can be killed, paused and started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, Signals
from time import monotonic, sleep

from tests.cli.running import environment
from tests.serving.backing import stood
from tests.serving.nursery import Forked, forked

LONGEST = 60.0
"""Seconds a test waits for what has to happen: a machine that is slow or busy is no failure."""


class Ended(Exception):
    """The process ended before it served; the message is the end of its log."""


class Process:
    """`import-gateway serve --port PORT ARGUMENTS` in the folder `home`. Port 0 is another free one at each start.

    What it says stands in `home`/serve.log, of all its lives; where it serves, in `home`/serve.out.
    """

    def __init__(self, home: Path, *arguments: str, port: int = 0, python: str = sys.executable) -> None:
        self.home = home
        self.python = python
        self.arguments = ("--port", str(port), *arguments)
        self.url = ""
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self, *more: str, under: Sequence[str] = ()) -> None:
        """Start a process with `more` arguments, `under` another program where one is named; do not wait for it."""
        words, env = ["serve", *stood(self.home, [*self.arguments, *more])], environment(self.home)
        with self._output.open("wb") as output, (self.home / "serve.log").open("ab") as log:
            if under or "PYTEST_VERSION" not in os.environ:
                command = [*under, self.python, "-m", "gateway", *words]
                self._process = subprocess.Popen(
                    command, cwd=self.home, env=env, stdout=output, stderr=log, start_new_session=True
                )
            else:
                self._process = forked(words, self.home, env, output, log)

    def wait_ready(self) -> None:
        """Until it says where it serves. Raises Ended."""
        end = monotonic() + 3 * LONGEST  # also where every system call is traced
        while (found := re.search(rb"http://[^\s]+(?=\s)", self._output.read_bytes())) is None:
            if self.ended():
                raise Ended(self.log[-2000:])
            assert monotonic() < end, "it did not start"
            sleep(0.01)
        self.url = found[0].decode()

    def start(self, *more: str, under: Sequence[str] = ()) -> None:
        """Raises Ended."""
        self.launch(*more, under=under)
        self.wait_ready()

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def signal(self, number: Signals) -> None:
        """To the process, and to what it runs under."""
        assert self._process is not None
        if not self.ended():
            os.killpg(self._process.pid, number)

    def wait(self, seconds: float = LONGEST) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self, number: Signals = SIGKILL) -> None:
        """And wait until it is gone. One that was never started is gone already."""
        if self._process is not None:
            self.signal(number)
            self.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def _output(self) -> Path:
        return self.home / "serve.out"
