"""`import-gateway verify`: read every stored byte again, and compare it with what was recorded of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.policy_asking import JsonOption
from gateway.cli.serving import ConfigOption, DataOption

if TYPE_CHECKING:
    from gateway.ports import Store
    from gateway.service.verifying import Verified
    from gateway.settings import Settings

INTERRUPTED = 130


@dataclass(slots=True)
class Findings:
    """What came of it so far. `place` is the id of the blob that was looked at last."""

    counts: Counter[str] = field(default_factory=Counter)
    size: int = 0
    shown: list[Verified] = field(default_factory=list)
    place: str | None = None

    def add(self, one: Verified) -> None:
        self.counts[one.kind] += 1
        self.size += one.size
        self.place = one.blob.id
        if one.kind != "sound":
            self.shown.append(one)


def verify(
    config: ConfigOption = None,
    data: DataOption = None,
    store: Annotated[
        list[str] | None, typer.Option("--store", help="Only this store; may be repeated.", show_default="all")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", help="Read no more a second, like 50MiB.", show_default="no limit")
    ] = None,
    progress: Annotated[
        Path | None,
        typer.Option("--progress", dir_okay=False, help="Keep the place here, and go on from it the next time."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Are the bytes in the stores still those of their images?

    Reads every blob of every image, while the service runs, and compares size and digests with the records. Nothing
    is changed. Exit code 1 where something is damaged, missing or cannot be read.
    """
    from gateway.cli.records import settings_of
    from gateway.cli.speech import remark

    found = Findings(place=_place(progress))
    try:
        asyncio.run(_verified(found, settings_of(config, data), store, _bytes(rate), progress, aloud=not json))
    except KeyboardInterrupt:
        (_print_json if json else _print_text)(found)
        remark("Interrupted." if progress is None else f"Interrupted; --progress {progress} goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if progress is not None:
        progress.unlink(missing_ok=True)
    (_print_json if json else _print_text)(found)
    if any(found.counts[kind] for kind in _WRONG):
        raise typer.Exit(1)


async def _verified(
    found: Findings, settings: Settings, names: list[str] | None, rate: int, progress: Path | None, *, aloud: bool
) -> None:
    import time

    from gateway.cli.records import opened
    from gateway.service import verifying

    async with opened(settings) as catalog:
        stores = _chosen(_stores(settings), names)
        round_ = verifying.Round(catalog=catalog, stores=stores, monotonic=time.monotonic, after=found.place, rate=rate)
        async for one in verifying.verify(round_):
            found.add(one)
            if aloud and one.kind is not verifying.Kind.SOUND:
                print(_line(one), flush=True)
            if progress is not None:
                await asyncio.to_thread(progress.write_text, one.blob.id)


def _stores(settings: Settings) -> dict[str, Store]:
    from gateway.sourcing import fetch_rules
    from gateway.storing import open_stores
    from gateway.tools.seal import open_seal

    return open_stores(settings, fetch_rules(settings), open_seal(settings.secret_key_path))


def _chosen(stores: dict[str, Store], names: list[str] | None) -> dict[str, Store]:
    from gateway.model.errors import NotFound

    for name in names or ():
        if name not in stores:
            raise NotFound(f"There is no store {name}.", remedy=f"Stores here: {', '.join(stores)}.")
    return {name: store for name, store in stores.items() if not names or name in names}


def _place(progress: Path | None) -> str | None:
    if progress is None or not progress.is_file():
        return None
    return progress.read_text().strip() or None


def _bytes(rate: str | None) -> int:
    from gateway.policy.quantity import parse_size

    if rate is None:
        return 0
    try:
        return parse_size(rate)
    except ValueError as error:
        raise typer.BadParameter("write it like 512KiB or 50MiB", param_hint="--rate") from error


def _line(one: Verified) -> str:
    return f"{one.kind:<8} image {one.image.id}, blob {one.blob.key} in store {one.blob.store}: {one.why}"


def _print_text(found: Findings) -> None:
    """The summary; what is wrong was said when it was found."""
    from gateway.policy.wording import said_size

    wrong = "".join(f", {found.counts[kind]} {kind}" for kind in (*_WRONG, "unknown") if found.counts[kind])
    print(f"{found.counts.total()} blobs, {said_size(found.size)}: {found.counts['sound']} sound{wrong}")


def _print_json(found: Findings) -> None:
    from gateway.cli.speech import print_json

    shown = [
        {"outcome": one.kind, "image": one.image.id, "store": one.blob.store, "key": one.blob.key, "why": one.why}
        for one in found.shown
    ]
    counts = {kind: found.counts[kind] for kind in ("sound", *_WRONG, "unknown")}
    print_json({"blobs": found.counts.total(), "bytes": found.size, **counts, "shown": shown})


_WRONG = ("damaged", "missing", "unread")
