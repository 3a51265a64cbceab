"""Names of archive members. Whoever unpacks an archive writes where they point, so they may only point down."""

from __future__ import annotations


def fault_of(name: str) -> str | None:
    """What is wrong with a name, to be read behind it."""
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "is absolute"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has steps that lead nowhere or upwards"
    if "\\" in name or any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "holds a backslash or a control character"
    return None
