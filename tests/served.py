"""The real service as a process of its own, on a free port of loopback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving.process import Process


@contextmanager
def served(home: Path, *arguments: str) -> Iterator[str]:
    """`import-gateway serve --port 0 ARGUMENTS` in the folder `home`; gives its URL. Its log is `home`/serve.log."""
    process = Process(home, *arguments)
    try:
        process.start()
        yield process.url
    finally:
        process.kill(signal.SIGTERM)
