"""The real service as a process of its own, on a free port of loopback."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.running import environment


@contextmanager
def served(home: Path, *arguments: str) -> Iterator[str]:
    """`import-gateway serve --port 0 ARGUMENTS` in the folder `home`; gives its URL. Its log is `home`/serve.log."""
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", *arguments]
    with (
        (home / "serve.log").open("w") as log,
        subprocess.Popen(
            command, cwd=home, env=environment(home), stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, (home / "serve.log").read_text()
            yield found[0]
        finally:
            process.terminate()
