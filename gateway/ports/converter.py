"""The port of what opens disk images as an emulator does: for a second opinion on them, and to write them anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What it makes of an image: `virtual_size` in bytes, `elsewhere` the other files its header names."""

    virtual_size: int
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What to make of the image at `source`, which is of `disk_format` without any doubt.

    The result is the one new file in the folder `into`, of `target` and of no more than `max_size` bytes.
    """

    source: Path
    disk_format: str
    target: str
    into: Path
    max_size: int
    compress: bool = False


class Converter(Protocol):
    """Synchronous, for worker threads. It never guesses a format, and opens no file but the one it is given.

    Both calls take a `check`, called several times a second, that may raise to end the work. They raise Unavailable
    `stage-unavailable` where the tool fails, ContentRefused `too-costly` or `unreadable` where the image makes it.
    """

    @property
    def version(self) -> str:
        """Its name and version."""
        ...

    @property
    def sees(self) -> frozenset[str]:
        """Disk formats by the Images API's names: those it has an opinion on."""
        ...

    @property
    def opens(self) -> frozenset[str]:
        """Those it converts from."""
        ...

    @property
    def makes(self) -> frozenset[str]:
        """Those it converts to."""
        ...

    @property
    def packs(self) -> frozenset[str]:
        """Those it can compress."""
        ...

    def look(self, image: Path, disk_format: str, *, check: Callable[[], None]) -> Opinion: ...

    def convert(self, work: Conversion, *, check: Callable[[], None], tell: Callable[[float], None]) -> Path:
        """`tell` hears what part is done, from 0 to 1. Raises OverLimit beyond `max_size`."""
        ...
