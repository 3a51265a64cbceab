"""Buckets of Amazon S3, and of the many servers that speak its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from obstore.store import S3Store

from gateway.stores.exchange import Exchange
from gateway.stores.faults import said
from gateway.stores.objects.multipart import SignedUploads
from gateway.stores.objects.options import opened
from gateway.stores.objects.requests import Bucket
from gateway.stores.objects.signing import Signer
from gateway.stores.objects.store import ObjectStore, Service, address
from gateway.stores.objects.unfinished import S3Unfinished
from gateway.stores.place import Place

if TYPE_CHECKING:
    from obstore.store import S3Credential

REGION = "us-east-1"
REREAD = timedelta(seconds=10)
ANSWER = 16 << 10
"""Bytes of one that are taken at once: blobs come through the library."""


def open_s3(place: Place) -> ObjectStore:
    """Without a login, the process's own is used, as the machine gives it (environment, instance role)."""
    region = place.region or REGION
    endpoint = (place.endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
    if place.virtual_host:
        scheme, _, host = endpoint.partition("://")
        bucket_url = endpoint = f"{scheme}://{place.bucket}.{host}"
    else:
        bucket_url = f"{endpoint}/{place.bucket}"

    remote, slow = opened(
        place,
        S3Store,
        endpoint=endpoint,
        region=region,
        virtual_hosted_style_request=place.virtual_host,
        unsigned_payload=True,
        disable_bulk_delete=True,
        **_shown(place),
    )
    return ObjectStore(
        place,
        Service(
            kind="s3",
            address=address(_glances(bucket_url), place.prefix),
            remote=remote,
            slow=slow,
            **_ours(place, bucket_url, region),
        ),
    )


def _shown(place: Place) -> dict[str, Any]:
    login = place.login
    if login is None:
        return {}
    if not login.rereads:
        token = {"session_token": login.session_token} if login.session_token else {}
        with said(place.name):
            return {"access_key_id": login.user, "secret_access_key": login.secret(), **token}

    def read() -> S3Credential:
        return {
            "access_key_id": login.user,
            "secret_access_key": login.secret(),
            "token": login.session_token,
            "expires_at": datetime.now(UTC) + REREAD,
        }

    return {"credential_provider": read}


def _ours(place: Place, url: str, region: str) -> dict[str, Any]:
    """What is done by requests of our own; we sign with a login's keys only."""
    login = place.login
    if login is None:
        return {}
    signer = Signer(access_key=login.user, secret=login.secret, session_token=login.session_token, region=region)
    bucket = Bucket(place, url, signer, Exchange(place.patience, place.ca_file, ANSWER))
    unfinished = S3Unfinished(bucket)
    return {"unfinished": unfinished, "uploads": partial(SignedUploads, bucket, unfinished)}


def _glances(url: str) -> str:
    """As Glance writes it, but without the keys."""
    scheme, _, rest = url.partition("://")
    return f"{'s3+https' if scheme == 'https' else 's3'}://{rest}"
