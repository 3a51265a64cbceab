"""The long campaigns are not part of a push, but that they start is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = [
    "tests.bench",
    "tests.faults",
    "tests.fleet",
    "tests.fronting",
    "tests.interop",
    "tests.isolation",
    "tests.matrix",
    "tests.schema_fuzz",
    "tests.stores",
    "tests.policy.campaign",
    "tests.policy.fuzz",
]


@pytest.mark.parametrize("module", LONG)
def test_a_long_target_starts(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "usage" in done.stdout.lower()) == (0, True), done.stderr
