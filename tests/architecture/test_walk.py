"""A request stays short enough to be followed in one sitting: a budget of own frames and files for a stage call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

DEEPEST = 11
"""Nine, and two that count around a store what goes into it."""
FILES = 62
"""Not the 15 of the first sketch, which had no strict front, no identity and no decision; a ceiling against growth."""


def walk() -> dict[str, Any]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.architecture.walk"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_stage_call_stays_within_its_budget_of_frames_and_files() -> None:
    found = walk()
    assert found["depth"] <= DEEPEST, "\n".join(found["deepest"])
    assert len(found["files"]) <= FILES, "\n".join(found["files"])
