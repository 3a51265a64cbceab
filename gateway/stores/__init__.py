"""Where blobs go. A store is one file here and one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.ports import Store
from gateway.stores.filesystem import FilesystemStore

STORES: Mapping[str, Callable[[str, Path], Store]] = {
    "filesystem": FilesystemStore,
}
"""Kind of store -> how it is opened: its name and its place (a folder)."""
