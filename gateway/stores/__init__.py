"""Where blobs go. A store is one file here and one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.ports import Store
from gateway.stores.filesystem import FilesystemStore
from gateway.stores.http import HttpStore
from gateway.stores.place import Place

__all__ = ["STORES", "Place"]

STORES: Mapping[str, Callable[[Place], Store]] = {
    "filesystem": lambda place: FilesystemStore(place.name, place.folder),
    "http": HttpStore,
}
"""Kind of store -> how it is opened."""
