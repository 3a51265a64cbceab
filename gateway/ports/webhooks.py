"""The port to an operator's own endpoints, which are asked about an image before it may be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.model.verdict import Finding

Word = Literal["allow", "deny", "report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an endpoint says. `report` allows, with a message for the record."""

    word: Word
    message: str = ""
    findings: tuple[Finding, ...] = ()


class Webhooks(Protocol):
    """Endpoints by name. Safe to use from many threads at once."""

    def ask(self, name: str, *, message_id: str, now: datetime, message: Any) -> Answer:
        """Send `message` (JSON values), in bounded time. Raises Unavailable for whatever is no answer."""
        ...
