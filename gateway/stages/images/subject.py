"""What is under examination: a disk, an archive of disks, or a packed one."""

from __future__ import annotations

from gateway.model.verdict import Finding
from gateway.stages.images.magic import sniff_tail
from gateway.stages.stage import Block

TAIL = 2048
"""How much of the end is kept: the longest footer is 1,536 bytes."""


class Subject:
    """`start` once its kind was agreed to, `feed` every block, `finish`; all raise ContentRefused.

    `kind` is what the bytes are, `inside` what is in them where they are an archive or packed and somebody looked.
    `virtual_size` (bytes) and `findings` are known at the end.
    """

    inside: str | None = None
    virtual_size: int | None = None
    partitioned = False

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.size = 0
        self.tail = b""
        self.findings: list[Finding] = []

    def feed(self, block: Block) -> None:
        self.see(block)
        self.size += len(block)
        self.tail = (self.tail + bytes(memoryview(block)[-TAIL:]))[-TAIL:]

    def finish(self) -> None:
        if extra := sniff_tail(self.tail) - {self.kind}:
            self.signed_at_the_end(extra)
        self.end()

    def start(self) -> None: ...

    def see(self, block: Block) -> None: ...

    def signed_at_the_end(self, kinds: frozenset[str]) -> None: ...

    def end(self) -> None: ...

    def note(self, code: str, message: str) -> None:
        self.findings.append(Finding(code=code, message=message, fatal=False))
