"""Checksum files as publishers put them beside their downloads: SHA256SUMS and its like, read strictly.

Two notations are known, that of GNU coreutils (`DIGEST  NAME`, `DIGEST *NAME`) and that of BSD (`SHA256 (NAME) =
DIGEST`). Whatever else stands in a file makes it unreadable: a reader that skips what it does not understand can be led
to skip the line that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.errors import ContentRefused
from gateway.stages.algorithms import SIZES
from gateway.stages.cleartext import content

MAX_SIZE = 1 << 20
"""Bytes of a checksum file, and of a signature beside it."""

_GNU = re.compile(r"(?P<digest>[0-9a-fA-F]{32,128}) [ *](?:\./)?(?P<name>.+)")
_BSD = re.compile(r"(?P<algorithm>[A-Z0-9]{3,6}) \((?:\./)?(?P<name>.+)\) = (?P<digest>[0-9a-fA-F]{32,128})")
_BY_SIZE = {size: name for name, size in SIZES.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `algorithm` by its hashlib name, `digest` in lower case."""

    name: str
    algorithm: str
    digest: str


def find(text: bytes, name: str) -> Line:
    """The one line for the file `name`, in a plain or a cleartext-signed file.

    Raises ContentRefused: `sums-unreadable`, `sums-no-line`, `sums-two-lines`.
    """
    found = [line for line in lines(content(text)) if line.name == name]
    if not found:
        raise ContentRefused(
            f"The checksum file has no line for {name}.",
            remedy="Name the checksum file that stands beside this very image.",
            code="sums-no-line",
        )
    if len(found) > 1:
        raise ContentRefused(
            f"The checksum file has {len(found)} lines for {name}, and must have one.",
            remedy="Give the digest itself as an image property instead: import_expected_sha256.",
            code="sums-two-lines",
        )
    return found[0]


def lines(text: bytes) -> Iterator[Line]:
    """Blank lines and comments (`#`) are left out. Raises ContentRefused `sums-unreadable`."""
    try:
        written = text.decode("utf-8")
    except UnicodeDecodeError:
        raise _unreadable(0) from None
    for number, ended in enumerate(written.split("\n"), 1):
        line = ended.removesuffix("\r")
        if line.strip() and not line.startswith("#"):
            yield _line(line, number)


def _line(line: str, number: int) -> Line:
    match = _GNU.fullmatch(line) or _BSD.fullmatch(line)
    if match is None or not match["name"].isprintable():
        raise _unreadable(number)
    algorithm = _BY_SIZE.get(len(match["digest"]))
    named = match.groupdict().get("algorithm")
    if algorithm is None or named not in (None, algorithm.upper()):
        raise _unreadable(number)
    return Line(match["name"], algorithm, match["digest"].lower())


def _unreadable(number: int) -> ContentRefused:
    where = f" at line {number}" if number else ""
    return ContentRefused(
        f"The checksum file cannot be read{where}: it is neither GNU's nor BSD's notation.",
        remedy="Name the publisher's checksum file itself, not a page about it; each line is 'DIGEST  NAME' or"
        " 'SHA256 (NAME) = DIGEST'.",
        code="sums-unreadable",
    )
