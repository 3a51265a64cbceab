"""Containers of Azure Blob Storage, which drops the blocks of an upload that nobody completes after a week."""

from __future__ import annotations

from typing import Any

from obstore.store import AzureStore

from gateway.stores.faults import said
from gateway.stores.objects.options import opened
from gateway.stores.objects.store import ObjectStore, Service, address
from gateway.stores.place import Place


def open_azure(place: Place) -> ObjectStore:
    """The login's user is the storage account, its secret that account's key; without one the environment's is used."""
    shown: dict[str, Any] = {}
    if place.login is not None:
        with said(place.name):
            shown = {"account_name": place.login.user, "account_key": place.login.secret()}
    if place.endpoint is not None:
        shown["endpoint"] = place.endpoint.rstrip("/")

    remote, slow = opened(place, AzureStore, **shown)
    at = address(f"azure://{place.bucket}", place.prefix)
    return ObjectStore(place, Service(kind="azure", address=at, remote=remote, slow=slow))
