"""A request stays short enough to be read in one sitting: the design's budget of frames and files for a stage call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

DEEPEST = 9
FILES = 15


def walk() -> dict[str, object]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.architecture.walk"], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_stage_call_stays_within_its_budget_of_frames_and_files() -> None:
    found = walk()
    assert found["depth"] <= DEEPEST, "\n".join(found["deepest"])  # type: ignore[operator, arg-type]
    files = found["files"]
    assert isinstance(files, list)
    print(len(files), files)
