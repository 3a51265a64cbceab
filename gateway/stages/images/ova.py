"""An OVA, by DSP0243: a tar whose first member is the one OVF descriptor; disks are judged like disks on their own.

The descriptor names files, so it is read too: nothing it speaks of may be outside of the archive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.parsers import expat

from gateway.model.errors import ContentRefused
from gateway.stages.cutter import Cutter
from gateway.stages.images.disk import Disk, kind_of
from gateway.stages.images.magic import ARCHIVED
from gateway.stages.images.reader import Options
from gateway.stages.images.tar import Member, Tar
from gateway.stages.stage import Block, refused

MAX_TEXT = 4 << 20
MAX_NVRAM = 1 << 20
NOT_OVA = "Pack the .ovf file first, or unpack the archive and import the disk image in it."
TEXTS = (".mf", ".cert", ".msg", ".strings")


@dataclass(slots=True)
class Envelope:
    """What matters of an OVF descriptor: its root, the files it refers to, and its first fault (code, words)."""

    root: str = ""
    files: list[str] = field(default_factory=list)
    fault: tuple[str, str] | None = None

    @classmethod
    def parse(cls, run: bytes) -> Envelope:
        """Raises expat.ExpatError, ValueError. A document type is refused before anything in it is expanded."""
        found = cls()
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = found.element
        parser.StartDoctypeDeclHandler = no_document_type
        parser.Parse(run, True)
        return found

    def element(self, name: str, attributes: dict[str, str]) -> None:
        name = local(name)
        values = {local(key): value for key, value in attributes.items()}
        self.root = self.root or name
        if name == "File":
            self._file(values)
        elif name == "Disk" and "parentRef" in values:
            self.fault = self.fault or ("backing-file", "has a disk that is based on another one")

    def _file(self, values: dict[str, str]) -> None:
        self.files.append(values.get("href", ""))
        if "chunkSize" in values:
            self.fault = self.fault or ("data-file", "has a file in pieces")
        if values.get("compression", "identity") not in ("", "identity"):
            self.fault = self.fault or ("unsupported-compression", "has a file that is packed on its own")


class Ova(Tar):
    def __init__(self, options: Options) -> None:
        super().__init__("ova")
        self._options = options
        self._sink: _Text | _Disk | None = None
        self._envelope: Envelope | None = None
        self._kinds: dict[str, int] = {}
        self.virtual_size = 0

    def opened(self, member: Member) -> None:
        name = member.name.casefold()
        if "/" in name:
            raise self.unsafe(f"'{member.name[:64]}' is in a folder")
        first = len(self.names) == 1
        if first and not name.endswith(".ovf"):
            raise refused(
                "format-mismatch", "The archive does not begin with an OVF descriptor: it is no OVA.", NOT_OVA
            )
        if name.endswith(".ovf") and not first:
            raise self.bad("has a second descriptor")
        text = name.endswith((".ovf", *TEXTS))
        limit = MAX_TEXT if text else MAX_NVRAM if name.endswith(".nvram") else member.size
        if member.size > limit:
            raise self.bad(f"has a member '{member.name[:64]}' of {member.size} bytes")
        self._sink = _Text() if text else _Disk(self._disk)

    def _disk(self, head: bytes) -> Disk:
        kind = kind_of(head)
        if kind in ARCHIVED:
            raise self.bad(f"has a member that is '{kind}' where a disk should be")
        disk = Disk(kind, self._options, head)
        disk.start()
        return disk

    def taken(self, run: memoryview) -> None:
        if self._sink:
            self._sink.take(run)

    def closed(self, member: Member) -> None:
        if isinstance(self._sink, _Text):
            self._text(member, bytes(self._sink.run))
        elif self._sink:
            self._judged(member, self._sink.done())
        self._sink = None

    def _text(self, member: Member, run: bytes) -> None:
        if member.name.casefold().endswith(".ovf"):
            try:
                self._envelope = Envelope.parse(run)
            except (expat.ExpatError, ValueError) as error:
                raise self.bad(f"has a descriptor nobody can read ({error})") from error
        elif b"\x00" in run:
            raise self.bad(f"has a member '{member.name[:64]}' that is no text")

    def _judged(self, member: Member, disk: Disk) -> None:
        self.findings += disk.findings
        if member.name.casefold().endswith(".nvram"):
            if disk.kind != "raw":
                raise self.bad(f"has a member '{member.name[:64]}' that is '{disk.kind}'")
            return
        self._kinds[disk.kind] = self._kinds.get(disk.kind, 0) + 1
        self.virtual_size = (self.virtual_size or 0) + (disk.virtual_size or 0)

    def complete(self) -> None:
        self._check_envelope()
        disks = set(self._kinds) - {"iso"} or set(self._kinds)
        if len(disks) != 1:
            raise self.bad(f"has disks of {len(disks)} formats, where one is wanted")
        self.inside = disks.pop()
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(self._kinds.items()))
        self.note("disks", f"The disks in the OVA: {counted}.")

    def _check_envelope(self) -> None:
        envelope = self._envelope
        if envelope is None or envelope.root != "Envelope":
            raise self.bad("has a descriptor that is no OVF envelope")
        if envelope.fault:
            raise self._fault(*envelope.fault)
        for name in envelope.files:
            if not {name.casefold(), unquote(name).casefold()} & self.names:  # some exporters write a URI
                raise self.elsewhere(f"speaks of the file '{name[:64]}', which is not in it")

    def _fault(self, code: str, what: str) -> ContentRefused:
        return refused(code, f"The {self.title} {what}.", "Export the machine anew as one OVA, with whole disks in it.")


class _Text:
    def __init__(self) -> None:
        self.run = bytearray()

    def take(self, run: memoryview) -> None:
        self.run += run


class _Disk:
    """A member on the grid of its own blocks, whatever the archive's were."""

    def __init__(self, make: Callable[[bytes], Disk]) -> None:
        self._make = make
        self._cutter = Cutter()
        self._disk: Disk | None = None

    def take(self, run: memoryview) -> None:
        for block in self._cutter.feed(run):
            self._feed(block)

    def done(self) -> Disk:
        for block in self._cutter.rest():
            self._feed(block)
        disk = self._disk or self._make(b"")
        disk.finish()
        return disk

    def _feed(self, block: Block) -> None:
        if self._disk is None:
            self._disk = self._make(bytes(block))
        self._disk.feed(block)


def local(name: str) -> str:
    """An element's or attribute's name without its namespace."""
    return name.rpartition(" ")[2]


def no_document_type(*_: object) -> None:
    raise ValueError("it brings a document type of its own")
