"""Where blobs go. A store is one file here and one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.ports import Store
from gateway.stores.filesystem import FilesystemStore
from gateway.stores.http import HttpStore
from gateway.stores.place import Login, Place

__all__ = ["STORES", "Login", "Place"]


def _s3(place: Place) -> Store:
    from gateway.stores.objects.s3 import open_s3  # here and below: memory only where such a store is used

    return open_s3(place)


def _gcs(place: Place) -> Store:
    from gateway.stores.objects.gcs import open_gcs

    return open_gcs(place)


def _azure(place: Place) -> Store:
    from gateway.stores.objects.azure import open_azure

    return open_azure(place)


def _swift(place: Place) -> Store:
    from gateway.stores.swift import SwiftStore

    return SwiftStore(place)


STORES: Mapping[str, Callable[[Place], Store]] = {
    "filesystem": lambda place: FilesystemStore(place.name, place.folder),
    "http": HttpStore,
    "s3": _s3,
    "gcs": _gcs,
    "azure": _azure,
    "swift": _swift,
}
"""Kind of store -> how it is opened."""
