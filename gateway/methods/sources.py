"""What the operator says of certain hosts: how they are reached, whom they are vouched for by, what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.methods.address import Network
from gateway.methods.location import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """The way through the operator's HTTP proxy, by CONNECT (RFC 9110 9.3.6); it may be at any address.

    By default the gateway looks the source's name up, checks every address, and asks for a checked one. With
    `resolves` the other end looks names up, and it is its task to keep private addresses closed. `authorization` names
    the credential it wants.
    """

    host: str
    port: int
    resolves: bool = False
    authorization: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """Rules for the hosts of one source, beside those that hold for all. `ca_file` holds for these hosts alone.

    Registries of `plain_http` are spoken to without TLS.
    """

    ca_file: Path | None = None
    tunnel: Tunnel | None = None
    allowed_networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = ()
    plain_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """A service that speaks S3: where it is, and the region that requests are signed for."""

    endpoint: Location
    region: str


ORDINARY = SourceRules()


def patterns(host: str) -> Iterator[str]:
    """Every pattern that means `host`, the closest first."""
    yield host
    at = host.find(".", 1)
    while at > 0:
        yield "*" + host[at:]
        at = host.find(".", at + 1)
