"""Buckets of Google Cloud Storage.

What a crash leaves of an upload there is dropped by a rule of the bucket (AbortIncompleteMultipartUpload).
"""

from __future__ import annotations

from typing import Any

from obstore.store import GCSStore

from gateway.stores.faults import said as secret_said
from gateway.stores.objects.faults import said
from gateway.stores.objects.options import LONG, client, retries
from gateway.stores.objects.store import ObjectStore, Service, address
from gateway.stores.place import Place


def open_gcs(place: Place) -> ObjectStore:
    """The login's secret is a service account's key, as JSON; without one the machine's own account is used."""
    shown: dict[str, Any] = {}
    if place.login is not None:
        with secret_said(place.name):
            shown["service_account_key"] = place.login.secret()
    if place.endpoint is not None:
        shown["base_url"] = place.endpoint.rstrip("/")

    def opened(**more: Any) -> GCSStore:
        return GCSStore(
            place.bucket,
            prefix=place.prefix.strip("/") or None,
            client_options=client(place, **more),
            retry_config=retries(place),
            **shown,
        )

    with said(place):
        remote, slow = opened(), opened(timeout=LONG)
    at = address(f"gs://{place.bucket}", place.prefix)
    return ObjectStore(place, Service(kind="gcs", address=at, remote=remote, slow=slow))
