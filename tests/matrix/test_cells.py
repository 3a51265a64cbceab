"""The table tells what happened in a cell: no failing test, and no cell that could not run, is passed over."""

from __future__ import annotations

from pathlib import Path

from tests.matrix.__main__ import table
from tests.matrix.cells import Cell, Outcome, played

CELL = Cell("filesystem", "sqlite")
MIXED = """
import os, pytest
def test_passes(): assert os.environ["GATEWAY_TEST_STORE"] == "filesystem"
def test_fails(): assert os.environ["GATEWAY_TEST_CATALOG"] == "postgresql"
def test_is_skipped(): pytest.skip("why not")
@pytest.fixture
def broken(): raise ValueError
def test_cannot_begin(broken): pass
"""


def run(folder: Path, text: str) -> Outcome:
    (folder / "test_mixed.py").write_text(text)
    return played(CELL, [str(folder / "test_mixed.py")], folder, {}, workers=1)


def test_a_cell_is_counted_and_its_failing_tests_are_named(tmp_path: Path) -> None:
    found = run(tmp_path, MIXED)
    assert (found.passed, found.skipped, found.good) == (1, 1, False)
    assert [name.rpartition("::")[2] for name in found.failing] == ["test_fails", "test_cannot_begin"]
    told = "\n".join(table({CELL: found}))
    assert "filesystem x sqlite     : 1 passed, 2 failed, 1 skipped" in told
    assert "::test_fails" in told


def test_a_file_that_cannot_be_read_is_no_empty_success(tmp_path: Path) -> None:
    found = run(tmp_path, "import nothing_that_is_there")
    assert not found.good


def test_no_tests_at_all_are_no_success(tmp_path: Path) -> None:
    assert not run(tmp_path, "").good
