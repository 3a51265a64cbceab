"""Stores, as gateway.yaml describes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """One place for image bytes. `path` of a filesystem store; None is blobs/NAME in the data folder.

    An `http` store holds nothing: it is where images live whose locations callers name. Images are read from the
    store with the greatest `weight`.
    """

    name: str
    type: Literal["filesystem", "http"] = "filesystem"
    path: Path | None = None
    default: bool = False
    description: str = ""
    weight: int = 0
