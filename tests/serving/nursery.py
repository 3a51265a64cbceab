"""Processes of the gateway that start in a tenth of the time: forked from one that has read all its modules.

A program that starts anew spends two seconds of a processor on reading them, and a test run starts hundreds. What is
measured, traced or shown to users is started as users start it (`Process`).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO

MOST = 1 << 20

_asking = Lock()
"""Answers come in the order of the questions, so each of several threads waits for its own."""


class Forked:
    """As `subprocess.Popen`: its process id, and its end. What `ending` gives is its exit code, once it has ended."""

    def __init__(self, pid: int, ending: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ending = ending

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._ending], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self.returncode = int(os.read(self._ending, 16) or b"-9")
            os.close(self._ending)
        return self.returncode


def forked(words: Sequence[str], folder: Path, env: Mapping[str, str], output: IO[bytes], errors: IO[bytes]) -> Forked:
    """`import-gateway WORDS` in a folder, as a process and a session of its own."""
    ending, told = os.pipe()
    asked = json.dumps({"words": list(words), "folder": str(folder), "env": dict(env)}).encode()
    try:
        with _asking:
            line = _nursery()
            socket.send_fds(line, [asked], [output.fileno(), errors.fileno(), told])
            return Forked(int(line.recv(16)), ending)
    finally:
        os.close(told)


@cache
def _nursery() -> socket.socket:
    """One for this process; it ends with it, and all it has started does too."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(its.fileno())]
    child = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)
    its.close()

    @atexit.register
    def end() -> None:
        ours.close()
        child.wait()

    return ours


def main(line: socket.socket) -> None:
    import alembic.command  # noqa: F401 - what the service reads later

    import gateway.app  # noqa: F401
    from gateway.cli import main as run
    from gateway.cli import process

    process.become = process.serve  # type: ignore[assignment]  # in this process, without reading all modules anew

    told: dict[int, int] = {}
    for _ in _asked(line, told):
        asked, fds, _, _ = socket.recv_fds(line, MOST, 3)
        if not asked:
            _end(told)
            return
        pid = os.fork()
        if pid == 0:
            os.setsid()
            line.send(str(os.getpid()).encode())  # now it has a group, which whoever hears of it may signal
            line.close()
            _become(json.loads(asked), *fds)
            run()
            return
        told[pid] = fds[2]
        os.close(fds[0])
        os.close(fds[1])


def _asked(line: socket.socket, told: dict[int, int]) -> Iterator[None]:
    """Each time somebody asks; meanwhile the ends of processes are told. `told` is by process id."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([line.fileno(), woken], [], [])[0]
        if woken in ready:
            os.read(woken, MOST)
            _tell(told)
        if line.fileno() in ready:
            yield


def _tell(told: dict[int, int]) -> None:
    for pid in list(told):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            fd = told.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(fd, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(fd)


def _end(told: Iterable[int]) -> None:
    """Who asked is gone, however it ended; so is all it has left running."""
    for pid in told:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _become(asked: Mapping[str, object], output: int, errors: int, told: int) -> None:
    """A program that was just started, in all it can tell."""
    os.close(told)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, 256)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    sys.argv = ["import-gateway", *asked["words"]]  # type: ignore[misc]


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
