"""The id of one request: the caller's own where it sent a usable one, a fresh one otherwise.

The header is OpenStack's `x-openstack-request-id`; answers and log lines carry the same id.
"""

from __future__ import annotations

import re
import uuid

from starlette.types import Scope

from gateway.model.errors import HeadersTooLarge

HEADER = "x-openstack-request-id"
LONGEST = 64
_USABLE = re.compile(r"[A-Za-z0-9._-]+\Z")


def fresh() -> str:
    return f"req-{uuid.uuid4()}"


def chosen(sent: list[bytes]) -> str:
    """The id for a request that sent these header values. Raises HeadersTooLarge over 64 characters."""
    if any(len(value) > LONGEST for value in sent):
        raise HeadersTooLarge(
            f"The {HEADER} header is longer than {LONGEST} characters.",
            remedy="Send a shorter one, or none: the service makes its own.",
        )
    value = sent[0].decode("latin-1") if len(sent) == 1 else ""
    if not _USABLE.match(value):
        return fresh()
    return value if value.startswith("req-") else f"req-{value}"


def request_id(scope: Scope) -> str:
    """The id the guard gave to this request; empty where no guard stands in front."""
    found = scope.get("state", {}).get("request_id", "")
    return str(found)
