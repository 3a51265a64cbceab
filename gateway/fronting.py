"""In front of an existing image service: how it is reached, and by whom."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

from gateway.api.passing import Passing
from gateway.identity import account
from gateway.identity.keystone_calls import Keystone
from gateway.service.metrics import Metrics
from gateway.service.site import Site
from gateway.settings import Settings
from gateway.upstream import Carrier, Connection, Glance, Place


def reach(settings: Settings, stack: AsyncExitStack, metrics: Metrics) -> Glance | None:
    """The image service behind the gateway; None where it keeps images itself. Called within the event loop."""
    if settings.backend != "glance":
        return None
    there = settings.upstream
    assert there.endpoint is not None, "the settings are checked"
    place = Place(endpoint=there.endpoint, ca_file=there.ca_file, timeout=there.timeout)
    keystone = Keystone(account(settings.identity), now=lambda: datetime.now(UTC), monotonic=time.monotonic)
    stack.push_async_callback(keystone.aclose)
    connection = Connection(place, metrics.upstream)
    stack.push_async_callback(connection.aclose)
    return Glance(connection, Carrier(place, metrics.upstream), keystone.own_token)


def passing(settings: Settings, site: Site) -> Passing | None:
    """What passes calls on, with links that lead back to the gateway."""
    if not isinstance(site.upstream, Glance):
        return None
    public = settings.server.public_endpoint
    host = urlsplit(public).netloc.encode() if public else None
    return Passing(site.upstream.connection, site.upstream.carrier, host)
