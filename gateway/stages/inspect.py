"""The `inspect` stage: what the bytes are, whether that was declared, and whether it is safe to open.

Own readers judge first (gateway.stages.images), strictly; oslo.utils' inspectors give a second opinion from the same
blocks. Both must be content. What is certain after the first MiB is refused then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oslo_utils.imageutils.format_inspector import ALL_FORMATS, SafetyCheckFailed

from gateway.model.decision import StageCall
from gateway.model.errors import ContentRefused, Refusal
from gateway.stages.images.agreement import FOUND, PARTITIONS, Content, agree, named
from gateway.stages.images.magic import ARCHIVED, UNSUPPORTED, has_partitions, sniff, sniff_tail
from gateway.stages.images.plain import Iso, Luks, Raw
from gateway.stages.images.ploop import Ploop
from gateway.stages.images.qcow2 import Qcow2
from gateway.stages.images.reader import End, Options, Reader
from gateway.stages.images.vdi import Vdi
from gateway.stages.images.vhd import FixedVhd, Vhd
from gateway.stages.images.vhdx import Vhdx
from gateway.stages.images.vmdk import Vmdk
from gateway.stages.stage import Block, Brief, Seen, Stage, refused

READERS: Mapping[str, Callable[[Options], Reader]] = {
    "qcow2": Qcow2,
    "vmdk": Vmdk,
    "vhd": Vhd,
    "vhdx": Vhdx,
    "vdi": Vdi,
    "ploop": Ploop,
    "iso": Iso,
    "luks": Luks,
}
SECOND_OPINIONS = frozenset({"qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "luks"})
TAIL = 2048
"""How much of the end is kept: the longest footer is 1,536 bytes."""


class Inspect(Stage):
    """Options: those of the readers (`extended_l2`, `snapshots`: see gateway.stages.images.qcow2)."""

    options = frozenset({"extended_l2", "snapshots"})

    def __init__(self, call: StageCall, brief: Brief) -> None:
        super().__init__(call, brief)
        self._opened = "decompress" in brief.stages
        self._size = 0
        self._tail = b""
        self._wanted = bytearray()
        self._started = False

    def feed(self, block: Block) -> Iterator[Block]:
        if not self._started:
            self._judged(lambda: self._start(bytes(block)))
        self._judged(lambda: self._second_opinion_on(block))
        self._want(memoryview(block))
        self._size += len(block)
        self._tail = (self._tail + bytes(memoryview(block)[-TAIL:]))[-TAIL:]
        yield block

    def close(self, seen: Seen) -> None:
        if not self._started:
            self._judged(lambda: self._start(b""))
        self._judged(self._end)
        self.virtual_size = None if self.kind in ARCHIVED else self._reader.virtual_size
        self.disk_format = None if self.kind in ARCHIVED else self.kind
        self.findings += self._reader.findings
        self._note_what_was_found()

    def _judged(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Refusal:
            raise
        except Exception as error:  # bytes that confuse a parser are hostile until somebody proves otherwise
            raise refused(
                "bad-header",
                f"The image cannot be understood ({type(error).__name__}), so it cannot be shown to be safe.",
                "Check the image with 'qemu-img check', or write it anew: qemu-img convert -O qcow2 IN out.qcow2",
            ) from error

    def _start(self, head: bytes) -> None:
        self._started = True
        self.kind = the_one(sniff(head))
        self._partitioned = self.kind == "raw" and has_partitions(head)
        if self.kind != "raw" or self.brief.declared.disk_format != "vhd":
            self._agree()
        self._reader = READERS.get(self.kind, Raw)(self.call.as_mapping())
        self._reader.start(head)
        self._oslo: Any = ALL_FORMATS[self.kind]() if self.kind in SECOND_OPINIONS else None

    def _agree(self) -> None:
        agree(Content(kind=self.kind, partitioned=self._partitioned, opened=self._opened), self.brief.declared)

    def _second_opinion_on(self, block: Block) -> None:
        # The VHDX inspector asks for more after it was complete once; the others know what they want by then.
        if self._oslo and (self.kind == "vhdx" or not self._oslo.complete):
            self._oslo.eat_chunk(block)

    def _want(self, block: memoryview) -> None:
        """Gather the run the reader asked for, wherever the blocks cut it."""
        if self._reader.wants:
            at, length = self._reader.wants
            start = max(at + len(self._wanted) - self._size, 0)
            self._wanted += block[start : max(at + length - self._size, start)]

    def _end(self) -> None:
        if tail := sniff_tail(self._tail) - {self.kind}:
            self.kind = the_one(tail if self.kind == "raw" else tail | {self.kind})
            self._reader = FixedVhd(self.call.as_mapping())
            self._partitioned = False
        self._agree()
        self._reader.finish(End(self._size, self._tail, bytes(self._wanted)))
        if self._oslo:
            self._hear_second_opinion()

    def _hear_second_opinion(self) -> None:
        self._oslo.finish()
        try:
            self._oslo.safety_check()
        except SafetyCheckFailed as failed:
            # The library refuses extended L2 entries as unknown; our reader has looked at every other feature bit.
            allowed = {"unknown_features"} if self.call.as_mapping().get("extended_l2") else set()
            if failures := sorted(set(failed.failures) - allowed):
                raise unsafe(self.kind, failures) from failed

    def _note_what_was_found(self) -> None:
        if self.kind in ARCHIVED:
            self.note(FOUND + self.kind, f"The bytes are {named(self.kind)}; the disk inside was not looked at.")
        if self._partitioned:
            self.note(FOUND + PARTITIONS, "The disk begins with a partition table.")


def unsafe(kind: str, failures: list[str]) -> ContentRefused:
    return refused(
        "unsafe",
        f"A second inspector finds the {kind} image unsafe: {', '.join(failures)}.",
        "Write the image anew, naming its format: qemu-img convert -f FORMAT -O qcow2 IN out.qcow2",
    )


def the_one(kinds: frozenset[str]) -> str:
    """The one format the bytes can be taken for. Raises ContentRefused `polyglot`, `unsupported-format`."""
    if len(kinds) > 1:
        raise refused(
            "polyglot",
            f"The bytes can be taken for {len(kinds)} formats at once: {', '.join(sorted(kinds))}.",
            "Write the image anew, naming its format: qemu-img convert -f FORMAT -O qcow2 IN out.qcow2",
        )
    kind = next(iter(kinds), "raw")
    if kind == "vmdk-descriptor":
        raise refused(
            "data-file",
            "The bytes are only the descriptor of a vmdk image; its content is in other files.",
            "Make it one file: qemu-img convert -O vmdk -o subformat=streamOptimized in.vmdk out.vmdk",
        )
    if kind in UNSUPPORTED:
        raise refused(
            "unsupported-format",
            f"The bytes are {named(kind)}, a format no cloud should open.",
            "Convert the image where you trust it: qemu-img convert -O qcow2 IN out.qcow2; then import the result.",
        )
    return kind
