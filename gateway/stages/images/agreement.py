"""Whether what an image record declares is what the bytes are; asked of a stream, and again of a kept verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.errors import ContentRefused
from gateway.model.verdict import StageReport, Verdict
from gateway.stages.images.magic import ARCHIVED, COMPRESSED
from gateway.stages.stage import Declared, refused

FOUND = "found-"
"""Prefix of the finding codes that say what content is where it is no disk format: `found-tar`, `found-partitions`."""

PARTITIONS = "partitions"
BOOT_FILES = frozenset({"raw"}) | COMPRESSED
"""Kernels and ramdisks are usually compressed, and are meant to be."""

ACCEPTED = {
    "ami": frozenset({"raw"}),
    "aki": BOOT_FILES,
    "ari": BOOT_FILES,
}
ARCHIVES = {"ova": frozenset({"tar"}), "docker": frozenset({"tar"}), "compressed": COMPRESSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the bytes are: the one format they can be taken for, and what is known beside it.

    `opened` means a decompress stage took the outside off, so a container of `compressed` speaks of what was.
    """

    kind: str
    partitioned: bool = False
    opened: bool = False


def agree(content: Content, declared: Declared) -> None:
    """Raises ContentRefused `format-mismatch`. What is not declared yet cannot be wrong."""
    archives = ARCHIVES.get(declared.container_format or "")
    if archives and not (content.opened and declared.container_format == "compressed"):
        if content.kind not in archives:
            raise wrong_container(content.kind, str(declared.container_format))
        return
    if content.kind in ARCHIVED and declared.container_format is None:
        return
    if declared.disk_format is not None and not is_accepted(content, declared.disk_format):
        raise wrong_disk(content, declared.disk_format)


def is_accepted(content: Content, disk_format: str) -> bool:
    if disk_format == "gpt":
        return content.kind == "raw" and content.partitioned
    return content.kind in ACCEPTED.get(disk_format, frozenset({disk_format}))


def wrong_container(kind: str, container: str) -> ContentRefused:
    return refused(
        "format-mismatch",
        f"The container is declared '{container}', but the bytes are {named(kind)}.",
        "Declare container_format bare for a plain disk image, or send the archive itself.",
    )


def wrong_disk(content: Content, disk_format: str) -> ContentRefused:
    return refused(
        "format-mismatch",
        f"The image is declared '{disk_format}', but the bytes are {named(content.kind)}.",
        remedy(content.kind, disk_format),
    )


def named(kind: str) -> str:
    return "of no known format (raw)" if kind == "raw" else f"'{kind}'"


def remedy(kind: str, disk_format: str) -> str:
    if kind == "raw":
        return (
            f"Check that this is the image itself and not a web page or a part of it; declare disk_format raw if it is "
            f"a plain disk, or convert it: qemu-img convert -f raw -O {disk_format} IN OUT"
        )
    if kind in COMPRESSED:
        return "Decompress the image and import the result, or declare container_format compressed."
    if kind in ARCHIVED:
        return "Unpack the archive and import the disk image in it."
    return f"Create the image with disk_format {kind}, or convert it: qemu-img convert -O {disk_format} IN OUT"


def match(verdict: Verdict, declared: Declared) -> None:
    """Hold a kept verdict against formats that were declared after it.

    Raises the ContentRefused the stream would have raised. Where no inspect stage ran there is nothing to hold.
    """
    kind = verdict.disk_format or next((code for code in found(verdict, "inspect") if code != PARTITIONS), None)
    if kind is not None:
        partitioned = PARTITIONS in found(verdict, "inspect")
        opened = "decompressed" in {finding.code for report in of(verdict, "decompress") for finding in report.findings}
        agree(Content(kind=kind, partitioned=partitioned, opened=opened), declared)


def of(verdict: Verdict, stage: str) -> Iterator[StageReport]:
    return (report for report in verdict.reports if report.name == stage)


def found(verdict: Verdict, stage: str) -> list[str]:
    codes = [finding.code for report in of(verdict, stage) for finding in report.findings]
    return [code.removeprefix(FOUND) for code in codes if code.startswith(FOUND)]
