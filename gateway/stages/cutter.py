"""Cuts a stream into blocks of one size, whatever the sender's chunks were."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from gateway.stages.stage import BLOCK_SIZE, LASTING, Block


class Cutter:
    """Yields blocks of exactly BLOCK_SIZE; `rest` gives the one shorter block at the end.

    A block that already has the size and starts on the grid leaves as the same object, uncopied. Others are gathered
    in buffers that take turns, so that each lasts as `Block` says.
    """

    def __init__(self, lasting: int = LASTING) -> None:
        self._lasting = lasting
        self._buffers: deque[bytearray] = deque()
        self._buffer = bytearray()
        self._held = 0

    def feed(self, block: Block) -> Iterator[Block]:
        if not self._held and len(block) == BLOCK_SIZE:
            yield block
        else:
            yield from self._cut(memoryview(block))

    def _cut(self, view: memoryview) -> Iterator[Block]:
        while view:
            if not self._held and len(view) >= BLOCK_SIZE:
                yield view[:BLOCK_SIZE]
                view = view[BLOCK_SIZE:]
                continue
            view = self._gather(view)
            if self._held == BLOCK_SIZE:
                self._held = 0
                yield self._buffer
                self._buffers.append(self._buffer)
                self._buffer = self._buffers.popleft() if len(self._buffers) == self._lasting else bytearray()

    def _gather(self, view: memoryview) -> memoryview:
        if not self._buffer:
            self._buffer = bytearray(BLOCK_SIZE)
        taken = min(BLOCK_SIZE - self._held, len(view))
        self._buffer[self._held : self._held + taken] = view[:taken]
        self._held += taken
        return view[taken:]

    def rest(self) -> Iterator[Block]:
        if self._held:
            held, self._held = self._held, 0
            yield memoryview(self._buffer)[:held]
