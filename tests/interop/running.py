"""Servers as processes of their own that are gone at the end, however the end comes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import randrange
from time import monotonic, sleep

import httpx

START_SECONDS = 90
STOP_SECONDS = 15


class NotServing(Exception):
    """A server ended, or did not answer in time; the message ends with its last words."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback nobody listens on. They are held together, so that no two are the same.

    They are none of those that the system gives to connections and to whoever names no port: until the server is up,
    nobody has one by chance.
    """
    with ExitStack() as held:
        return [int(held.enter_context(_bound()).getsockname()[1]) for _ in range(count)]


def _bound() -> socket.socket:
    while True:
        made = socket.socket()
        try:
            made.bind(("127.0.0.1", randrange(20_000, 32_768)))
            return made
        except OSError:
            made.close()


@contextmanager
def served(command: Sequence[str | Path], url: str, log: Path, env: Mapping[str, str]) -> Iterator[None]:
    """A server that answers at `url`. Its whole process group ends with the block. Raises NotServing."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=dict(env), start_new_session=True)
    try:
        _wait(process, url, log)
        yield
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started: asked first, killed when it does not go."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = monotonic() + START_SECONDS
    while not _answers(url):
        if process.poll() is not None or monotonic() > until:
            said = log.read_text(errors="replace")[-2000:]
            raise NotServing(f"{process.args!r} does not serve {url}:\n{said}")
        sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=10).status_code < 500
    except httpx.TransportError:
        return False
