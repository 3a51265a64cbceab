"""How much work a regular expression is. RE2 never backtracks, but every counted repetition is written out, and the
large classes of Unicode are hundreds of byte ranges: a few characters can make a program that takes seconds to run.
"""

from __future__ import annotations

import re

MOST = 1000
"""About as many instructions as a condition's patterns may take: a decision still answers within milliseconds."""

_PART = re.compile(
    r"""(?P<unicode>\\[pP](?:\{[^}]*\}|.)?)
      | (?P<escape>\\(?:x\{[^}]*\}|.)?)
      | (?P<group>\[\^?\]?(?:\[:\^?\w+:\]|\\[pP](?:\{[^}]*\}|.)?|\\.|[^\]\\])*\]?)
      | (?P<open>\((?:\?(?:P?<\w*>|[a-zA-Z-]*:))?)
      | (?P<close>\))
      | (?P<count>\{(?P<least>\d{1,9})(?:,(?P<most>\d{0,9}))?\})
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_WEIGHTS = {"unicode": 400, "escape": 1, "other": 1}
_RANGE = 12


def weight(pattern: str) -> int:
    """An estimate of the instructions a pattern becomes, from above but for the smallest ones."""
    sums, last = [0], 0
    for part in _PART.finditer(pattern):
        kind = str(part.lastgroup)
        if part["open"]:
            sums.append(0)
            last = 0
        elif part["close"]:
            last = sums.pop() + 2 if len(sums) > 1 else 1
            sums[-1] += last
        elif part["count"]:
            times = max(int(part["least"]), int(part["most"] or part["least"]), 1)
            sums[-1] += last * (times - 1)
            last *= times
        else:
            last = _class_weight(part["group"]) if part["group"] else _single(kind, part[0])
            sums[-1] += last
    return sum(sums)


def _single(kind: str, text: str) -> int:
    return _RANGE if text == "." else _WEIGHTS.get(kind, 1)


def _class_weight(text: str) -> int:
    """A class: what it excludes, and letters outside ASCII, are ranges of several bytes each."""
    unicode = len(re.findall(r"\\[pP]", text)) * _WEIGHTS["unicode"]
    wide = _RANGE * (text.startswith("[^") + sum(not letter.isascii() for letter in text))
    return 2 + unicode + wide
