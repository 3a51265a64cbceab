"""What all kinds of object stores are opened with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.stores.faults import said
from gateway.stores.objects.faults import said as remote_said
from gateway.stores.place import Place

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Remote = TypeVar("Remote")

MOST_RETRIES = 5
CONNECT = timedelta(seconds=10)
LONG = timedelta(days=7)
"""For one download whose reader is slow; a server that is silent is given up much sooner."""


def opened(place: Place, kind: Callable[..., Remote], **shown: Any) -> tuple[Remote, Remote]:
    """The same place twice: for calls of the usual length, and for downloads. Raises what opening it refuses."""

    def one(timeout: timedelta | None = None) -> Remote:
        return kind(
            place.bucket,
            prefix=place.prefix.strip("/") or None,
            client_options=client(place, timeout),
            retry_config=retries(place),
            **shown,
        )

    with remote_said(place):
        return one(), one(LONG)


def client(place: Place, timeout: timedelta | None = None) -> ClientConfig:
    """`timeout` is for one request as a whole. Raises Unavailable for a `ca_file` that cannot be read."""
    silence = timedelta(seconds=place.patience)
    options: ClientConfig = {
        "allow_http": (place.endpoint or "").startswith("http://"),
        "connect_timeout": min(CONNECT, silence),
        "read_timeout": silence,
        "timeout": timeout or 5 * silence,
        "user_agent": "import-gateway",
    }
    if place.ca_file is not None:
        with said(place.name):
            options["root_certificate"] = place.ca_file.read_bytes()
    return options


def retries(place: Place) -> RetryConfig:
    return {
        "max_retries": MOST_RETRIES,
        "retry_timeout": timedelta(seconds=4 * place.patience),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=min(5.0, place.patience)),
            "base": 2,
        },
    }
