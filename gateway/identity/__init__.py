"""Who asks. An identity is one file here and one line in IDENTITIES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.identity.basic import BasicIdentity
from gateway.identity.none import Everyone
from gateway.model.errors import BadRequest
from gateway.ports import Identity

__all__ = ["IDENTITIES", "BasicIdentity", "Everyone"]


def _basic(settings: Any) -> Identity:
    if settings.htpasswd is None:
        raise BadRequest("identity.type 'basic' needs a user file", remedy="Set identity.htpasswd to its path.")
    return BasicIdentity(settings.htpasswd, settings.users)


IDENTITIES: Mapping[str, Callable[[Any], Identity]] = {
    "none": lambda settings: Everyone(settings.everyone),
    "basic": _basic,
}
"""`identity.type` -> how it is made of the `identity` settings."""
