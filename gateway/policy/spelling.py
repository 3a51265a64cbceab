"""What somebody may have meant by a word nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MANY = 300
"""Comparing letters takes a while: of more words only those that begin alike and are as long."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing where no known word is near."""
    words = list(known)
    if len(words) > _MANY:
        words = [one for one in words if one[:1] == word[:1] and abs(len(one) - len(word)) <= 2]
    close = get_close_matches(word[:80], sorted(words)[:_MANY], 1, 0.6)
    return f"did you mean '{close[0]}'?" if close else ""
