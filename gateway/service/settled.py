"""Images that the service behind the gateway is known to have the data of: nothing is told of them here any more."""

from __future__ import annotations

from dataclasses import dataclass, field

SECONDS = 600.0
"""An operator there may purge a deleted image, and its id may then come back to be filled from here."""

MOST = 20_000
STATUSES = frozenset({"active", "deactivated"})
"""What an image that has its data may be there. It is never empty again, and only empty ones are filled from here."""


@dataclass(slots=True)
class Settled:
    """The ids, known for `SECONDS` at most. Every `now` is the monotonic clock's, in seconds."""

    _ids: set[str] = field(default_factory=set)
    _until: float = 0.0

    def has(self, image_id: str, now: float) -> bool:
        return image_id in self._ids and now < self._until

    def add(self, image_id: str, now: float) -> None:
        if now >= self._until or len(self._ids) >= MOST:
            self._ids, self._until = set(), now + SECONDS
        self._ids.add(image_id)

    def forget(self, image_id: str) -> None:
        self._ids.discard(image_id)
