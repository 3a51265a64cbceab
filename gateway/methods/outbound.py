"""The one guarded fetch of this program: every byte from a source a caller names comes through here.

Each hop is checked anew (URL, port, policy, addresses) and has a transport of its own, so nothing is carried over: no
cookie, no header, no connection. `pace` limits a source's time, `backend` where it may be, `Fetch` how much it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import httpcore

from gateway.methods import refusals
from gateway.methods.address import parsed
from gateway.methods.backend import PinnedBackend, contactable
from gateway.methods.hop import Hop
from gateway.methods.location import Location, redirected
from gateway.methods.pace import Pace
from gateway.methods.resolver import Resolve, system_resolve
from gateway.methods.rules import FetchRules
from gateway.methods.transport import PinnedTransport, quiet, trust
from gateway.model.errors import BadRequest, SourceRefused
from gateway.ports import Block, Target

Check = Callable[[Target], None]
"""The policy's word on a target, asked before it is contacted. Raises a Refusal to stop."""


class Outbound:
    """Opens sources within one site's rules. Safe to use from many threads at once."""

    def __init__(self, rules: FetchRules, resolve: Resolve = system_resolve) -> None:
        quiet()
        self._rules = rules
        self._resolve = resolve
        self._trust = trust(rules.ca_file)

    def admit(self, location: Location) -> None:
        """Refuse what the URL alone shows to be out of bounds, before anything is looked up or contacted.

        Raises BadRequest (`source-refused`) for a port that is not open and for a literal address that is closed.
        It tells no more than the operator's rules, so it may be told at once.
        """
        self._admit_port(location)
        literal = parsed(location.host)
        if literal and not contactable(self._rules, literal, location.port):
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
        `headers` go to `location` alone: a redirect is asked without them.
        """
        until = time.monotonic() + self._rules.deadlines.total
        for _ in range(self._rules.max_redirects + 1):
            hop = self._hop(location, check, until, headers)
            if (reference := hop.redirect) is None:
                return _opened(hop, max_size, expected_size)
            hop.close()
            location, headers = _next(location, reference), None
        raise refusals.refused(location, "it redirects too often.", "Give the URL it finally leads to.")

    def ask(self, location: Location, body: bytes, *, headers: Mapping[str, str], max_size: int) -> bytes:
        """POST to a place that needs no policy, and read the whole answer; a redirect is none.

        Raises SourceRefused, OverLimit, BadRequest for a port that is not open.
        """
        self._admit_port(location)
        until = time.monotonic() + self._rules.deadlines.total
        fetch = _opened(self._contact(location, until, headers, body), max_size, None)
        return b"".join(bytes(block) for block in fetch.blocks())

    def _hop(self, location: Location, check: Check, until: float, headers: Mapping[str, str] | None) -> Hop:
        self._admit_port(location)
        check(location.target)
        return self._contact(location, until, headers)

    def _contact(
        self, location: Location, until: float, headers: Mapping[str, str] | None, body: bytes | None = None
    ) -> Hop:
        pace = Pace(self._rules.deadlines, location, until)
        backend = PinnedBackend(self._rules, self._resolve, location, pace)
        return Hop(location, pace, PinnedTransport(backend, self._trust), headers, body)

    def _admit_port(self, location: Location) -> None:
        trusted = (location.host, location.port) in self._rules.trusted
        if not trusted and location.port not in self._rules.ports:
            raise BadRequest(
                f"The source {location.origin} is refused: port {location.port} is not open.",
                remedy=f"Open ports are: {', '.join(map(str, self._rules.ports))}.",
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


def _opened(hop: Hop, max_size: int | None, expected_size: int | None) -> Fetch:
    try:
        return Fetch(hop, max_size, expected_size)
    except BaseException:  # goes on to the caller; only the socket must not stay open
        hop.close()
        raise


class Fetch:
    """An open source, as `gateway.ports.Source` has it.

    A broken connection ends it. Resuming with a range request (RFC 9110 14.2) would go where `blocks` asks the hop
    for its body: everything around it counts bytes of the file, not of a connection.
    """

    def __init__(self, hop: Hop, max_size: int | None, expected_size: int | None) -> None:
        """Raises SourceRefused and OverLimit by the head alone."""
        hop.check_plain()
        if hop.total is None and not hop.chunked and expected_size is None:
            raise refusals.refused(
                hop.location,
                "it does not say how long the file is, so a broken transfer would look complete.",
                "Use a server that sends a Content-Length.",
            )
        self.total = hop.total if hop.total is not None else expected_size
        self._hop = hop
        self._location = hop.location
        self._received = 0
        self._max_size = max_size
        self._check_cap(self.total or 0)

    def blocks(self) -> Iterator[Block]:
        try:
            for block in self._hop.body():
                self._received += len(block)
                self._check_cap(self._received)
                yield block
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise self._ended(error) from None
        finally:
            self.close()
        if self.total is not None and self._received != self.total:
            raise refusals.truncated(self._location, self._received, self.total)

    def close(self) -> None:
        self._hop.close()

    def _check_cap(self, size: int) -> None:
        if self._max_size is not None and size > self._max_size:
            raise refusals.over_limit(self._location, self._max_size)

    def _ended(self, error: Exception) -> SourceRefused:
        """A body that stops early is truncated; one that is no chunked coding is broken."""
        early = self._hop.ended or isinstance(error, httpcore.NetworkError)
        if not early:
            return refusals.broken(self._location)
        return refusals.truncated(self._location, self._received, self.total)
