"""One import from the command line, from the question whether it is offered to the comparison of hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import typer

from gateway.cli.client import ImagesClient
from gateway.cli.comparing import Comparison, compare
from gateway.cli.offer import Offers, check_offer
from gateway.cli.progress import Advance, bar
from gateway.cli.remembered import Memory, memory
from gateway.cli.report import said_image, stage_table
from gateway.cli.resuming import PROTOCOL, ResumedBlocks, Sender, gone_on_with
from gateway.cli.sources import HashedBlocks, KeptImage, LocalFile, RemoteImage
from gateway.cli.speech import err, out, print_json, remark
from gateway.cli.watching import Sight, watch
from gateway.model.errors import NotFound, Refusal, Unavailable
from gateway.policy.facts import FactValue

HASH = "sha512"
"""What files are hashed with while they are sent; a service that uses another one costs a second look at the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for. `method` is the `method` object of the import request."""

    source: LocalFile | RemoteImage | KeptImage
    method: Mapping[str, str]
    name: str
    disk_format: str
    container_format: str
    visibility: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, str]:
        """The body of the create request."""
        values = {"name": self.name, "disk_format": self.disk_format, "container_format": self.container_format}
        return {**self.properties, **values, **({"visibility": self.visibility} if self.visibility else {})}

    def facts(self) -> dict[str, FactValue]:
        formats = {"request.disk_format": self.disk_format, "request.container_format": self.container_format}
        return {**self.source.facts(), **formats}


class Run:
    """Everything it creates it deletes again when it fails, unless told to `keep`."""

    def __init__(self, client: ImagesClient, wish: Wish, *, keep: bool, quiet: bool, json: bool) -> None:
        self._client = client
        self._wish = wish
        self._keep = keep
        self._quiet = quiet
        self._json = json
        self._sight = Sight({})
        self._resumable = False
        self._memory: Memory | None = None

    def go(self) -> None:
        """Raises the Refusal it failed with, or typer.Exit where the user stopped it."""
        try:
            self._check()
            comparison = self._import()
        except Refusal as refusal:
            self._say_failure(refusal)
            raise
        self._say_success(comparison)

    def _check(self) -> None:
        document = self._client.discovery()
        offers = Offers.of(document)
        self._resumable = PROTOCOL in document.get("resumable-upload", {}).get("value", ())
        check_offer(offers, self._wish.method["name"], self._wish.facts())
        for warning in offers.terms(self._wish.method["name"]).get("warnings", ()):
            remark(f"Warning: {warning}", style="yellow")

    def _import(self) -> Comparison | None:
        """Into a new record, or into that of an upload which an earlier command has begun."""
        source = self._wish.source
        if not (self._resumable and isinstance(source, LocalFile)):
            with Undo(self._client, self._create(), keep=self._keep) as undo:
                return self._bring(undo)
        with memory(self._client.endpoint, source, self._wish.record()) as self._memory:
            image_id = gone_on_with(self._client, self._memory) or self._create()
            with Undo(self._client, image_id, keep=self._keep, memory=self._memory) as undo:
                return self._bring(undo)

    def _create(self) -> str:
        return str(self._client.create(self._wish.record())["id"])

    def _bring(self, undo: Undo) -> Comparison | None:
        """Bytes in, import started and followed. None where there is no file to compare with."""
        source, image_id = self._wish.source, undo.image_id
        blocks = self._stage(undo, source) if isinstance(source, LocalFile) else None
        self._client.start_import(image_id, self._wish.method)
        with bar("importing", None, quiet=self._quiet) as advance:
            self._sight = watch(self._client, image_id, partial(self._see, advance))
        return compare(blocks, self._sight) if blocks else None

    def _stage(self, undo: Undo, source: LocalFile) -> HashedBlocks:
        with bar("uploading", source.size, quiet=self._quiet) as advance:
            if self._memory is None:
                blocks = HashedBlocks(source, HASH, advance)
                self._client.stage(undo.image_id, blocks, source.size)
                return blocks
            resumed = ResumedBlocks(source, HASH, advance)
            with undo.kept_while_away():
                Sender(self._client, self._memory, resumed).send(undo.image_id)
        self._memory.forget()
        return resumed

    def _see(self, advance: Advance, sight: Sight) -> None:
        self._sight = sight
        if sight.active:
            size = int(sight.image.get("size") or 0)
            advance(size, size)
        elif sight.place:
            advance(sight.done, sight.total, f"{sight.place}. in line")
        elif sight.total or sight.done:
            advance(sight.done, sight.total)

    def _say_failure(self, refusal: Refusal) -> None:
        if self._json:
            error = {"code": refusal.code, "message": refusal.message, "remedy": refusal.remedy}
            print_json({"image": self._sight.image, "task": self._sight.task, "error": error})
        elif self._sight.stages and not self._quiet:
            err().print(stage_table(self._sight.stages))

    def _say_success(self, comparison: Comparison | None) -> None:
        image = self._sight.image
        if self._json:
            print_json({"image": image, "task": self._sight.task, **(comparison.to_json() if comparison else {})})
        elif self._quiet:
            out().print(str(image["id"]), markup=False, highlight=False)
        else:
            if self._sight.stages:
                out().print(stage_table(self._sight.stages))
            out().print(said_image(image), markup=False, highlight=False)
            if comparison:
                out().print(comparison.sentence(), markup=False, highlight=False)


class Undo:
    """Deletes the image it guards if the block fails; an interrupt becomes exit code 130.

    One that is kept, and what has come of it, can be gone on with where there is a `memory`.
    """

    def __init__(self, client: ImagesClient, image_id: str, *, keep: bool, memory: Memory | None = None) -> None:
        self._client = client
        self.image_id = image_id
        self._keep = keep
        self._memory = memory

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None:
            return
        if self._memory is not None and isinstance(error, Refusal) and not isinstance(error, Unavailable):
            self._memory.forget()  # what was refused is not gone on with
        if self._keep:
            on = "; the same command goes on with it" if self._memory is not None and self._memory.kept else ""
            remark(f"Image {self.image_id} is kept{on}.")
        else:
            self._delete()
        if isinstance(error, KeyboardInterrupt):
            remark("Stopped.", style="bold")
            raise typer.Exit(130) from None

    @contextmanager
    def kept_while_away(self) -> Iterator[None]:
        """A service that is away refuses nothing: what it has is kept."""
        try:
            yield
        except Unavailable:
            self._keep = True
            raise

    def _delete(self) -> None:
        if self._memory is not None:
            self._memory.forget()
        try:
            self._client.delete(self.image_id)
            remark(f"Image {self.image_id} was deleted again.")
        except NotFound:
            pass
        except Refusal as refusal:
            remark(f"Image {self.image_id} could not be deleted: {refusal.message}", style="yellow")
