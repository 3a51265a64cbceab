"""What a fetch says when it gives up: one wording for each code, and never a query string."""

from __future__ import annotations

from gateway.methods.location import Location
from gateway.model.errors import OverLimit, SourceRefused


def unreachable(location: Location) -> SourceRefused:
    """One wording for an unknown name, a closed address, a closed port and silence: the gateway is no port scanner."""
    return SourceRefused(
        f"The source {location.origin} could not be reached.",
        remedy="Check that the name resolves to public addresses and that the server answers on this port; "
        "an internal source must be opened by the operator.",
        code="source-unreachable",
    )


def untrusted(location: Location) -> SourceRefused:
    return SourceRefused(
        f"The source {location.origin} did not prove who it is: its TLS certificate or handshake failed.",
        remedy="Serve the image with a certificate for this host name, from an authority the gateway trusts.",
        code="source-untrusted",
    )


def refused(location: Location, why: str, remedy: str) -> SourceRefused:
    return SourceRefused(f"The source {location.shown} is refused: {why}", remedy=remedy, code="source-refused")


class Answered(SourceRefused):
    """A source whose status brings no file; `challenge` is its WWW-Authenticate (RFC 9110 11.6.1)."""

    def __init__(self, message: str, location: Location, answered: int, *, remedy: str, code: str) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.location = location
        self.answered = answered
        self.challenge = ""


def failed(location: Location, status: int, challenge: str = "") -> Answered:
    refusal = Answered(
        f"The source {location.shown} answered with status {status}.",
        location,
        status,
        remedy="Check that the URL is complete, has not expired, and needs no login.",
        code="source-failed",
    )
    refusal.challenge = challenge
    return refusal


def roundabout(location: Location, status: int) -> Answered:
    return Answered(
        f"The source {location.shown} is refused: it redirects too often.",
        location,
        status,
        remedy="Give the URL it finally leads to.",
        code="source-refused",
    )


def forbidden(what: str) -> SourceRefused:
    return SourceRefused(
        f"{what} may not be read.",
        remedy="Check that it exists, and ask for a credential that may read it.",
        code="source-forbidden",
    )


def missing(what: str) -> SourceRefused:
    return SourceRefused(f"{what} is not there.", remedy="Check how it is written.", code="source-missing")


def broken(location: Location) -> SourceRefused:
    return SourceRefused(
        f"The source {location.shown} broke off, or did not speak proper HTTP.",
        remedy="Import again; if it happens again, the server has to be repaired.",
        code="source-broken",
    )


def truncated(location: Location, received: int, total: int | None) -> SourceRefused:
    promised = "" if total is None else f" of {total}"
    return SourceRefused(
        f"The source {location.shown} ended after {received}{promised} bytes.",
        remedy="Import again; if it happens again, the file on the server is shorter than it says.",
        code="source-truncated",
    )


def changed(location: Location) -> SourceRefused:
    """Another try begins with the new file's first byte."""
    return SourceRefused(
        f"The source {location.shown} broke off, and has another file there by now.",
        remedy="Import again once the file does not change any more.",
        code="source-changed",
        transient=True,
    )


def misfit(location: Location) -> SourceRefused:
    return SourceRefused(
        f"The source {location.shown} broke off, and then sent other bytes than the rest it was asked for.",
        remedy="Import again; if it happens again, the server has to be repaired.",
        code="source-broken",
    )


def given_up(broken: SourceRefused, asked: int) -> SourceRefused:
    """The last of several refusals, with how often the rest of the file was asked for."""
    if not asked:
        return broken
    return SourceRefused(
        f"{broken.message} It was asked {asked} times to go on.", remedy=broken.remedy, code=broken.code
    )


def stalled(location: Location, seconds: float) -> SourceRefused:
    return SourceRefused(
        f"The source {location.shown} sent nothing for {seconds:g} s.",
        remedy="Import again when the server is less busy.",
        code="source-stalled",
    )


def slow(location: Location, limit: str) -> SourceRefused:
    return SourceRefused(
        f"The source {location.shown} is too slow: {limit}.",
        remedy="Use a faster mirror, or upload the image.",
        code="source-slow",
    )


def over_limit(location: Location, max_size: int) -> OverLimit:
    return OverLimit(
        f"The source {location.shown} holds more than the {max_size} bytes this import may have.",
        remedy="Import a smaller image, or ask the operator for a higher limit.",
    )
