"""One run of the suite for each kind of catalog beside each kind of store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
ENDED = (0, 1)
"""Exit codes of pytest after a whole run: all was well, or some tests failed."""
BEHAVIOUR = (
    "tests/api", "tests/asking", "tests/clients", "tests/faults", "tests/governing", "tests/isolation",
    "tests/metadefs", "tests/placement", "tests/policy/test_rejudge.py", "tests/receipts", "tests/service",
    "tests/sharing",
)  # fmt: skip
"""What a user can tell of the service, whatever it stands on."""


@dataclass(frozen=True, slots=True)
class Cell:
    store: str
    catalog: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {"GATEWAY_TEST_STORE": self.store, "GATEWAY_TEST_CATALOG": self.catalog}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failing` are tests by name; `broken` says why a run ended without results."""

    passed: int = 0
    skipped: int = 0
    failing: tuple[str, ...] = ()
    broken: str = ""

    @property
    def good(self) -> bool:
        return not self.failing and not self.broken

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {len(self.failing)} failed, {self.skipped} skipped"
        return f"did not run: {self.broken}" if self.broken else counts


def played(cell: Cell, paths: Sequence[str], folder: Path, more: Mapping[str, str], workers: int) -> Outcome:
    """Run the tests in `paths` in this cell. `folder` keeps what pytest says, as STORE-CATALOG.txt and .xml."""
    results, said = (folder / f"{cell.store}-{cell.catalog}{kind}" for kind in (".xml", ".txt"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}"]
    command += ["-n", str(workers), "--dist", "loadfile", *paths]
    with said.open("w") as output:
        environment = {**os.environ, **cell.environment, **more}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode not in ENDED or not results.exists():
        return Outcome(broken=f"pytest ended with {done.returncode}, see {said}")
    return counted(results)


def counted(results: Path) -> Outcome:
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failing = [_name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return Outcome(len(cases) - len(failing) - skipped, skipped, tuple(failing))


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"
