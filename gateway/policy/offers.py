"""Discovery: what one caller is told it may import, and why not the rest. Made of the same decisions, never typed in.

The document extends `GET /v2/info/import` of the Images API ("Import methods and values discovery") by the keys its
specification of 2015 names, each as description, type and value.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.model.decision import Action, Decision, Within
from gateway.model.usage import Quota
from gateway.policy.decide import decide
from gateway.policy.facts import OPENED, Facts
from gateway.policy.matching import openable, who
from gateway.policy.rules import Policy, Rule
from gateway.policy.within import CREDENTIALS, LIMITS


@dataclass(frozen=True, slots=True)
class Offers:
    """One decision for each registered method, made with the facts of the first phase.

    `openable` are the break-glass rules this caller may open, `opened` those that are open for its project, each with
    what is known of its opening.
    """

    revision: str
    decisions: Mapping[str, Decision]
    openable: tuple[Rule, ...] = ()
    opened: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods this caller may use, sorted: the value of `import-methods`."""
        return tuple(sorted(name for name, one in self.decisions.items() if one.action is not Action.DENY))

    @property
    def quotas(self) -> tuple[Quota, ...]:
        """Of which a project has to keep one before a method is chosen: the quotas of every offered method, or, where
        none is offered, those of the limits alone. Empty where there is nothing to keep.
        """
        each = [self.decisions[name].plan.quotas for name in self.methods or self.decisions]
        return tuple({quota: None for quotas in each for quota in quotas}) if all(each) else ()

    @property
    def within(self) -> tuple[Within, ...]:
        """Every alternative of every offered method."""
        return tuple(within for name in self.methods for within in self.decisions[name].within)


def offers(policy: Policy, facts: Facts, stages: Container[str] | None = None) -> Offers:
    """What `facts` (of the first phase) can import by each method of the build.

    `stages` are the names of the stages set up at this site; None means all. Raises KeyError as `decide` does.
    """
    decisions = {method: decide(policy, method, facts, stages=stages) for method in policy.methods}
    if not policy.break_glass:
        return Offers(policy.revision, decisions)
    asking, opened = who(facts), facts.values.get(OPENED, {})
    mine = tuple(rule for rule in policy.break_glass if openable(rule, asking, facts.now))
    return Offers(policy.revision, decisions, mine, opened)  # type: ignore[arg-type]


def within_json(within: Within) -> dict[str, int | list[str] | list[int]]:
    """The limits that are set, by name; sizes in bytes. Without `credentials`, none may be used."""
    found = {key: getattr(within, key) for key in LIMITS if key != CREDENTIALS or within.credentials}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in found.items() if value is not None
    }


def offer_json(decision: Decision) -> dict[str, Any]:
    """One offered method. `within` holds alternatives: an import has to be inside one of them."""
    sometimes = [{"stage": call.name, "message": message} for call, message in decision.sometimes]
    return {
        "within": [within_json(within) for within in decision.within],
        "stages": list(dict.fromkeys(call.name for call in decision.plan.stages)),
        "sometimes": sometimes,
        "refused_when": list(decision.refused_when),
        "warnings": list(decision.warnings),
    }


def withheld_json(decision: Decision) -> dict[str, str]:
    reason = decision.reasons[0]
    return {"reason": reason.code.value, "message": f"{reason.message} {reason.remedy}".strip()}


def break_glass_json(offered: Offers) -> dict[str, Any]:
    """What may be opened in an emergency and what is open; nothing where there is neither."""
    found: dict[str, Any] = {}
    if offered.openable:
        found["may_open"] = [openable_json(rule) for rule in offered.openable]
        found["how"] = HOW_TO_OPEN
    if offered.opened:
        found["open"] = [{"rule": rule, **opening} for rule, opening in sorted(offered.opened.items())]
    return {"break_glass": found} if found else {}


def openable_json(rule: Rule) -> dict[str, Any]:
    """A break-glass rule: its name, the methods it grants, and for how many seconds it may be opened."""
    longest = int(rule.break_glass.longest.total_seconds()) if rule.break_glass else 0
    return {"rule": rule.name, "methods": sorted(rule.methods), "max_seconds": longest}


HOW_TO_OPEN = 'POST /v2/info/import/break-glass {"rule": ..., "reason": ..., "duration": "1h"}'


def policy_json(offered: Offers) -> dict[str, Any]:
    """The value of `import-policy`."""
    known = sorted(offered.decisions.items())
    return {
        "revision": offered.revision,
        "methods": {name: offer_json(one) for name, one in known if one.action is not Action.DENY},
        "withheld": {name: withheld_json(one) for name, one in known if one.action is Action.DENY},
        **break_glass_json(offered),
    }


def discovery(policy: Policy, facts: Facts, stages: Container[str] | None = None) -> dict[str, Any]:
    """The body of `GET /v2/info/import` for one caller (`schemas/discovery.schema.json`). Unlimited keys are absent."""
    return document(offers(policy, facts, stages))


def document(offered: Offers) -> dict[str, Any]:
    """The discovery document of `offered`; a field is one line of FIELDS."""
    found = {
        name: {"description": description, "type": kind, "value": value(offered)}
        for name, (description, kind, value) in FIELDS.items()
    }
    return {name: field for name, field in found.items() if field["value"] is not None}


def _most(key: str) -> Callable[[Offers], int | None]:
    """The widest size over all alternatives; None where one is unlimited, or nothing is offered."""

    def widest(offered: Offers) -> int | None:
        sizes = [getattr(within, key) for within in offered.within]
        return None if None in sizes else max(sizes, default=None)

    return widest


def _any(key: str) -> Callable[[Offers], list[str] | None]:
    """The union of a list over all alternatives; None where one is unlimited, or nothing is offered."""

    def union(offered: Offers) -> list[str] | None:
        lists: list[Iterable[str] | None] = [getattr(within, key) for within in offered.within]
        known = [one for one in lists if one is not None]
        return sorted({value for one in known for value in one}) if known and len(known) == len(lists) else None

    return union


FIELDS: Mapping[str, tuple[str, str, Callable[[Offers], Any]]] = {
    "import-methods": ("Import methods available.", "array", lambda offered: list(offered.methods)),
    "max_upload_bytes": ("Most bytes an import may have, whatever its method.", "integer", _most("max_size")),
    "max_virtual_bytes": ("Most bytes an image may unpack to.", "integer", _most("max_virtual_size")),
    "max_images": ("Most images a project may have.", "integer", _most("max_images")),
    "max_total_size": ("Most bytes the images of a project may take.", "integer", _most("max_total_size")),
    "max_active_imports": ("Most imports a project may have under way.", "integer", _most("max_active_imports")),
    "source_disk_format": ("Disk formats an import may have.", "array", _any("disk_formats")),
    "source_container_format": ("Container formats an import may have.", "array", _any("container_formats")),
    "import-policy": ("What this project may import. Decided at import.", "object", policy_json),
}
"""Every field of the discovery document: its description, its JSON type, and what computes it."""
