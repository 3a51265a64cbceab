"""A decision as the decision log keeps it: what is listed here, and nothing else.

Never kept: property values, messages (they may quote a caller), whatever stands before `@`, after `?` or after `#`
in a source's address, and any fact the vocabulary does not know. `schemas/decision.schema.json` holds the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from gateway.model.decision import Decision, StageCall
from gateway.policy.facts import METHODS, VOCABULARY, Facts, FactType


def record(
    decision: Decision, facts: Facts, *, decision_id: str, image_id: str | None, final: bool = False
) -> dict[str, Any]:
    """The log entry of `decision`, made of JSON values only. Times are RFC 3339 in UTC, sizes bytes."""
    return {
        "id": decision_id,
        "at": facts.now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "image_id": image_id,
        "project_id": facts.values.get("project.id"),
        "user_id": facts.values.get("user.id"),
        "method": _method(decision.method),
        "final": final,
        "action": decision.action.value,
        "revision": decision.revision,
        "reasons": [{"code": reason.code.value, "rule": reason.rule} for reason in decision.reasons],
        "plan": {
            "stages": [_call(call) for call in decision.plan.stages],
            "max_size": decision.plan.max_size,
        },
        "outcomes": dict(decision.outcomes),
        "facts": kept_facts(facts.values),
    }


def kept_facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that may be kept, by name."""
    return {name: _kept(name, values[name]) for name in VOCABULARY if name in values}


def _kept(name: str, value: Any) -> Any:
    if name in _CLEANED:
        return _CLEANED[name](value)
    return list(value) if VOCABULARY[name][1] is FactType.STRINGS else value


def _method(method: str) -> str | None:
    """None where a caller named a method that nobody knows: its text is the caller's own."""
    return method if method in METHODS else None


def _call(call: StageCall) -> dict[str, Any]:
    return {"name": call.name, "options": call.as_mapping()}


def _bare_host(host: str) -> str:
    return host.rpartition("@")[2]


def _bare_path(path: str) -> str:
    return path.partition("?")[0].partition("#")[0]


_CLEANED: Mapping[str, Callable[[Any], Any]] = {
    "request.method": _method,
    "request.host": _bare_host,
    "request.path": _bare_path,
    "request.properties": sorted,
}
"""Facts that are kept in part: a clean address, and the names of properties."""
