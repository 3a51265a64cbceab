"""Buckets of Google Cloud Storage.

What a crash leaves of an upload there is dropped by a rule of the bucket (AbortIncompleteMultipartUpload).
"""

from __future__ import annotations

from typing import Any

from obstore.store import GCSStore

from gateway.stores.faults import said
from gateway.stores.objects.options import opened
from gateway.stores.objects.store import ObjectStore, Service, address
from gateway.stores.place import Place


def open_gcs(place: Place) -> ObjectStore:
    """The login's secret is a service account's key, as JSON; without one the machine's own account is used."""
    shown: dict[str, Any] = {}
    if place.login is not None:
        with said(place.name):
            shown["service_account_key"] = place.login.secret()
    if place.endpoint is not None:
        shown["base_url"] = place.endpoint.rstrip("/")

    remote, slow = opened(place, GCSStore, **shown)
    at = address(f"gs://{place.bucket}", place.prefix)
    return ObjectStore(place, Service(kind="gcs", address=at, remote=remote, slow=slow))
