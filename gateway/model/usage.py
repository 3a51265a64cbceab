"""What a project has in all, and how much of it a policy lets it have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Counted(StrEnum):
    """What is counted for a project; the values are the policy's limit keys, but for the last one.

    IMAGES are its records. SIZE is every byte charged to it: the bytes its blobs hold, or have reserved while they
    arrive. IMPORTS are images that are uploaded, staged, imported or copied now. UNFINISHED is the part of SIZE that
    is no image's yet: arriving, or staged.
    """

    IMAGES = "max_images"
    SIZE = "max_total_size"
    IMPORTS = "max_active_imports"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most a project may have; None means unlimited. The names are those of the policy's limit keys."""

    max_images: int | None = None
    max_total_size: int | None = None
    max_active_imports: int | None = None

    def limit(self, counted: Counted) -> int | None:
        return {
            Counted.IMAGES: self.max_images,
            Counted.SIZE: self.max_total_size,
            Counted.IMPORTS: self.max_active_imports,
        }.get(counted)
