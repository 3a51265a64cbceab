"""A second opinion, beside the verdict of the inspect stage: both must see the same disk."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.errors import ContentRefused
from gateway.model.verdict import Verdict
from gateway.stages.images.agreement import PARTITIONS, found
from gateway.stages.stage import refused

SECTOR = 512


def disk_of(verdict: Verdict) -> str | None:
    """The disk format of the bytes themselves; None for archives and packed streams, whatever disk is inside."""
    outside = [code for code in found(verdict, "inspect") if code != PARTITIONS]
    return None if outside else verdict.disk_format


def hold(verdict: Verdict, virtual_size: int, elsewhere: Sequence[str], tool: str) -> None:
    """Raises ContentRefused `second-opinion`. Emulators count in whole sectors."""
    if elsewhere:
        raise _differing(tool, f"finds the name of another file in it ({elsewhere[0][:200]!r})")
    if verdict.virtual_size is not None and -(-verdict.virtual_size // SECTOR) * SECTOR != virtual_size:
        raise _differing(tool, f"sees a disk of {virtual_size} bytes, not of {verdict.virtual_size}")


def _differing(tool: str, what: str) -> ContentRefused:
    return refused(
        "second-opinion",
        f"Two readers of the image differ: {tool} {what}.",
        "Write the image anew, naming its format: qemu-img convert -f FORMAT -O qcow2 IN out.qcow2",
    )
