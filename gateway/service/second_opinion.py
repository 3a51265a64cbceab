"""A second opinion on staged bytes: an emulator opens them as the very format the inspect stage has found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gateway.model.decision import StageCall
from gateway.model.errors import Unavailable
from gateway.model.verdict import Verdict
from gateway.ports.converter import Converter
from gateway.service.copies import Original, comparing
from gateway.service.delivery import in_thread
from gateway.service.site import Progress, Site
from gateway.service.staged import Case, Staged
from gateway.stages.images.opinion import disk_of, hold
from gateway.stages.stage import Block

NOTED = "second-opinion"


async def second_opinion(case: Case, staged: Staged, call: StageCall) -> Staged:
    """The after stage of `inspect: {second_opinion: qemu-img}`.

    Raises Unavailable, ContentRefused `second-opinion`, `unreadable`, `too-costly`.
    """
    site, tool = case.site, case.site.converter
    if tool is None:
        raise Unavailable(
            "The policy asks for a second opinion, which this site has nobody for.",
            remedy="Tell the operators of your cloud.",
            code="stage-unavailable",
        )
    if disk_of(staged.verdict) not in tool.sees:
        case.note(NOTED, f"{tool.version} has no word on what is no single disk.")
        return staged
    progress = case.attempt.progress if case.attempt else Progress()
    async with site.spool.room() as room:
        case.note(NOTED, await in_thread(progress, partial(_asked, site, staged, tool, room, progress.check)))
    return staged


def _asked(site: Site, staged: Staged, tool: Converter, room: Path, check: Callable[[], None]) -> str:
    return opinion(tool, on_disk(site, staged, room), staged.verdict, check)


def opinion(tool: Converter, image: Path, verdict: Verdict, check: Callable[[], None]) -> str:
    """What it says, where it agrees. In a worker thread; `verdict` says that `image` is a disk the tool can see."""
    disk_format = disk_of(verdict) or ""
    found = tool.look(image, disk_format, check=check)
    hold(verdict, found.virtual_size, found.elsewhere, tool.version)
    return f"{tool.version} sees the same: {disk_format}, a disk of {found.virtual_size} bytes."


def on_disk(site: Site, staged: Staged, room: Path) -> Path:
    """The staged bytes as a file, which nobody may write to: in place where the store has files, else a copy in `room`
    that was hashed on the way.
    """
    path = site.store(staged.blob.store).path(staged.blob.key)
    if path is not None:
        return path
    return site.spool.keep(room / "image", _compared(site, staged))


def _compared(site: Site, staged: Staged) -> Iterator[Block]:
    pipeline = comparing(site, Original(staged.blob, staged.verdict))
    for block in site.store(staged.blob.store).get(staged.blob.key):
        yield from pipeline.feed(block)
    yield from pipeline.finish()
