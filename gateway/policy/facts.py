"""The facts a policy may ask about: one closed, flat, typed vocabulary in three phases.

Rule 1: a fact that is not known is absent from `Facts.values`, never empty. `request.credential` is "" for an import
that asks for none of the operator's credentials: that is known.
Rule 2: adding a fact is one line in VOCABULARY, and the place that learns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

FactValue = str | int | bool | tuple[str, ...] | Mapping[str, str] | Mapping[str, Mapping[str, str]]


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
    "project.imports.accepted": (Phase.WHO, FactType.INT),
    "project.imports.rejected": (Phase.WHO, FactType.INT),
    "project.imports.first_at": (Phase.WHO, FactType.INT),
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
    "request.credential": (Phase.REQUEST, FactType.STRING),
    "request.size": (Phase.REQUEST, FactType.INT),
    "content.size": (Phase.CONTENT, FactType.INT),
    "content.virtual_size": (Phase.CONTENT, FactType.INT),
    "content.disk_format": (Phase.CONTENT, FactType.STRING),
}

GROUPS = frozenset(name.rpartition(".")[0] for name in VOCABULARY)
"""What stands before the last dot of a fact: `request`, `project.imports`..."""

HISTORY = frozenset(name for name in VOCABULARY if name.startswith("project.imports."))
"""What a project has imported so far: images that became active, imports that content or policy refused, and whole days
since the first of the former (absent while there is none). Learned only for trees that ask."""

OPENED = "project.opened"
"""The break-glass rules that are open for the project, by name, each with `id`, `by` and `until` of its opening.
Written by the gateway alone; no condition can read it: it opens the rules it names, and loosens nothing else."""

METHODS = ("copy-image", "glance-direct", "glance-download", "oci-download", "s3-download", "web-download")
"""Every import method the language knows. A build registers some of them; `all` means those."""

_BY_ADDRESS = frozenset({"request.host", "request.scheme", "request.port", "request.path", "request.credential"})

SOURCE_FACTS: Mapping[str, frozenset[str]] = {
    "glance-direct": frozenset(),
    "copy-image": frozenset(),
    "web-download": _BY_ADDRESS,
    "s3-download": _BY_ADDRESS,
    "oci-download": _BY_ADDRESS,
    "glance-download": frozenset({"request.region"}),
}
"""The facts about a source each method has. A limit key whose fact a method lacks is ignored for that method."""

SOURCE_NAMES: frozenset[str] = frozenset[str]().union(*SOURCE_FACTS.values())
"""The facts about a source that any method has."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one import now. Keys are VOCABULARY's names; `now` is an aware UTC time."""

    values: Mapping[str, FactValue]
    now: datetime

    def knowing(self, more: Mapping[str, FactValue]) -> Facts:
        return Facts({**self.values, **more}, self.now)
