"""One byte range of a download (RFC 9110, 14). Several at once are refused, as the Images API does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.model.errors import BadRequest, RangeNotSatisfiable

_RANGE = re.compile(r"\s*(\d{0,19})\s*-\s*(\d{0,19})\s*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to and without `stop` of `size`; never empty."""

    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def requested_range(headers: Mapping[str, str], size: int, etag: str | None = None) -> ByteRange | None:
    """The range asked for of `size` bytes, or None for the whole (200).

    Other units are ignored; an If-Range that does not name `etag` asks for the whole. Raises BadRequest for several
    ranges, RangeNotSatisfiable (416) for one that is malformed or outside.
    """
    unit, _, wanted = headers.get("range", "").partition("=")
    if unit.strip().lower() != "bytes" or headers.get("if-range", etag) != etag:
        return None
    if "," in wanted:
        raise BadRequest("Only one range can be asked for at a time.", remedy="Send one request a range.")
    found = _RANGE.match(wanted)
    first, last = found.groups() if found else ("", "")
    if not first:
        return _checked(max(0, size - int(last or "0")), size, size)
    return _checked(int(first), min(int(last) + 1 if last else size, size), size)


def _checked(start: int, stop: int, size: int) -> ByteRange:
    if start >= stop:
        raise RangeNotSatisfiable(
            f"The range is malformed or outside of the image's {size} bytes.",
            size=size,
            remedy="Ask for bytes=FIRST-LAST within it.",
        )
    return ByteRange(start, stop, size)
