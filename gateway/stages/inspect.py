"""The `inspect` stage: what the bytes are, whether that was declared, and whether it is safe to open.

Containers are looked into: the disks of an OVA, the layers of a docker archive, the disk in a compressed stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.model.decision import StageCall
from gateway.model.errors import Refusal
from gateway.stages.images.agreement import FOUND, KEPT_COMPRESSED, PARTITIONS, Content, agree, agree_whole, named
from gateway.stages.images.disk import Disk, kind_of
from gateway.stages.images.docker import Docker
from gateway.stages.images.magic import ARCHIVED, COMPRESSED
from gateway.stages.images.ova import Ova
from gateway.stages.images.partitions import content, table
from gateway.stages.images.subject import Subject
from gateway.stages.packed import Packed
from gateway.stages.stage import Block, Brief, Seen, Stage, refused


class Inspect(Stage):
    """Options: those of the readers (`extended_l2`, `snapshots`: see gateway.stages.images.qcow2)."""

    options = frozenset({"extended_l2", "snapshots", "second_opinion"})

    def __init__(self, call: StageCall, brief: Brief) -> None:
        super().__init__(call, brief)
        self._opened = "decompress" in brief.stages
        self._subject: Subject | None = None

    def feed(self, block: Block) -> Iterator[Block]:
        self._judged(lambda: self._see(block))
        yield block

    def close(self, seen: Seen) -> None:
        self._judged(self._end)

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

    def _see(self, block: Block) -> None:
        subject = self._subject or self._begin(bytes(block))
        subject.feed(block)

    def _begin(self, head: bytes) -> Subject:
        subject = self._chosen(kind_of(head), head)
        if subject.kind != "raw" or self.brief.declared.disk_format != "vhd":  # a fixed one signs at its end
            agree(self._content(subject), self.brief.declared)
        subject.start()
        self._note_hints(subject, head)
        self._subject = subject
        return subject

    def _chosen(self, kind: str, head: bytes) -> Subject:
        declared, options = self.brief.declared, self.call.as_mapping()
        if kind == "tar":
            ova = declared.container_format == "ova" or head[:100].rstrip(b"\x00").lower().endswith(b".ovf")
            return Ova(options) if ova and declared.container_format != "docker" else Docker()
        if kind in COMPRESSED and declared.container_format == "compressed" and not self._opened:
            looked = declared.disk_format not in KEPT_COMPRESSED
            return Packed(kind, options, self.brief) if looked else Subject(kind)
        return Subject(kind) if kind in ARCHIVED else Disk(kind, options, head)

    def _content(self, subject: Subject) -> Content:
        return Content(kind=subject.kind, inside=subject.inside, partitioned=subject.partitioned, opened=self._opened)

    def _end(self) -> None:
        subject = self._subject or self._begin(b"")
        subject.finish()
        agree_whole(self._content(subject), self.brief.declared)
        archived = subject.kind in ARCHIVED
        self.disk_format = subject.inside if archived else subject.kind
        self.virtual_size = subject.virtual_size
        self.findings += subject.findings
        if archived:
            self.note(FOUND + subject.kind, f"The bytes are {named(subject.kind)}{inside(subject)}.")
        if subject.partitioned:
            self.note(FOUND + PARTITIONS, "The disk begins with a partition table.")

    def _note_hints(self, subject: Subject, head: bytes) -> None:
        """What an operator may want to know; nothing is decided by it."""
        if subject.partitioned:
            self.note("partition-table", f"The disk has {table(head)}.")
        elif subject.kind == "raw" and (name := content(head)):
            self.note("content", f"The bytes begin with {name}.")


def inside(subject: Subject) -> str:
    if subject.inside is None:
        return "" if subject.kind == "docker" else "; what is inside was not looked at"
    return f" with {'a plain disk' if subject.inside == 'raw' else subject.inside} inside"
