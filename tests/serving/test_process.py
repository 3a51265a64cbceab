"""A forked service is the program that users start, in all that tests rely on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx
import pytest

from tests.serving.process import Ended, Process


def test_it_serves_stops_and_starts_again(tmp_path: Path) -> None:
    process = Process(tmp_path, "--demo", "--data", "data")
    for number, code in ((SIGTERM, 0), (SIGKILL, -9)):
        process.start()
        assert httpx.get(f"{process.url}/healthcheck", trust_env=False).status_code == 200
        assert os.getsid(process.pid) == process.pid
        assert Path(f"/proc/{process.pid}/cwd").resolve() == tmp_path.resolve()
        process.kill(number)
        assert process.wait(0) == code
        assert not Path(f"/proc/{process.pid}").exists()


def test_those_that_threads_start_at_once_are_told_apart(tmp_path: Path) -> None:
    processes = [Process(tmp_path / str(number), "--demo", "--data", "data") for number in range(6)]
    for process in processes:
        process.home.mkdir()
    with ThreadPoolExecutor(len(processes)) as pool:
        list(pool.map(Process.launch, processes))
    for process in processes:
        process.kill()
        assert process.wait(0) == -9


def test_one_that_cannot_serve_says_why(tmp_path: Path) -> None:
    process = Process(tmp_path, "--config", "gone.yaml")
    with pytest.raises(Ended, match=r"gone\.yaml"):
        process.start()
    assert process.wait(0) == 1
