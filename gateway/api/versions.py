"""The versions document, and which version prefixes lead to `/v2/`.

Listed are the minors whose calls this service has: v2.14, v2.16 and v2.18 brought the cache, which is not here, so they
are not advertised. Minors advertise only: every call behaves as the newest ("API versions" in the Images API
reference).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

CURRENT = "v2.17"
VERSIONS = (CURRENT, "v2.15", *(f"v2.{minor}" for minor in range(13, -1, -1)))

_PREFIX = re.compile(r"/(v\d+(?:\.\d+)?)(?=/|\Z)")
_ACCEPT = re.compile(r"application/vnd\.openstack\.images-(v\d+(?:\.\d+)?)\Z")


def versions_document(base_url: str) -> dict[str, Any]:
    """`base_url` has no trailing slash; every link ends in `/v2/`, as clients expect."""
    links = [{"rel": "self", "href": f"{base_url}/v2/"}]
    return {"versions": [{"id": name, "status": _status(name), "links": links} for name in VERSIONS]}


def versions_response(request: Request, public_endpoint: str | None, status: int = 300) -> JSONResponse:
    """The document with links built from the public endpoint, or from the request's own URL."""
    return JSONResponse(versions_document(base_url(request, public_endpoint)), status)


def base_url(request: Request, public_endpoint: str | None) -> str:
    return (public_endpoint or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")


def is_served(version: str) -> bool:
    return version == "v2" or version in VERSIONS


def is_of_the_family(version: str) -> bool:
    """For a gateway in front of a service whose minors it need not know."""
    return version == "v2" or version.startswith("v2.")


def canonical_path(path: str, accept: str = "", served: Callable[[str], bool] = is_served) -> str | None:
    """`path` with any advertised version prefix as `/v2`, or None where the version asked for is unknown.

    A path without a prefix may name its version in Accept (`application/vnd.openstack.images-v2.N`).
    """
    prefix = _PREFIX.match(path)
    if prefix:
        return f"/v2{path[prefix.end() :]}" if served(prefix[1]) else None
    named = _ACCEPT.match(accept)
    if named:
        return f"/v2{path}" if served(named[1]) else None
    return path


def _status(name: str) -> str:
    return "CURRENT" if name == CURRENT else "SUPPORTED"
