"""Blobs that stay where they are: the keys are sealed URLs, and reading them is the guarded fetch.

Nothing is ever put here and nothing removed there; whoever adds a location has had its bytes judged. What the URL
serves later is another matter, so readers compare what they get with the image's own hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.model.errors import Gone, NotFound, Refusal, Unavailable
from gateway.ports import Block, Source
from gateway.stores.place import Place


class HttpStore:
    """`gateway.ports.Store`, read-only."""

    kind = "http"
    read_only = True

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self._place = place

    @property
    def properties(self) -> Mapping[str, object]:
        return {}

    def url(self, key: str) -> str:
        return self._place.unseal(key)

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        raise Gone(
            "Adding images to store is disabled.",
            remedy=f"Store {self.name} is read-only; name another one.",
            code="read-only-store",
        )

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The whole is fetched up to where the part ends: not every server knows ranges."""
        with self._said():
            source = self._place.fetch(self.url(key))
        return self._cut(source, offset, length)

    def size(self, key: str) -> int:
        with self._said():
            source = self._place.fetch(self.url(key))
            source.close()
        if source.total is None:
            raise NotFound(f"The source behind a blob in store {self.name} does not say its size.", code="no-size")
        return source.total

    def delete(self, key: str) -> None:
        """The bytes are not ours."""

    def keys(self) -> Iterator[str]:
        return iter(())

    def path(self, key: str) -> Path | None:
        return None

    def close(self) -> None:
        """Every fetch closes its own."""

    def _cut(self, source: Source, offset: int, length: int | None) -> Iterator[bytes]:
        skipped, left = offset, length
        try:
            with self._said():
                for block in source.blocks():
                    part = bytes(block[skipped:] if left is None else block[skipped : skipped + left])
                    skipped = max(0, skipped - len(block))
                    left = None if left is None else left - len(part)
                    if part:
                        yield part
                    if left == 0:
                        return
        finally:
            source.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What a source may do is, to a reader, a store that is away."""
        try:
            yield
        except Unavailable:
            raise
        except Refusal as refusal:
            raise Unavailable(
                f"Store {self.name} failed: {refusal.message}", remedy=refusal.remedy, code="store-broken"
            ) from refusal
