"""Access rules of application credentials (Identity API v3.13): which calls such a credential opens.

In a path pattern `*` and `{name}` stand for characters of one path segment, `**` for anything. Users write the
patterns, so they are matched in time that grows with pattern times path, whatever they say: no regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.identity.keystone_token import AccessRule

SERVICE = "image"
LONGEST_PATH = 1024

_PIECES = re.compile(r"\*\*|\*|\{[^}]*\}|[^*{]+|\{")


def opens(rules: Iterable[AccessRule], method: str, path: str) -> bool:
    """Whether one of the rules names this call of the image service. No path over LONGEST_PATH is opened by a rule."""
    asked = (rule.path for rule in rules if (rule.service, rule.method) == (SERVICE, method))
    return len(path) <= LONGEST_PATH and any(matches(pattern, path) for pattern in asked)


def matches(pattern: str, path: str) -> bool:
    """`places` are the positions of `path` that the pieces so far can have led to."""
    places = {0}
    for piece in _PIECES.findall(pattern):
        places = _after(piece, path, places)
    return len(path) in places


def _after(piece: str, path: str, places: set[int]) -> set[int]:
    if piece == "**":
        return set(range(min(places, default=len(path) + 1), len(path) + 1))
    if piece == "*" or (piece[0], piece[-1]) == ("{", "}"):
        return _within_a_segment(path, places)
    return {place + len(piece) for place in places if path.startswith(piece, place)}


def _within_a_segment(path: str, places: set[int]) -> set[int]:
    """One character or more from any of the places on, and no slash."""
    reached = set()
    going = False
    for place, letter in enumerate(path):
        going = (going or place in places) and letter != "/"
        if going:
            reached.add(place + 1)
    return reached
