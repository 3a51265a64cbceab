"""One disk under examination, whether it is the whole stream or a member of an archive.

Own readers judge first, strictly; oslo.utils' inspectors give a second opinion from the same blocks. Both must be
content. What is certain after the first MiB is refused then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oslo_utils.imageutils.format_inspector import ALL_FORMATS, SafetyCheckFailed

from gateway.model.errors import ContentRefused
from gateway.stages.images.agreement import named
from gateway.stages.images.magic import UNSUPPORTED, sniff
from gateway.stages.images.partitions import has_partitions
from gateway.stages.images.plain import Iso, Luks, Raw
from gateway.stages.images.ploop import Ploop
from gateway.stages.images.qcow2 import Qcow2
from gateway.stages.images.reader import End, Options, Reader
from gateway.stages.images.subject import Subject
from gateway.stages.images.vdi import Vdi
from gateway.stages.images.vhd import FixedVhd, Vhd
from gateway.stages.images.vhdx import Vhdx
from gateway.stages.images.vmdk import Vmdk
from gateway.stages.stage import Block, refused

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


class Disk(Subject):
    """Made of the first block, which it is fed again like all others; blocks have to be on the grid of 1 MiB."""

    def __init__(self, kind: str, options: Options, head: bytes) -> None:
        super().__init__(kind)
        self._options = options
        self._wanted = bytearray()
        self.partitioned = kind == "raw" and has_partitions(head)
        self._reader = READERS.get(kind, Raw)(options)
        self._oslo: Any = ALL_FORMATS[kind]() if kind in SECOND_OPINIONS else None
        self._head = head

    def start(self) -> None:
        self._reader.start(self._head)
        self._head = b""

    def see(self, block: Block) -> None:
        # The VHDX inspector asks for more after it was complete once; the others know what they want by then.
        if self._oslo and (self.kind == "vhdx" or not self._oslo.complete):
            self._oslo.eat_chunk(block)
        if self._reader.wants:
            self._want(memoryview(block), *self._reader.wants)

    def _want(self, block: memoryview, at: int, length: int) -> None:
        """Gather the run the reader asked for, wherever the blocks cut it."""
        start = max(at + len(self._wanted) - self.size, 0)
        self._wanted += block[start : max(at + length - self.size, start)]

    def signed_at_the_end(self, kinds: frozenset[str]) -> None:
        self.kind = the_one(kinds if self.kind == "raw" else kinds | {self.kind})
        self._reader = FixedVhd(self._options)
        self.partitioned = False

    def end(self) -> None:
        self._reader.finish(End(self.size, self.tail, bytes(self._wanted)))
        if self._oslo:
            self._hear_second_opinion()
        self.virtual_size = self._reader.virtual_size
        self.findings += self._reader.findings

    def _hear_second_opinion(self) -> None:
        self._oslo.finish()
        try:
            self._oslo.safety_check()
        except SafetyCheckFailed as failed:
            # The library refuses extended L2 entries as unknown; our reader has looked at every other feature bit.
            allowed = {"unknown_features"} if self._options.get("extended_l2") else set()
            if failures := sorted(set(failed.failures) - allowed):
                raise unsafe(self.kind, failures) from failed


def kind_of(head: bytes) -> str:
    """Raises ContentRefused `polyglot`, `unsupported-format`, `data-file`."""
    return the_one(sniff(head))


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
