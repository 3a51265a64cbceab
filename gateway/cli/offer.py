"""Is this import offered? The answer of GET /v2/info/import, held against what is known before a byte is sent.

Only a sure refusal is one: what is still open, or what this client does not understand, is left for the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gateway.model.decision import Within
from gateway.model.errors import PolicyRefused
from gateway.policy.expression import Truth
from gateway.policy.facts import FactValue
from gateway.policy.within import granting, weighed
from gateway.policy.wording import said_fact, said_within

_SEE = "`import-gateway methods` shows what this project may import."
_KEYS = frozenset(field.name for field in fields(Within))


@dataclass(frozen=True, slots=True)
class Offers:
    """The discovery document of one caller, in parts. `policy` is empty where the service has no `import-policy`."""

    methods: tuple[str, ...]
    policy: Mapping[str, Any]

    @classmethod
    def of(cls, discovery: Mapping[str, Any]) -> Offers:
        policy = _value(discovery, "import-policy")
        return cls(tuple(_value(discovery, "import-methods") or ()), policy if isinstance(policy, dict) else {})

    def terms(self, method: str) -> Mapping[str, Any]:
        """The `within`, `stages`, `warnings`... of an offered method; empty where nothing is said."""
        return dict(self.policy.get("methods", {}).get(method, {}))

    def within(self, method: str) -> tuple[Within, ...]:
        """The alternatives one of which must cover the import; keys this client does not know are left out."""
        return tuple(_within(alternative) for alternative in self.terms(method).get("within") or [{}])

    @property
    def withheld(self) -> Mapping[str, Mapping[str, str]]:
        return dict(self.policy.get("withheld", {}))


def check_offer(offers: Offers, method: str, facts: Mapping[str, FactValue]) -> None:
    """Raises PolicyRefused where the service has already said that it will refuse this. `facts` are `request.` ones."""
    if method not in offers.methods:
        raise _withheld(offers, method)
    ways = offers.within(method)
    missed = [_missed(within, method, facts) for within in ways]
    if all(missed):
        allowed = "; or ".join(said_within(within, method) for within in ways)
        raise PolicyRefused(
            f"This project may not import this by {method}. {said_fact(min(missed, key=len)[0], facts)}.",
            remedy=f"Allowed: {allowed}.",
            code="over-limit",
        )


def _missed(within: Within, method: str, facts: Mapping[str, FactValue]) -> list[str]:
    return [key for key, _, kept in weighed(within, method, facts) if kept is Truth.NO]


def _withheld(offers: Offers, method: str) -> PolicyRefused:
    about = offers.withheld.get(method, {})
    offered = ", ".join(offers.methods) or "nothing"
    return PolicyRefused(
        str(about.get("message") or f"Method {method} is not offered to this project."),
        remedy=f"Offered: {offered}. {_SEE}",
        code=str(about.get("reason") or "not-granted"),
    )


def _within(alternative: Mapping[str, Any]) -> Within:
    known = {key: value for key, value in alternative.items() if key in _KEYS}
    values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in known.items()}
    return granting(Within(**values))


def _value(discovery: Mapping[str, Any], key: str) -> Any:
    entry = discovery.get(key)
    return entry.get("value") if isinstance(entry, dict) else None
