"""Sizes and times as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5}
_SIZE = re.compile(r"([0-9]{1,18})(B|KiB|MiB|GiB|TiB|PiB)")
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_LONGEST_OPENING = 30 * 86400
MAX_SIZE = (1 << 63) - 1


def parse_size(text: str) -> int:
    """Bytes of a size such as `20GiB` (binary units, whole numbers). Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 20GiB")
    size = int(match[1]) << (10 * _UNITS[match[2]])
    if size > MAX_SIZE:
        raise ValueError(f"{text!r} is more than 64 bits hold")
    return size


def format_size(size: int) -> str:
    """The shortest exact spelling that `parse_size` reads back."""
    for unit, power in reversed(_UNITS.items()):
        if size and size % (1 << (10 * power)) == 0:
            return f"{size >> (10 * power)}{unit}"
    return f"{size}B"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as aware UTC. Raises ValueError."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    return datetime.fromisoformat(text).astimezone(UTC)


def parse_duration(text: str) -> int:
    """Seconds of a duration such as `90s`, `15m`, `24h` or `7d`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write it like 24h")
    return int(match[1]) * _SECONDS[match[2]]


def opening_seconds(text: str) -> int:
    """Seconds a break-glass rule may be open: as `parse_duration`, of at least one and at most 30 days.

    Raises ValueError: what lasts longer is no emergency, it is an exemption.
    """
    seconds = parse_duration(text)
    if not 0 < seconds <= _LONGEST_OPENING:
        raise ValueError(f"{text!r} is not between 1s and 30d")
    return seconds
