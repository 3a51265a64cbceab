"""`import-gateway policy rejudge`: which active images another tree would refuse, and taking them out of use."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import JsonOption, compiled, told
from gateway.cli.serving import ConfigOption, DataOption

if TYPE_CHECKING:
    from gateway.service.rejudging import Court, Rejudged
    from gateway.settings import Settings


@dataclass(slots=True)
class Findings:
    """What came of it. `left` are images that were changed while they were looked at."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[Rejudged] = field(default_factory=list)
    deactivated: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)


def rejudge(
    folder: Annotated[
        Path | None, typer.Option("--with", metavar="DIR", help="The tree.", show_default="the site's own")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    deactivate: Annotated[bool, typer.Option("--deactivate", help="Deactivate what it refuses.")] = False,
    json: JsonOption = False,
) -> None:
    """Which active images would the tree refuse, had they been imported today?

    Decides again with what was kept of each import, while the service runs; no bytes are read. Exit code 1 where
    refused images stay active. Images that stages required now never looked at are listed, and stay.
    """
    from gateway.cli.records import settings_of

    with told(folder or Path()):
        settings = settings_of(config, data)
        found = asyncio.run(_rejudged(settings, folder or settings.policy_directory, deactivate=deactivate))
    (_print_json if json else _print_text)(found)
    if found.counts["refused"] > len(found.deactivated):
        raise typer.Exit(1)


async def _rejudged(settings: Settings, folder: Path, *, deactivate: bool) -> Findings:
    from gateway.cli.records import opened
    from gateway.decisionlog import JsonLines
    from gateway.service import rejudging

    found, log = Findings(), settings.policy.decision_log
    async with opened(settings) as catalog:
        with JsonLines(settings.decision_log_path, fsync=log.fsync, required=log.required) as decisions:
            court = _court(settings, folder, catalog, decisions)
            if deactivate:
                await _keep_tree(court, folder)
            async for one in rejudging.rejudge(court):
                found.counts[one.kind] += 1
                found.shown += [one] if one.kind is not rejudging.Kind.KEPT else []
                if deactivate and one.kind is rejudging.Kind.REFUSED:
                    done = await rejudging.deactivate(court, one)
                    (found.deactivated if done else found.left).add(one.image.id)
    return found


def _court(settings: Settings, folder: Path, catalog: Any, decisions: Any) -> Court:
    from uuid import uuid4

    from gateway.app import SystemClock
    from gateway.policy.stagewords import BUILT
    from gateway.service.rejudging import Court

    return Court(
        catalog=catalog,
        decisions=decisions,
        policy=compiled(folder, settings.policy.engine),
        stages=BUILT,
        clock=SystemClock(),
        new_id=lambda: str(uuid4()),
    )


async def _keep_tree(court: Court, folder: Path) -> None:
    """Its decisions name the tree's revision, so the tree is kept beside them."""
    from gateway.trees import read_tree

    sources = {source.name: source.text.decode() for source in read_tree(folder)}
    async with court.catalog.begin() as tx:
        await tx.keep_tree(court.policy.revision, sources)


def _print_text(found: Findings) -> None:
    for one in found.shown:
        image = one.image
        print(f"{_word(found, one):<12} {image.id}  {image.name or '(no name)'}, project {image.owner}")
        print(f"             {_why(one)}")
    print(_summary(found))


def _word(found: Findings, one: Rejudged) -> str:
    if one.image.id in found.deactivated:
        return "deactivated"
    return "changed" if one.image.id in found.left else one.kind.value


def _why(one: Rejudged) -> str:
    if one.decision is None:
        return "no final decision or no verdict was kept of it"
    if one.missing:
        return f"never passed {', '.join(one.missing)}, which is required now"
    if not one.decision.reasons:
        return ""
    reason = one.decision.reasons[0]
    return f"{reason.code} {reason.rule or ''}: {reason.message}".replace(" :", ":")


def _summary(found: Findings) -> str:
    said = [f"{found.counts.total()} active images: {found.counts['refused']} refused"]
    for kind in ("unchecked", "unknown"):
        said += [f"{found.counts[kind]} {kind}"] if found.counts[kind] else []
    said += [f"{len(found.deactivated)} deactivated"] if found.deactivated else []
    said += [f"{len(found.left)} changed meanwhile and left alone"] if found.left else []
    return ", ".join(said)


def _print_json(found: Findings) -> None:
    from gateway.cli.speech import print_json

    images = [
        {
            "id": one.image.id,
            "name": one.image.name,
            "owner": one.image.owner,
            "outcome": _word(found, one),
            "why": _why(one),
            "decision": one.basis.id if one.basis else None,
            "missing": list(one.missing),
        }
        for one in found.shown
    ]
    print_json({"active": found.counts.total(), **{kind: found.counts[kind] for kind in _KINDS}, "images": images})


_KINDS = ("kept", "refused", "unchecked", "unknown")
