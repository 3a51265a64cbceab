"""What the operator allows a fetch to do, as values. `FetchRules()` alone is safe: public addresses, two ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.methods.address import Address, Network
from gateway.methods.credentials import Credential
from gateway.methods.lines import Lines
from gateway.methods.location import Location
from gateway.methods.sources import ORDINARY, Buckets, SourceRules, patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a source may keep a fetch waiting. Times in seconds, `minimum_rate` in bytes a second.

    `dns` and `connect` are for one hop; `head` is for a whole response head, however it trickles; `idle` is the
    longest silence; the minimum rate is measured over every `rate_window` seconds spent waiting for the source (time
    the gateway itself takes to write is not the source's fault); `total` is for a whole fetch, redirects included.
    `pause` is what passes before a broken fetch goes on, twice as long each time.
    """

    dns: float = 5.0
    connect: float = 5.0
    head: float = 10.0
    idle: float = 30.0
    minimum_rate: int = 16 << 10
    rate_window: float = 30.0
    total: float = 21600.0
    pause: float = 1.0

    @property
    def reach(self) -> float:
        """When every failure to reach a source is told, whatever its cause: telling earlier would tell which."""
        return self.dns + self.connect


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """The operator's side of a fetch; a policy narrows it further for each import.

    `allowed_networks` opens ranges that are not public; link-local, multicast and metadata addresses stay closed.
    `own_addresses` are (address, port) pairs that are never contacted, opened or not: the gateway's own API, its
    database, identity service and stores. The unspecified address (0.0.0.0 or ::) closes that port everywhere.
    `ca_file` replaces the built-in certificate authorities. `regions` are the image services of other clouds, by
    name; `resumes` is how often a fetch may go on after its connection broke; `trusted` are (host, port) pairs of the
    operator's own choosing, contacted whatever their address. `lines` are the connections that are open under these
    rules. `sources` are by patterns of hosts, `buckets` and `credentials` by name.
    """

    allowed_networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = (80, 443)
    own_addresses: tuple[tuple[Address, int], ...] = ()
    deadlines: Deadlines = field(default_factory=Deadlines)
    ca_file: Path | None = None
    max_redirects: int = 5
    resumes: int = 5
    regions: Mapping[str, Location] = field(default_factory=dict)
    trusted: tuple[tuple[str, int], ...] = ()
    sources: Mapping[str, SourceRules] = field(default_factory=dict)
    buckets: Mapping[str, Buckets] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict, repr=False)
    lines: Lines = field(default_factory=Lines, compare=False, repr=False)

    def source(self, host: str) -> SourceRules:
        """What holds for one host beside all this, by the closest pattern."""
        return next((self.sources[one] for one in patterns(host) if one in self.sources), ORDINARY)
