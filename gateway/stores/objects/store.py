"""Blobs as objects in one bucket, through obstore's synchronous calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from gateway.model.errors import NotFound, Unavailable
from gateway.ports import BLOCK_SIZE, Block
from gateway.stores.claims import Claims
from gateway.stores.objects.faults import Misplaced, is_outside, said
from gateway.stores.objects.library import LibraryUploads
from gateway.stores.objects.memory import Memory
from gateway.stores.objects.parts import Parts
from gateway.stores.objects.reading import ObjectReading
from gateway.stores.objects.unfinished import NoneKept, Unfinished
from gateway.stores.objects.writing import Uploads, Ways, Writing
from gateway.stores.place import Place
from gateway.stores.shards import KEY, check_key

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

log = logging.getLogger(__name__)

PIECE = BLOCK_SIZE // 2
PAGE = 1000
"""The range begins behind the end (RFC 9110, 15.5.17)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One kind of server, opened. `remote` is for calls that end soon, `slow` for downloads, which may last for days.
    `address` stands before a key in a blob's URL. `uploads` are given what takes a key's object away; without them,
    large objects are the library's as well.
    """

    kind: str
    address: str
    remote: Remote
    slow: Remote
    unfinished: Unfinished = field(default_factory=NoneKept)
    uploads: Callable[[Callable[[str], None]], Uploads] | None = None


class ObjectStore:
    """`gateway.ports.Store`. Keys are lower-case UUIDs; any other key is NotFound."""

    read_only = False

    def __init__(self, place: Place, service: Service) -> None:
        """Raises Unavailable where the server says that the bucket is not there or not ours."""
        self.name = place.name
        self.kind = service.kind
        self._place = place
        self._service = service
        self._claims = Claims(place.name)
        parts, memory = Parts(place.name, place.part_size, folder=place.spool), Memory(place)
        uploads = service.uploads or partial(LibraryUploads, place, service.remote, memory)
        self._ways = Ways(place, service.remote, parts, memory, uploads(self._remove))
        self._check()

    @property
    def properties(self) -> Mapping[str, object]:
        place = self._place
        shown = {"bucket": place.bucket, "prefix": place.prefix, "endpoint": place.endpoint, "region": place.region}
        return {**{name: value for name, value in shown.items() if value}, "part_size": place.part_size}

    def url(self, key: str) -> str:
        return f"{self._service.address}/{check_key(key)}"

    def path(self, key: str) -> Path | None:
        return None

    def put(self, key: str, blocks: Iterable[Block]) -> int:
        check_key(key)
        with self._claims.held(key):
            return Writing(self._ways, key, self._remove).put(blocks)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_key(key)
        if length == 0:
            self.size(key)
            return iter(())
        with self._sought(key):
            try:
                found = self._open(key, offset, None if length is None else offset + length)
            except BaseError as error:
                if not is_outside(error):
                    raise
                return self._reading(key, iter(()), None, offset, length or 0)
        left = max(0, found.meta["size"] - offset) if length is None else length
        return self._reading(key, found.stream(PIECE), found.meta["e_tag"], offset, left)

    def size(self, key: str) -> int:
        check_key(key)
        with self._sought(key):
            return int(obstore.head(self._service.remote, key)["size"])

    def delete(self, key: str) -> None:
        self._remove(check_key(key))

    def keys(self) -> Iterator[str]:
        """In no order; what is left of a broken put counts as its key."""
        pages = obstore.list(self._service.remote, chunk_size=PAGE)
        while page := self._page(pages):
            yield from page
        for key in set(self._service.unfinished.keys()):
            if KEY.fullmatch(key) and key not in self._claims:
                yield key

    def close(self) -> None:
        self._ways.uploads.close()

    def _page(self, pages: Iterator[Sequence[obstore.ObjectMeta]]) -> list[str] | None:
        with said(self._place):
            page = next(pages, None)
        return None if page is None else [found["path"] for found in page if KEY.fullmatch(found["path"])]

    def _remove(self, key: str) -> None:
        try:
            with said(self._place, key):
                obstore.delete(self._service.remote, key)
        except NotFound:
            pass  # not every kind of server forgives it
        self._service.unfinished.abort(key)

    def _open(self, key: str, start: int, end: int | None, e_tag: str | None = None) -> obstore.GetResult:
        options: obstore.GetOptions = {"if_match": e_tag} if e_tag else {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        return obstore.get(self._service.slow, key, options=options)

    def _reading(self, key: str, stream: Iterator[bytes], e_tag: str | None, offset: int, length: int) -> ObjectReading:
        def again(start: int, end: int) -> Iterator[bytes]:
            with self._sought(key):
                return self._open(key, start, end, e_tag).stream(PIECE)

        return ObjectReading(self._place, stream, again, offset, length)

    @contextmanager
    def _sought(self, key: str) -> Iterator[None]:
        try:
            with said(self._place, key):
                yield
        except NotFound:
            self._look()  # an answer without a body does not say which of the two is missing
            raise

    def _check(self) -> None:
        """What is away now may be back soon; what is wrong stays wrong."""
        try:
            self._look()
            next(self._service.unfinished.keys(), None)
        except Misplaced:
            self.close()
            raise
        except Unavailable as refusal:
            log.warning("%s; the store is used once it answers", refusal.message)

    def _look(self) -> None:
        with said(self._place):
            next(obstore.list(self._service.remote, chunk_size=1), None)


def address(bucket: str, prefix: str) -> str:
    """What stands before a key in a blob's URL."""
    return "/".join(filter(None, (bucket, prefix.strip("/"))))
