"""What somebody may have meant by a word nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing where no known word is near."""
    close = get_close_matches(word[:80], sorted(known), 1, 0.6)
    return f"did you mean '{close[0]}'?" if close else ""
