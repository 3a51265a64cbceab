"""The disk in a compressed stream that stays compressed: unpacked to be judged, and dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.model.decision import StageCall
from gateway.stages.cutter import Cutter
from gateway.stages.decompress import Decompress
from gateway.stages.images.disk import Disk, kind_of
from gateway.stages.images.magic import ARCHIVED
from gateway.stages.images.reader import Options
from gateway.stages.images.subject import Subject
from gateway.stages.stage import Block, Brief, Declared, refused


class Packed(Subject):
    """Whoever reads the image unpacks it first and opens what comes out, so that is what has to be safe.

    The caps are those of the decompress stage, since a reader pays for the same bytes.
    """

    def __init__(self, kind: str, options: Options, brief: Brief) -> None:
        super().__init__(kind)
        self._options = options
        self._unpacking = Decompress(StageCall("decompress"), replace(brief, declared=Declared(None, "compressed")))
        self._cutter = Cutter()
        self._disk: Disk | None = None

    def see(self, block: Block) -> None:
        self._take(self._unpacking.feed(block))

    def end(self) -> None:
        self._take(self._unpacking.finish())
        for block in self._cutter.rest():
            self._judge(block)
        disk = self._disk or self._begin(b"")
        disk.finish()
        self.inside, self.virtual_size = disk.kind, disk.virtual_size
        self.partitioned = disk.partitioned
        self.findings += disk.findings

    def _take(self, pieces: Iterator[Block]) -> None:
        for piece in pieces:
            for block in self._cutter.feed(piece):
                self._judge(block)

    def _judge(self, block: Block) -> None:
        (self._disk or self._begin(bytes(block))).feed(block)

    def _begin(self, head: bytes) -> Disk:
        kind = kind_of(head)
        if kind in ARCHIVED:
            raise refused(
                "format-mismatch",
                f"There is '{kind}' in the compressed image, where a disk should be.",
                "Compress the disk image itself, once.",
            )
        self._disk = Disk(kind, self._options, head)
        self._disk.start()
        return self._disk
