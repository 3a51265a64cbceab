"""Whether what an image record declares is what the bytes are; asked of a stream, and again of a kept verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.errors import ContentRefused
from gateway.model.verdict import StageReport, Verdict
from gateway.stages.images.magic import ARCHIVED, COMPRESSED
from gateway.stages.stage import Declared, refused

FOUND = "found-"
"""Prefix of the finding codes that say what content is where it is no disk format: `found-ova`, `found-partitions`."""

PARTITIONS = "partitions"
DECOMPRESSED = "decompressed"
"""The finding of a decompress stage that took something off."""

KEPT_COMPRESSED = frozenset({"aki", "ari"})
"""Kernels and ramdisks are usually compressed, and are meant to be."""

BOOT_FILES = frozenset({"raw"}) | COMPRESSED
ACCEPTED = {
    "ami": frozenset({"raw"}),
    "aki": BOOT_FILES,
    "ari": BOOT_FILES,
}
ARCHIVES = {"ova": frozenset({"ova"}), "docker": frozenset({"docker"}), "compressed": COMPRESSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the bytes are: the one format they can be taken for, and what is known beside it.

    `inside` is the disk in an archive or a packed stream, None where nobody has looked (yet). `opened` means a
    decompress stage took the outside off, so a container of `compressed` speaks of what was.
    """

    kind: str
    inside: str | None = None
    partitioned: bool = False
    opened: bool = False


def agree(content: Content, declared: Declared) -> None:
    """Raises ContentRefused `format-mismatch`. What is not declared yet cannot be wrong."""
    archives = ARCHIVES.get(declared.container_format or "")
    if archives and not (content.opened and declared.container_format == "compressed"):
        if content.kind not in archives:
            raise wrong_container(content.kind, str(declared.container_format))
        boots = content.kind in COMPRESSED and declared.disk_format in KEPT_COMPRESSED
        kind = content.kind if boots else "raw" if content.kind == "docker" else content.inside
    elif content.kind in ARCHIVED and declared.container_format is None:
        kind = content.inside
    else:
        kind = content.kind
    if None not in (kind, declared.disk_format) and not is_accepted(content, str(kind), str(declared.disk_format)):
        raise wrong_disk(str(kind), str(declared.disk_format))


def agree_whole(content: Content, declared: Declared) -> None:
    """The same once all bytes were judged: a packed disk has to have been looked at by then."""
    agree(content, declared)
    packed = declared.container_format == "compressed" and content.kind in COMPRESSED and not content.opened
    if packed and content.inside is None and declared.disk_format not in KEPT_COMPRESSED:
        raise refused(
            "not-inspected",
            "The disk in the compressed image was not looked at, because the container was not declared then.",
            "Stage the bytes again, now that container_format is compressed.",
        )


def is_accepted(content: Content, kind: str, disk_format: str) -> bool:
    if disk_format == "gpt":
        return kind == "raw" and content.partitioned
    return kind in ACCEPTED.get(disk_format, frozenset({disk_format}))


def wrong_container(kind: str, container: str) -> ContentRefused:
    return refused(
        "format-mismatch",
        f"The container is declared '{container}', but the bytes are {named(kind)}.",
        "Declare container_format bare for a plain disk image, or send the archive itself.",
    )


def wrong_disk(kind: str, disk_format: str) -> ContentRefused:
    return refused(
        "format-mismatch",
        f"The image is declared '{disk_format}', but the bytes are {named(kind)}.",
        remedy(kind, disk_format),
    )


def named(kind: str) -> str:
    if kind in ("tar", "ova", "docker"):
        return "a tar archive"
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
        return "Unpack the archive and import the disk image in it, or declare container_format ova or docker."
    return f"Create the image with disk_format {kind}, or convert it: qemu-img convert -O {disk_format} IN OUT"


def match(verdict: Verdict, declared: Declared) -> None:
    """Hold a kept verdict against formats that were declared after it.

    Raises the ContentRefused the stream would have raised. Where no inspect stage ran there is nothing to hold.
    """
    codes = found(verdict, "inspect")
    outside = next((code for code in codes if code != PARTITIONS), None)
    kind = outside or verdict.disk_format
    if kind is not None:
        inside = verdict.disk_format if outside else None
        content = Content(kind=kind, inside=inside, partitioned=PARTITIONS in codes, opened=opened(verdict))
        agree_whole(content, declared)


def opened(verdict: Verdict) -> bool:
    """Whether a decompress stage took something off, so that the stored bytes are no longer compressed."""
    return any(finding.code == DECOMPRESSED for report in of(verdict, "decompress") for finding in report.findings)


def of(verdict: Verdict, stage: str) -> Iterator[StageReport]:
    return (report for report in verdict.reports if report.name == stage)


def found(verdict: Verdict, stage: str) -> list[str]:
    codes = [finding.code for report in of(verdict, stage) for finding in report.findings]
    return [code.removeprefix(FOUND) for code in codes if code.startswith(FOUND)]
