"""Changing policy files at random: bytes, lines, words of the language, and pieces of other files."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence

from gateway.policy.facts import METHODS, VOCABULARY
from gateway.policy.functions import MACROS, SIGNATURES
from gateway.policy.stagewords import STAGES
from gateway.shipped_files import shipped

MOST = 16 << 10

_SCHEMA = (shipped("schemas") / "policy.schema.json").read_text()
_PROPERTIES = json.dumps(json.loads(_SCHEMA)["$defs"])
_YAML = [
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "---\n",
    "...\n",
    "? ",
    "- ",
    ": ",
    "|\n",
    ">\n",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
]
_ODD = ["\0", "\t", "\ufeff", "\u2028", "é", "😀", "\\u0000", "~", "null", "no", "0644", "0x1F", "1e3", "-1", "9" * 40]
_CEL = [
    " && ",
    " || ",
    "!",
    "(",
    ")",
    " in ",
    " == ",
    " < ",
    "?",
    "t, ",
    ".",
    '"',
    'r"',
    "\\pL{99}",
    "(a|b){1,1000}",
    "[0]",
]
_WORDS = [
    "sets.s",
    "20GiB",
    "4h",
    "2027-01-01T00:00:00Z",
    "*.example.com",
    "policy/id",
    "lab",
    "all",
    "warn",
    "{request.host}",
]
WORDS: Sequence[str] = (
    *(f"{key}: " for key in sorted(set(re.findall(r'"([a-z_]+)": \{', _PROPERTIES)))),
    *METHODS,
    *VOCABULARY,
    *(f".{name}(" for name in (*SIGNATURES, *MACROS)),
    *STAGES,
    *_YAML,
    *_ODD,
    *_CEL,
    *_WORDS,
)

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutated(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    """The text after a few changes, never longer than `MOST`."""
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        text = draw.choice(_MUTATIONS)(draw, text, corpus)[:MOST]
    return text


def _span(draw: random.Random, text: bytes) -> tuple[int, int]:
    start = draw.randint(0, len(text))
    return start, min(len(text), start + draw.choice((1, 2, 4, 16, 64)))


def _flip(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(text)) if text else 0
    return text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :]


def _drop(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    start, end = _span(draw, text)
    return text[:start] + text[end:]


def _word(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    start, end = _span(draw, text)
    return text[:start] + draw.choice(WORDS).encode() + text[end if draw.random() < 0.5 else start :]


def _swapped_word(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    found = list(re.finditer(rb"[\w.-]+", text))
    if not found:
        return text
    old = draw.choice(found)
    return text[: old.start()] + draw.choice(WORDS).encode() + text[old.end() :]


def _repeat(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    start, end = _span(draw, text)
    return text[:start] + text[start:end] * draw.choice((2, 8, 300)) + text[end:]


def _lines(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    if draw.random() < 0.5:
        lines.insert(other, lines[one])
    else:
        lines[one] = b" " * draw.choice((0, 2, 4)) + lines[one].lstrip()
    return b"".join(lines)


def _spliced(draw: random.Random, text: bytes, corpus: Sequence[bytes]) -> bytes:
    other = draw.choice(corpus)
    start, _ = _span(draw, other)
    at, end = _span(draw, text)
    return text[:at] + other[start : start + draw.choice((16, 200, MOST))] + text[end:]


_MUTATIONS: Sequence[Mutation] = (_flip, _drop, _word, _swapped_word, _swapped_word, _repeat, _lines, _spliced)
