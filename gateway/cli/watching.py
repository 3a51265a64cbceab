"""Follow an import until it has ended, through the image's status and its task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.cli.client import ImagesClient
from gateway.model.errors import Cancelled, Conflict, NotFound, Refusal, Unavailable

_PAUSES = (0.1, 0.2, 0.5)
"""Seconds between looks: quick at first, since small imports end at once."""

_PATIENCE = 60.0
"""Seconds a service may be away: imports survive its restart, so the one who waits should too."""

_OVER = frozenset({"queued", "killed", "deleted"})


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look saw. `task` is empty where the service shows none."""

    image: Mapping[str, Any]
    task: Mapping[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return int(self._progress.get("bytes") or 0)

    @property
    def total(self) -> int | None:
        total = self._progress.get("total")
        return total if isinstance(total, int) else None

    @property
    def place(self) -> int | None:
        """In the queue; None once it runs."""
        place = self.task.get("queue_position")
        return place if isinstance(place, int) else None

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        return list(self.task.get("stages") or ())

    @property
    def active(self) -> bool:
        return self.image.get("status") == "active"

    @property
    def failure(self) -> Refusal | None:
        """Why the import has failed; None while it has not."""
        if self.task.get("status") == "failure":
            return Refusal(
                str(self.task.get("message") or "The import failed, and the service does not say why."),
                remedy=str(self.task.get("remedy") or ""),
                code=str(self.task.get("code") or "import-failed"),
            )
        if not self.task and self.image.get("status") in _OVER:
            return Conflict("The import ended without an image, and the service does not say why.")
        return None

    @property
    def _progress(self) -> Mapping[str, Any]:
        progress = self.task.get("progress")
        return progress if isinstance(progress, dict) else {}


def look(client: ImagesClient, image_id: str) -> Sight:
    """The task is read last: a task that has ended then belongs to the image as it was seen, or to a later look."""
    image = client.image(image_id)
    tasks = client.tasks(image_id)
    return Sight(image, tasks[0] if tasks else {})


def watch(client: ImagesClient, image_id: str, show: Callable[[Sight], None]) -> Sight:
    """The last sight, of an active image. Raises the Refusal the import failed with, Cancelled if it was deleted."""
    seen, looks = time.monotonic(), 0
    while True:
        try:
            sight = look(client, image_id)
            seen = time.monotonic()
        except Unavailable:
            if time.monotonic() - seen > _PATIENCE:
                raise
        except NotFound as error:
            raise Cancelled(f"Image {image_id} was deleted while it was imported.") from error
        else:
            show(sight)
            if sight.failure:
                raise sight.failure
            if sight.active:
                return sight
        time.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
        looks += 1
