"""The one guarded fetch of this program: every byte from a source a caller names comes through here.

Each hop is checked anew (URL, port, policy, addresses) and has a transport of its own, so nothing is carried over: no
cookie, no header, no connection. `pace` limits a source's time, `backend` where it may be, `Fetch` how much it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.methods import refusals
from gateway.methods.address import parsed
from gateway.methods.backend import PinnedBackend, contactable
from gateway.methods.fetch import Fetch
from gateway.methods.hop import Hop
from gateway.methods.location import Location, redirected
from gateway.methods.pace import Pace, Rate
from gateway.methods.resolver import Resolve, system_resolve
from gateway.methods.resuming import Again
from gateway.methods.rules import FetchRules
from gateway.methods.transport import PinnedTransport, quiet, trust
from gateway.model.errors import BadRequest
from gateway.ports import Target

Check = Callable[[Target], None]
"""The policy's word on a target, asked before it is contacted. Raises a Refusal to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What all requests of one fetch have in common. It ends at `until`, in seconds of the monotonic clock."""

    check: Check
    until: float
    rate: Rate


class Outbound:
    """Opens sources within one site's rules. Safe to use from many threads at once."""

    def __init__(self, rules: FetchRules, resolve: Resolve = system_resolve) -> None:
        quiet()
        self._rules = rules
        self._resolve = resolve

    def admit(self, location: Location) -> None:
        """Refuse what the URL alone shows to be out of bounds, before anything is looked up or contacted.

        Raises BadRequest (`source-refused`) for a port that is not open and for a literal address that is closed.
        It tells no more than the operator's rules, so it may be told at once.
        """
        self._admit_port(location)
        literal = parsed(location.host)
        opened = self._rules.source(location.host).allowed_networks
        if literal and not contactable(self._rules, literal, location.port, opened):
            raise BadRequest(
                f"The source {location.origin} has an address that is not public.",
                remedy="Use a source with a public address; an internal one must be opened by the operator.",
                code="source-refused",
            )

    def open(
        self,
        location: Location,
        *,
        max_size: int | None,
        check: Check,
        expected_size: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetch:
        """Follow redirects to the source and read its head. Sizes in bytes.

        `expected_size` is what somebody trusted says about the source; without it a body that ends with its
        connection is refused, because nothing tells its end from a break. Raises SourceRefused, BadRequest for a
        port that is not open, OverLimit for a source that announces more than `max_size`, and what `check` raises.
        `headers` go to `location` alone: a redirect is asked without them. A fetch whose connection breaks goes on
        from `location` again, within the time it has.
        """
        trip = Trip(check=check, until=self._until(), rate=Rate(self._rules.deadlines))

        def follow(more: Mapping[str, str]) -> Hop:
            return self._follow(location, trip, headers or {}, more)

        return _opened(follow({}), max_size, expected_size, Again(self._rules, trip.until, follow))

    def ask(self, location: Location, body: bytes, *, headers: Mapping[str, str], max_size: int) -> bytes:
        """POST to a place that needs no policy, and read the whole answer; a redirect is none.

        Raises SourceRefused, OverLimit, BadRequest for a port that is not open.
        """
        self._admit_port(location)
        pace = Pace(self._rules.deadlines, location, self._until())
        fetch = _opened(self._contact(location, pace, headers, body), max_size)
        return b"".join(bytes(block) for block in fetch.blocks())

    def _until(self) -> float:
        return time.monotonic() + self._rules.deadlines.total

    def _follow(self, location: Location, trip: Trip, headers: Mapping[str, str], more: Mapping[str, str]) -> Hop:
        """The first answer that is no redirect; `more` header fields go to every hop."""
        for _ in range(self._rules.max_redirects + 1):
            hop = self._hop(location, trip, {**headers, **more})
            if (reference := hop.redirect) is None:
                return hop
            hop.close()
            location, headers = _next(location, reference), {}
        raise refusals.roundabout(location, hop.status)

    def _hop(self, location: Location, trip: Trip, headers: Mapping[str, str]) -> Hop:
        self._admit_port(location)
        trip.check(location.target)
        pace = Pace(self._rules.deadlines, location, trip.until, rate=trip.rate)
        return self._contact(location, pace, headers)

    def _contact(self, location: Location, pace: Pace, headers: Mapping[str, str], body: bytes | None = None) -> Hop:
        backend = PinnedBackend(self._rules, self._resolve, location, pace)
        authorities = trust(self._rules.source(location.host).ca_file or self._rules.ca_file)
        return Hop(location, pace, PinnedTransport(backend, authorities), headers, body)

    def _admit_port(self, location: Location) -> None:
        trusted = (location.host, location.port) in self._rules.trusted
        open_ports = (*self._rules.ports, *self._rules.source(location.host).ports)
        if not trusted and location.port not in open_ports:
            raise BadRequest(
                f"The source {location.origin} is refused: port {location.port} is not open.",
                remedy=f"Open ports are: {', '.join(map(str, open_ports))}.",
                code="source-refused",
            )


def _next(location: Location, reference: str) -> Location:
    """Where a redirect leads. Raises SourceRefused where it may not lead."""
    try:
        following = redirected(location, reference)
    except BadRequest as refusal:
        raise refusals.refused(location, f"it redirects elsewhere. {refusal.message}", refusal.remedy) from None
    if location.scheme == "https" and following.scheme == "http":
        raise refusals.refused(location, "it redirects from https to http.", "Give an https URL that stays https.")
    return following


def _opened(hop: Hop, max_size: int | None, expected_size: int | None = None, again: Again | None = None) -> Fetch:
    try:
        return Fetch(hop, max_size, expected_size, again)
    except BaseException:  # goes on to the caller; only the socket must not stay open
        hop.close()
        raise
