"""What the settings say of certain sources: the way there, who vouches for them, and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """A service that speaks S3: its URL, whatever its address, and the region that requests are signed for."""

    endpoint: str
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One source: the hosts it is about, as policies write them, and what holds for them beside `fetch`.

    `proxy` is the URL of an HTTP proxy, asked for checked addresses, or with `proxy_resolves` for names, which it then
    has to keep off private addresses. With `s3` it is an object store that s3-download may take images from.
    """

    hosts: tuple[str, ...] = ()
    ca_file: Path | None = None
    proxy: str | None = None
    proxy_resolves: bool = False
    proxy_credentials: str | None = None
    allowed_networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = ()
    plain_http: bool = False
    s3: BucketSettings | None = None
