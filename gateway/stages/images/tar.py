"""A strict tar reader: POSIX.1-2001 ustar and GNU headers, regular files, and folders and long names where allowed.

It judges names and kinds, because whoever unpacks the archive later may write wherever they point. Refused: links,
devices, absolute names, names that climb, the same name twice, and anything behind the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.model.errors import ContentRefused
from gateway.stages.images.names import fault_of
from gateway.stages.images.subject import Subject
from gateway.stages.stage import Block, refused

RECORD = 512
MAX_MEMBERS = 10_000
MAX_PAX = 64 << 10
POSIX, GNU = b"ustar\x0000", b"ustar  \x00"
FILE, FOLDER, PAX = b"0", b"5", b"x"
_OCTAL = re.compile(rb" *([0-7]+)[ \x00]*")
_DULL_PAX = frozenset({"mtime", "atime", "ctime", "uid", "gid", "uname", "gname"})


@dataclass(frozen=True, slots=True)
class Member:
    """A header: what is called how, and how many bytes follow it."""

    name: str
    kind: bytes
    size: int

    @classmethod
    def parse(cls, header: bytes) -> Member:
        """Raises ValueError, read after 'has a member that'."""
        if header[257:265] not in (POSIX, GNU):
            raise ValueError("is not of the ustar format")
        if number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 32:
            raise ValueError("has a header whose checksum does not fit")
        prefix = text(header[345:500]) if header[257:265] == POSIX else ""
        name = text(header[:100])
        kind = header[156:157].replace(b"\x00", FILE)
        return cls(f"{prefix}/{name}" if prefix else name, kind, number(header[124:136]))


class Tar(Subject):
    """Gives each regular file to `opened`, `taken` (in runs of any length) and `closed`, in their order."""

    rich = False
    """Whether folders and long names are taken."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.names: set[str] = set()
        self._header = bytearray()
        self._member: Member | None = None
        self._left = self._padding = 0
        self._pax = bytearray()
        self._long_name: str | None = None
        self._ended = False

    def opened(self, member: Member) -> None: ...

    def taken(self, run: memoryview) -> None: ...

    def closed(self, member: Member) -> None: ...

    def see(self, block: Block) -> None:
        view = memoryview(block)
        while view:
            view = view[self._step(view) :]

    def _step(self, view: memoryview) -> int:
        """Use up the front of the run, and say how much of it."""
        if self._member is not None:
            return self._content(self._member, view[: self._left])
        if self._padding:
            skipped = min(self._padding, len(view))
            self._padding -= skipped
            return skipped
        run = view[: RECORD - len(self._header)]
        self._header += run
        if len(self._header) == RECORD:
            header = bytes(self._header)
            self._header.clear()
            self._record(header)
        return len(run)

    def _content(self, member: Member, run: memoryview) -> int:
        self._left -= len(run)
        if member.kind == PAX:
            self._pax += run
        else:
            self.taken(run)
        if not self._left:
            self._close(member)
        return len(run)

    def _record(self, header: bytes) -> None:
        if not any(header):
            self._ended = True
            return
        if self._ended:
            raise refused("trailing-bytes", f"The {self.title} goes on behind its end.", self.remedy)
        try:
            member = Member.parse(header)
        except ValueError as error:
            raise self.bad(f"has a member that {error}") from None
        self._open(member)

    def _open(self, member: Member) -> None:
        if member.kind == PAX and self.rich:
            self._check_pax(member)
        else:
            member = Member(self._long_name or member.name, member.kind, member.size)
            self._long_name = None
            self._check(member)
            if member.kind == FILE:
                self.opened(member)
        self._member, self._left, self._padding = member, member.size, -member.size % RECORD
        if not member.size:
            self._close(member)

    def _close(self, member: Member) -> None:
        self._member = None
        if member.kind == PAX:
            self._long_name = self._path_in(bytes(self._pax))
            self._pax.clear()
        elif member.kind == FILE:
            self.closed(member)

    def _check(self, member: Member) -> None:
        if member.kind not in ((FILE, FOLDER) if self.rich else (FILE,)):
            raise self.unsafe(f"'{member.name[:64]}' is {said(member.kind)}")
        if member.kind == FOLDER and member.size:
            raise self.bad(f"has a folder '{member.name[:64]}' with content")
        if fault := fault_of(member.name.removesuffix("/") if member.kind == FOLDER else member.name):
            raise self.unsafe(f"'{member.name[:64]}' {fault}")
        name = member.name.removesuffix("/").casefold()
        if name in self.names:
            raise self.unsafe(f"'{member.name[:64]}' is in it twice")
        self.names.add(name)
        if len(self.names) > MAX_MEMBERS:
            raise self.bad(f"has more than {MAX_MEMBERS} members")

    def _check_pax(self, member: Member) -> None:
        if not 0 < member.size <= MAX_PAX or self._long_name is not None:
            raise self.bad("has an extended header of an unusual length or place")

    def _path_in(self, run: bytes) -> str | None:
        fields = pax_fields(run)
        if fields is None or set(fields) - _DULL_PAX - {"path"}:
            raise self.bad("has an extended header that says more than times, owners and names")
        return fields.get("path")

    def end(self) -> None:
        if not self._ended or self._header or self._member:
            message = f"The {self.title} ends after {self.size} bytes, before its end."
            raise refused(
                "truncated", message, "Compare the file's size and digest with the original and send it again."
            )
        self.complete()

    def complete(self) -> None: ...

    @property
    def title(self) -> str:
        return "OVA" if self.kind == "ova" else "docker archive"

    remedy = "Pack it anew with the tool that made it, and nothing else in it."

    def bad(self, what: str) -> ContentRefused:
        return refused("bad-archive", f"The {self.title} {what}.", self.remedy)

    def unsafe(self, what: str) -> ContentRefused:
        return refused("unsafe-member", f"The {self.title} has an unsafe member: {what}.", self.remedy)

    def elsewhere(self, what: str) -> ContentRefused:
        return refused("data-file", f"The {self.title} {what}.", self.remedy)


def number(field: bytes) -> int:
    """Octal digits, or for large files GNU's base 256."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    found = _OCTAL.fullmatch(field)
    if not found:
        raise ValueError("has a number nobody can read")
    return int(found[1], 8)


def text(field: bytes) -> str:
    """Up to its first NUL; what follows has to be NULs, since some readers do not stop there."""
    word, _, rest = field.partition(b"\x00")
    if any(rest):
        raise ValueError("has a name that goes on behind its end")
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise ValueError("has a name that is not UTF-8") from None


def said(kind: bytes) -> str:
    return {b"1": "a hard link", b"2": "a link", b"3": "a device", b"4": "a device", FOLDER: "a folder"}.get(
        kind, f"of the kind {kind!r}, neither a file nor a folder"
    )


def pax_fields(run: bytes) -> dict[str, str] | None:
    """Lines of `length key=value`; None where they are no such lines, or say the same twice."""
    fields: dict[str, str] = {}
    while run:
        length = int(run[:8].split(b" ", 1)[0]) if run[:1].isdigit() else 0
        line, run = run[:length], run[length:]
        key, equals, value = line.partition(b" ")[2].partition(b"=")
        if not equals or not value.endswith(b"\n") or key.decode() in fields:
            return None
        fields[key.decode()] = value[:-1].decode()
    return fields
