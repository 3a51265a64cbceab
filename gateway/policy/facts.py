"""The facts a policy may ask about: one closed, flat, typed vocabulary in three phases.

Rule 1: a fact that is not known is absent from `Facts.values`, never empty.
Rule 2: adding a fact is one line in VOCABULARY, and the place that learns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

FactValue = str | int | bool | tuple[str, ...] | Mapping[str, str]


class Phase(StrEnum):
    """When a fact becomes known: the token is read, the call is made, the bytes have been seen."""

    WHO = "who"
    REQUEST = "request"
    CONTENT = "content"


class FactType(StrEnum):
    """CEL types of facts, in CEL's own words."""

    STRING = "string"
    INT = "int"
    STRINGS = "list(string)"
    STRING_MAP = "map(string, string)"


VOCABULARY: Mapping[str, tuple[Phase, FactType]] = {
    "project.id": (Phase.WHO, FactType.STRING),
    "project.name": (Phase.WHO, FactType.STRING),
    "project.domain": (Phase.WHO, FactType.STRING),
    "project.tags": (Phase.WHO, FactType.STRINGS),
    "user.id": (Phase.WHO, FactType.STRING),
    "user.roles": (Phase.WHO, FactType.STRINGS),
    "request.method": (Phase.REQUEST, FactType.STRING),
    "request.host": (Phase.REQUEST, FactType.STRING),
    "request.scheme": (Phase.REQUEST, FactType.STRING),
    "request.port": (Phase.REQUEST, FactType.INT),
    "request.path": (Phase.REQUEST, FactType.STRING),
    "request.disk_format": (Phase.REQUEST, FactType.STRING),
    "request.container_format": (Phase.REQUEST, FactType.STRING),
    "request.visibility": (Phase.REQUEST, FactType.STRING),
    "request.properties": (Phase.REQUEST, FactType.STRING_MAP),
    "request.stores": (Phase.REQUEST, FactType.STRINGS),
    "request.region": (Phase.REQUEST, FactType.STRING),
    "request.size": (Phase.REQUEST, FactType.INT),
    "content.size": (Phase.CONTENT, FactType.INT),
    "content.virtual_size": (Phase.CONTENT, FactType.INT),
    "content.disk_format": (Phase.CONTENT, FactType.STRING),
}

METHODS = ("copy-image", "glance-direct", "glance-download", "oci-download", "s3-download", "web-download")
"""Every import method the language knows. A build registers some of them; `all` means those."""

SOURCE_FACTS: Mapping[str, frozenset[str]] = {
    "glance-direct": frozenset(),
    "copy-image": frozenset(),
    "web-download": frozenset({"request.host", "request.scheme", "request.port", "request.path"}),
    "s3-download": frozenset({"request.host", "request.scheme", "request.port", "request.path"}),
    "oci-download": frozenset({"request.host", "request.scheme", "request.port", "request.path"}),
    "glance-download": frozenset({"request.region"}),
}
"""The facts about a source each method has. A limit key whose fact a method lacks is ignored for that method."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one import now. Keys are VOCABULARY's names; `now` is an aware UTC time."""

    values: Mapping[str, FactValue]
    now: datetime

    def knowing(self, more: Mapping[str, FactValue]) -> Facts:
        return Facts({**self.values, **more}, self.now)
