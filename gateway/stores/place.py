"""What a store is opened with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.ports import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`folder` is a filesystem store's own. `unseal` gives the URL a key stands for; `fetch` is the guarded fetch."""

    name: str
    folder: Path
    unseal: Callable[[str], str]
    fetch: Callable[[str], Source]
