"""Digests of a stream, several algorithms beside each other."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from functools import partial

from gateway.stages.algorithms import SIZES
from gateway.stages.stage import Block, Tools, Wait

ALGORITHMS = tuple(SIZES)
"""The algorithms anybody may ask for, by their hashlib names."""


class Digests:
    """Raises ValueError for an algorithm that is not in ALGORITHMS."""

    def __init__(self, algorithms: Iterable[str], tools: Tools) -> None:
        names = dict.fromkeys(algorithms)
        if unknown := [name for name in names if name not in ALGORITHMS]:
            raise ValueError(f"unknown hash algorithms: {', '.join(unknown)}")
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self._lanes = {name: tools.lane() for name in names}
        self._under_way: deque[list[Wait]] = deque()

    def begin(self, block: Block) -> None:
        """Start on a block, which has to stay as it is until it is settled. Each hash runs at its own pace."""
        self._under_way.append(
            [self._lanes[name](partial(digest.update, block)) for name, digest in self._hashes.items()]
        )

    def settle(self, rest: int = 0) -> None:
        """Wait until all blocks but the last `rest` are hashed."""
        while len(self._under_way) > rest:
            for wait in self._under_way.popleft():
                wait()

    def hexdigests(self) -> dict[str, str]:
        self.settle()
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}
