"""The network under the one fetch: resolve once, check every address, dial the checked one, check the peer.

httpcore's public NetworkBackend is the place for it: whatever the layers above think a URL means, no connection comes
about but through `connect_tcp`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from gateway.methods import refusals
from gateway.methods.address import Address, Network, parsed, permitted
from gateway.methods.credentials import authorization
from gateway.methods.location import Location
from gateway.methods.pace import Pace
from gateway.methods.resolver import Resolve
from gateway.methods.rules import FetchRules
from gateway.methods.sources import Tunnel
from gateway.methods.stream import PacedStream
from gateway.methods.tunnel import connect
from gateway.model.errors import Refusal

MAX_DIALS = 4


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to one location and to nothing else."""

    def __init__(self, rules: FetchRules, resolve: Resolve, location: Location, pace: Pace) -> None:
        self._rules = rules
        self._resolve = resolve
        self._location = location
        self._pace = pace
        self._source = rules.source(location.host)
        self._tunnel = self._source.tunnel

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Dial the pinned location. Raises SourceRefused (`source-unreachable`), always equally late."""
        self._rules.lines.check()
        started = time.monotonic()
        try:
            if (host, port) != (self._location.host, self._location.port):
                raise OSError("the client above reads the URL in another way")
            connection = self._dial(self._addresses()) if self._tunnel is None else self._through(self._tunnel)
        except OSError:
            self._rules.lines.wait(max(0.0, started + self._rules.deadlines.reach - time.monotonic()))
            self._rules.lines.check()
            raise refusals.unreachable(self._location) from None
        self._pace.begin_head()
        return self._streamed(connection)

    def _streamed(self, connection: socket.socket) -> PacedStream:
        lines = self._rules.lines
        try:
            return PacedStream(connection, self._location, self._pace, lines, lines.hold(connection))
        except (OSError, Refusal):
            connection.close()
            raise

    def _addresses(self) -> list[Address]:
        """Every address of the host, all of them permitted. Raises OSError if there is none, or a single one is not."""
        literal = parsed(self._location.host)
        texts = [str(literal)] if literal else self._resolve(self._location.host, self._rules.deadlines.dns)
        addresses = [parsed(text) for text in texts]
        checked = [address for address in addresses if address and self._may_contact(address)]
        if not checked or len(checked) != len(addresses):
            raise OSError("an address is not permitted")
        return list(dict.fromkeys(checked))[:MAX_DIALS]

    def _may_contact(self, address: Address) -> bool:
        trusted = (self._location.host, self._location.port) in self._rules.trusted
        return trusted or contactable(self._rules, address, self._location.port, self._source.allowed_networks)

    def _through(self, tunnel: Tunnel) -> socket.socket:
        """The same by way of the operator's proxy, wherever that is. A literal address is checked in any case."""
        resolved = tunnel.resolves and parsed(self._location.host) is None
        names = [self._location.host] if resolved else [str(address) for address in self._addresses()]
        until = time.monotonic() + self._rules.deadlines.connect
        fields = self._shown_to(tunnel)
        for position, name in enumerate(names):
            share = max((until - time.monotonic()) / (len(names) - position), 0.001)
            connection = self._reached(tunnel, share)
            try:
                connect(connection, name, self._location.port, fields, share)
                return connection
            except OSError:
                connection.close()
        raise OSError("the proxy does not lead there")

    def _reached(self, tunnel: Tunnel, seconds: float) -> socket.socket:
        found = [parsed(text) for text in self._resolve(tunnel.host, self._rules.deadlines.dns)]
        address = next((one for one in found if one is not None), None)
        if address is None:
            raise OSError("the proxy has no address")
        return _connected(address, tunnel.port, seconds)

    def _shown_to(self, tunnel: Tunnel) -> dict[str, str]:
        if not tunnel.authorization:
            return {}
        credential = self._rules.credentials[tunnel.authorization]
        return {"Proxy-Authorization": authorization(tunnel.authorization, credential)["Authorization"]}

    def _dial(self, addresses: list[Address]) -> socket.socket:
        until = time.monotonic() + self._rules.deadlines.connect
        for position, address in enumerate(addresses):
            share = (until - time.monotonic()) / (len(addresses) - position)
            try:
                return _connected(address, self._location.port, max(share, 0.001))
            except OSError:
                continue
        raise OSError("no address answers")


def contactable(rules: FetchRules, address: Address, port: int, opened: Sequence[Network] = ()) -> bool:
    """Whether the operator's rules let a fetch contact `address` at `port`; `opened` are ranges of its source alone."""
    own = any(port == taken and (where.is_unspecified or where == address) for where, taken in rules.own_addresses)
    return not own and permitted(address, (*rules.allowed_networks, *opened))


def _connected(address: Address, port: int, timeout: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect((str(address), port))
        confirm_peer(connection, address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def confirm_peer(connection: socket.socket, address: Address) -> None:
    """Raises OSError unless the other end of `connection` is `address`."""
    if parsed(connection.getpeername()[0]) != address:
        raise OSError("another peer answers than was dialled")
