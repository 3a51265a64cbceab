"""No module grows past the length that says a word is missing."""

from __future__ import annotations

from pathlib import Path

import gateway

LONGEST = 350


def test_no_module_is_longer_than_its_word() -> None:
    modules = Path(gateway.__file__).parent.rglob("*.py")
    assert {str(path): lines for path in modules if (lines := len(path.read_text().splitlines())) > LONGEST} == {}
