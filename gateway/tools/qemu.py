"""qemu-img in the sandbox: `gateway.ports.converter.Converter`. Drivers are always named; it never probes.

It must only be shown bytes the inspect stage has passed as that very format. Then there is one file it could open, and
in the sandbox there is no other.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.model.errors import ContentRefused, OverLimit
from gateway.ports.converter import Conversion, Opinion
from gateway.tools.running import unavailable
from gateway.tools.sandbox import OUT, Bounds, Ended, Sandbox

DRIVERS: Mapping[str, str] = {
    "qcow2": "qcow2",
    "raw": "raw",
    "gpt": "raw",
    "vmdk": "vmdk",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vdi": "vdi",
    "ploop": "parallels",
    "iso": "raw",
    "ami": "raw",
    "luks": "luks",
}
"""Disk formats by the Images API's names, and what qemu calls them."""

NO_DISKS = frozenset({"iso", "ami", "luks"})
"""Converted, they would be something else: a medium no firmware starts, a partition for a whole disk, noise."""

OPTIONS: Mapping[tuple[str, bool], tuple[str, ...]] = {
    ("qcow2", True): ("-c",),
    ("vmdk", False): ("-o", "subformat=monolithicSparse"),
    ("vmdk", True): ("-o", "subformat=streamOptimized"),
    ("vhd", False): ("-o", "subformat=dynamic,force_size=on"),
}
"""By target and whether to compress. A VHD has the exact size of its disk, not the next one of some geometry."""

IMAGE = "/in/image"
RESULT = "image"
VERSION = re.compile(r"version (\d+(?:\.\d+)*)")
PROGRESS = re.compile(rb"\((\d+\.\d+)/100%\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuImg:
    """`looking` bounds a second opinion, `converting` a conversion; both of them say nothing of the files' sizes."""

    sandbox: Sandbox = field(default_factory=Sandbox)
    program: str = "qemu-img"
    looking: Bounds = field(default_factory=Bounds)
    converting: Bounds = field(default_factory=lambda: Bounds(cpu=3600, wall=3600.0))
    version: str = "qemu-img"
    sees: frozenset[str] = frozenset(DRIVERS)
    opens: frozenset[str] = frozenset(DRIVERS) - NO_DISKS
    makes: frozenset[str] = frozenset(DRIVERS) - NO_DISKS - {"gpt", "ploop"}
    packs: frozenset[str] = frozenset({"qcow2", "vmdk"})

    def check(self) -> str:
        """Its name and version, as it is now. Raises Unavailable."""
        return set_up(self.sandbox, self.program, looking=self.looking, converting=self.converting).version

    def look(self, image: Path, disk_format: str, *, check: Callable[[], None]) -> Opinion:
        words = ("info", "-f", DRIVERS[disk_format], "--output=json", IMAGE)
        ended = self.sandbox.run(
            self.program, words, reads={IMAGE: image}, bounds=self.looking, watch=lambda piece: check()
        )
        if ended.code:
            raise _unreadable(disk_format, ended)
        return _opinion(ended.output)

    def convert(self, work: Conversion, *, check: Callable[[], None], tell: Callable[[float], None]) -> Path:
        def watch(piece: bytes) -> None:
            check()
            if found := PROGRESS.findall(piece):
                tell(min(float(found[-1]) / 100, 1.0))

        bounds = replace(self.converting, file=work.max_size)
        ended = self.sandbox.run(
            self.program, [*_words(work)], reads={IMAGE: work.source}, writes=work.into, bounds=bounds, watch=watch
        )
        if ended.outgrown:
            raise too_large(work.target, work.max_size)
        if ended.code:
            raise _unreadable(work.disk_format, ended)
        return _plain(work.into / RESULT)


def set_up(sandbox: Sandbox, program: str = "qemu-img", *, looking: Bounds, converting: Bounds) -> QemuImg:
    """The converter of this machine, tried out. Raises Unavailable, whose message says in one line what is missing."""
    ended = sandbox.run(program, ["--version"], bounds=looking)
    if ended.code:
        raise unavailable(f"{program} does not run ({ended.complaint})")
    found = VERSION.search(ended.output)
    version = f"qemu-img {found[1]}" if found else "qemu-img"
    return QemuImg(sandbox=sandbox, program=program, looking=looking, converting=converting, version=version)


def _plain(result: Path) -> Path:
    """Whoever had got hold of qemu-img could have left a link to anywhere."""
    try:
        regular = stat.S_ISREG(result.lstat().st_mode)
    except OSError as error:
        raise unavailable("qemu-img left no result") from error
    if not regular:
        raise unavailable("qemu-img left something that is no file")
    return result


def _words(work: Conversion) -> Iterator[str]:
    yield from ("convert", "-p", "-f", DRIVERS[work.disk_format], "-O", DRIVERS[work.target])
    yield from OPTIONS.get((work.target, work.compress), ())
    yield from (IMAGE, f"{OUT}/{RESULT}")


def _opinion(said: str) -> Opinion:
    try:
        found = json.loads(said)
        return Opinion(virtual_size=int(found["virtual-size"]), elsewhere=tuple(_elsewhere(found)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise unavailable(f"qemu-img gives no answer that can be read ({type(error).__name__})") from error


def _elsewhere(found: dict[str, Any]) -> Iterator[str]:
    """Every file but the image itself that its header names."""
    special = found.get("format-specific", {}).get("data", {})
    names = [found.get("backing-filename"), found.get("full-backing-filename"), special.get("data-file")]
    extents = [extent.get("filename") for extent in special.get("extents", [])]
    return (str(name) for name in [*names, *extents] if name and name != IMAGE)


def _unreadable(disk_format: str, ended: Ended) -> ContentRefused:
    return ContentRefused(
        f"qemu-img cannot read the image as {disk_format}: {ended.complaint}",
        remedy=f"Check the image: qemu-img check -f {DRIVERS[disk_format]} IMAGE; or write it anew.",
        code="unreadable",
    )


def too_large(target: str, max_size: int) -> OverLimit:
    return OverLimit(
        f"As {target} the image is larger than the {max_size} bytes it may have here.",
        remedy="Shrink the disk inside, or ask the operator for a higher limit.",
    )
