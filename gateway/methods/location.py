"""One reading of a URL, in one canonical form: what the policy sees is what is contacted.

RFC 3986 without its oddities: no userinfo, no characters a URL must percent-encode, no dot segments, no numeric host
but dotted decimal IPv4 or IPv6 in brackets. Every refusal leaves the query out, which often carries a signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urljoin

import idna

from gateway.methods.address import plain
from gateway.model.errors import BadRequest
from gateway.ports import Target

MAX_LENGTH = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?", re.I
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]*\]|[^:\[\]]*)(:(?P<port>[0-9]{1,5}))?", re.I)
_UNWRITTEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029]")
_PATH = re.compile(r"(/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?")
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A checked URL. `host` is lower case, IDNA, without trailing dot or brackets; `port` is always there.

    `query` keeps its question mark and never shows in a representation of the value.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = field(default="", repr=False)

    @property
    def target(self) -> Target:
        return Target(scheme=self.scheme, host=self.host, port=self.port, path=self.path)

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def shown(self) -> str:
        """The URL as anybody may see it: without its query."""
        return f"{self.origin}{self.path}"

    @property
    def url(self) -> str:
        return f"{self.shown}{self.query}"


def parse(text: str) -> Location:
    """Read an absolute http(s) URL. Raises BadRequest (`bad-uri`), naming what is wrong."""
    if len(text) > MAX_LENGTH:
        raise _bad(f"The URL is longer than {MAX_LENGTH} characters.")
    if _UNWRITTEN.search(text):
        raise _bad("The URL holds a space, a backslash or a control character.", "Percent-encode it.")
    parts = _URL.fullmatch(text)
    if parts is None or (scheme := parts["scheme"].lower()) not in _DEFAULT_PORTS:
        raise _bad("Only absolute http:// and https:// URLs can be fetched.")
    host, port = _authority(parts["authority"])
    return Location(
        scheme=scheme,
        host=host,
        port=port or _DEFAULT_PORTS[scheme],
        path=_path(parts["path"]),
        query=_query(parts["query"] or ""),
    )


def redirected(location: Location, reference: str) -> Location:
    """Where a Location header (RFC 9110 10.2.2), absolute or relative, leads. Raises BadRequest as `parse` does."""
    if _UNWRITTEN.search(reference):  # urljoin drops some of these silently
        raise _bad("The URL holds a space, a backslash or a control character.")
    try:
        return parse(urljoin(location.url, reference))
    except ValueError:
        raise _bad("The URL cannot be read.") from None


def _bad(message: str, remedy: str = "Give a plain http:// or https:// URL.") -> BadRequest:
    return BadRequest(message, remedy=remedy, code="bad-uri")


def _authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise _bad("The URL holds a user name or password.", "Leave out everything up to the '@'.")
    parts = _AUTHORITY.fullmatch(authority)
    port = int(parts["port"]) if parts and parts["port"] else None
    if parts is None or port == 0 or (port or 0) > 65535:
        raise _bad("The URL's host and port cannot be read.")
    host = parts["host"]
    return (_bracketed(host[1:-1]) if host.startswith("[") else _name(host)), port


def _bracketed(text: str) -> str:
    try:
        return str(plain(IPv6Address(text)))
    except AddressValueError:
        raise _bad("The URL's host is no IPv6 address.") from None


def _name(text: str) -> str:
    host = _ascii(text).lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _dotted(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad("The URL's host is no valid host name.")
    return host


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        raise _bad("The URL's host is no valid internationalised host name (IDNA 2008).") from None


def _dotted(host: str) -> str:
    """Only four decimal numbers: resolvers read `127.1`, `0x7f.1`, `017700000001` and `2130706433` as addresses too."""
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise _bad("The URL's host is a number, but no IPv4 address.", "Write it as four decimal numbers.") from None


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise _bad("The URL's path holds a character that must be percent-encoded.", "Percent-encode it.")
    path = _ESCAPE.sub(_unescaped, text) or "/"
    if re.search(r"%[01][0-9A-F]|%7F|%5C", path):
        raise _bad("The URL's path holds an encoded control character or backslash.")
    if any(segment in (".", "..") for segment in path.split("/")):
        raise _bad("The URL's path holds a '.' or '..' segment.", "Write the path without it.")
    return path


def _unescaped(escape: re.Match[str]) -> str:
    """RFC 3986 6.2.2: an escaped unreserved character is the character; the digits of others are upper case."""
    character = chr(int(escape[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()


def _query(text: str) -> str:
    if text and not _QUERY.fullmatch(text[1:]):
        raise _bad("The URL's query holds a character that must be percent-encoded.", "Percent-encode it.")
    return text
