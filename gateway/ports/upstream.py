"""The image service behind the gateway, where there is one: it keeps the records and the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.model.image import Image
from gateway.stages.stage import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An image as its own service knows it. `status` is the service's word, also one this build does not know."""

    image: Image
    status: str
    size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """An import as the image service tells of it: `failure` is why it failed, `mark` another one whenever it moves."""

    mark: str
    failure: str | None = None


class Upstream(Protocol):
    """Asynchronous but for `put`, which runs in worker threads. Every call raises Unavailable (`upstream-away`).

    `token` is the caller's own; None stands for the gateway's, which sees every image.
    """

    async def answers(self) -> None:
        """Whether it is there at all. Raises Unavailable where it is not."""
        ...

    async def record(self, image_id: str, token: str | None = None) -> Record | None:
        """None where there is no such image, or the token does not see it. Raises Forbidden, NotAuthenticated."""
        ...

    @property
    def stores_seen(self) -> tuple[str, ...]:
        """What `stores` said last; empty before."""
        ...

    async def stores(self) -> tuple[str, ...]:
        """The names of the stores that take bytes, the default one first; empty where it has but one, unnamed."""
        ...

    async def change(self, image_id: str, values: Mapping[str, object]) -> None:
        """Set fields and properties of a queued image, as PATCH does; None takes a property away."""
        ...

    async def import_staged(self, image_id: str, stores: Sequence[str]) -> None:
        """Import what is staged there, where a delivery to several stores broke off between its two calls."""
        ...

    async def filling(self, image_id: str) -> Work:
        """How its newest import there goes."""
        ...

    async def deactivate(self, image_id: str) -> None:
        """Nobody but administrators reads its data any more."""
        ...

    async def opened(self) -> Callable[[str, Sequence[str], Iterable[Block], int], None]:
        """What sends one image's bytes, in a worker thread: image id, stores, blocks, size in bytes.

        It returns once the service has taken them all; the image is active soon afterwards, or queued again. What the
        blocks raise passes as it is, and the service keeps nothing then. Raises Unavailable, Conflict (the image is
        not queued there any more), NotFound, TooLarge, ContentRefused: with what the service said.
        """
        ...
