"""One request to one location, up to and including the head of its response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpcore
import httpx

from gateway.methods import refusals
from gateway.methods.location import Location
from gateway.methods.pace import Pace
from gateway.methods.transport import PinnedTransport

MAX_FIELDS = 100
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "import-gateway"}


class Hop:
    """An answered request. The transport is asked directly: httpx's client on top would log the whole URL, keep
    cookies and read redirects in its own way.
    """

    def __init__(
        self,
        location: Location,
        pace: Pace,
        transport: PinnedTransport,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """Send the request, with `headers` besides its own; with a `body` it is a POST.

        Raises SourceRefused; nothing stays open then.
        """
        self.location = location
        self._pace = pace
        self._transport = transport
        try:
            self._response = transport.handle_request(
                httpx.Request(
                    "GET" if body is None else "POST",
                    location.url,
                    headers={**_HEADERS, **(headers or {})},
                    content=body,
                )
            )
            self._check_fields()
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            self.close()
            raise refusals.broken(location) from error
        except BaseException:  # whatever it is goes on to the caller; only the socket must not stay open
            self.close()
            raise

    def _check_fields(self) -> None:
        if len(self._response.headers.raw) > MAX_FIELDS:
            raise refusals.broken(self.location)

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def fields(self) -> Mapping[str, str]:
        """The header fields; names in any case."""
        return self._response.headers

    @property
    def redirect(self) -> str | None:
        """The Location header of a redirect (RFC 9110 15.4); None for a final answer."""
        if self.status not in _REDIRECTS:
            return None
        return self.fields.get("Location")

    @property
    def total(self) -> int | None:
        """Bytes of the body, None where it is chunked or ends with the connection (RFC 9112 6.3)."""
        length = self.fields.get("Content-Length")
        return int(length) if length is not None and not self.chunked else None

    @property
    def chunked(self) -> bool:
        return "Transfer-Encoding" in self.fields

    @property
    def ended(self) -> bool:
        """Whether the server has closed its side."""
        return self._pace.ended

    def check_plain(self, status: int = httpx.codes.OK) -> None:
        """Raises SourceRefused unless the answer has this status and the file's own bytes."""
        if self.status != status:
            raise refusals.failed(self.location, self.status, self.fields.get("WWW-Authenticate", ""))
        if "Content-Encoding" in self.fields:
            raise refusals.refused(
                self.location,
                "it sends the file in a Content-Encoding although none was asked for.",
                "Let the server send the file as it is.",
            )

    def body(self) -> Iterator[bytes]:
        """The raw bytes as they arrive. Raises SourceRefused, httpcore.NetworkError, httpcore.ProtocolError."""
        self._pace.begin_body()
        return self._response.iter_raw()

    def close(self) -> None:
        self._transport.close()
