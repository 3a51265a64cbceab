"""A search for trees that break the promise, led by the lines that they reach.

Whatever reaches a line of `gateway.policy` that nothing reached before is kept and changed further.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import gateway.policy
from gateway.policy.expression import Engine, engine
from gateway.policy.lints.paragraphs import PARAGRAPHS
from gateway.policy.reader import Source
from gateway.shipped_files import shipped
from gateway.trees import read_tree
from tests.policy.fuzz.mutating import MOST, mutated
from tests.policy.fuzz.target import checked

_FOLDER = str(Path(gateway.policy.__file__).parent)
_HOSTILE = Path(__file__).parents[1] / "hostile"
_PLAIN = b"version: 1\npolicy: q\nrules: [{id: any, allow: all}]\n"


def seeds() -> list[bytes]:
    """The shipped trees, every example of every paragraph, and the hostile files of the tests."""
    found = [source.text for folder in shipped("policies").iterdir() for source in read_tree(folder)]
    for told in PARAGRAPHS.values():
        found += [_whole(example) for example in (told.before, told.after) if example]
    return found + [path.read_bytes() for path in sorted(_HOSTILE.glob("*.yaml"))]


def _whole(example: str) -> bytes:
    head = "" if example.startswith("version:") else "version: 1\npolicy: p\n"
    return f"{head}{'rules:' if example.startswith('- ') else ''}\n{example}\n".encode()


class Broken(Exception):
    """The promise does not hold for these files."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        super().__init__("\n".join(f"{one.name}: {one.text!r}" for one in sources))
        self.sources = sources


@dataclass(slots=True)
class Search:
    draw: random.Random
    engine: Engine = field(default_factory=lambda: engine("cel-expr"))
    corpus: list[bytes] = field(default_factory=seeds)
    lines: set[tuple[str, int]] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    tried: int = 0

    def run(self, *, rounds: int | None = None, seconds: float = float("inf")) -> None:
        """Until either is spent. Raises Broken."""
        until = time.monotonic() + seconds
        for text in list(self.corpus):
            self.one((Source("a.yaml", text),))
        while (rounds is None or self.tried < rounds) and time.monotonic() < until:
            text = mutated(self.draw, self.draw.choice(self.corpus), self.corpus)
            if self.one(tuple(self.tree(text))):
                self.corpus.append(text)

    def tree(self, text: bytes) -> Iterator[Source]:
        """The text alone, or beside another file, below a folder or above one."""
        shape = self.draw.randrange(4)
        yield Source("lab/a.yaml" if shape == 1 else "a.yaml", text)
        if shape:
            yield Source("lab/b.yaml" if shape == 2 else "b.yaml", self.draw.choice([_PLAIN, *self.corpus]))

    def one(self, sources: tuple[Source, ...]) -> bool:
        """Whether the files reached something new."""
        self.tried += 1
        before = len(self.lines)
        try:
            self.codes.update(checked(sources, self.engine))
            if all(len(one.text) <= MOST for one in sources):
                self.traced(sources)
        except Exception as error:  # whatever it is, it is the finding
            raise Broken(sources) from error
        return len(self.lines) > before

    def traced(self, sources: tuple[Source, ...]) -> None:
        sys.settrace(self.called)
        try:
            checked(sources, self.engine)
        except AssertionError:
            pass  # being watched takes longer
        finally:
            sys.settrace(None)

    def called(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.reached if frame.f_code.co_filename.startswith(_FOLDER) else None

    def reached(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self.reached
