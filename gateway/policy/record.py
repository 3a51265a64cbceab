"""A decision as the decision log keeps it: what is listed here, and nothing else.

Never kept: property values, messages (they may quote a caller), whatever stands before `@`, after `?` or after `#`
in a source's address, and any fact the vocabulary does not know. `schemas/decision.schema.json` holds the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.model.approval import Approval
from gateway.model.decision import Decision, Lent, StageCall
from gateway.model.trust import Opening
from gateway.policy.facts import METHODS, OPENED, VOCABULARY, Facts, FactType
from gateway.policy.stops import stop_json

_KEPT = (*VOCABULARY, OPENED)


def record(
    decision: Decision,
    facts: Facts,
    *,
    decision_id: str,
    image_id: str | None,
    final: bool = False,
    rejudges: str | None = None,
) -> dict[str, Any]:
    """The log entry of `decision`, made of JSON values only. Times are RFC 3339 in UTC, sizes bytes.

    `rejudges` is the id of an earlier decision that is made again by a later tree, about an image that is active.
    """
    return {
        "id": decision_id,
        "at": said_time(facts.now),
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
        **_lent(decision.lent),
        **({"rejudges": rejudges} if rejudges else {}),
        "outcomes": dict(decision.outcomes),
        "stops": [stop_json(stop) for stop in decision.stops],
        "facts": kept_facts(facts.values),
    }


def opening_record(event: str, opening: Opening, *, by: str, at: datetime, revision: str) -> dict[str, Any]:
    """The log's line of a break-glass rule that `by` opened or closed (`event`): who, why and until when."""
    return {
        "event": event,
        "id": opening.id,
        "at": said_time(at),
        "project_id": opening.project,
        "user_id": by,
        "rule": opening.rule,
        "reason": opening.reason,
        "until": said_time(opening.until),
        "revision": revision,
    }


def approval_record(
    approval: Approval, *, project: str | None, decision_id: str, at: datetime, revision: str
) -> dict[str, Any]:
    """The log's line of an import that a person approved or refused, or that nobody decided about in time.

    `decision_id` is the decision that wanted it. The reason is for its owner and may quote what nobody else should
    read: the line says whether there is one.
    """
    return {
        "event": f"import-{approval.state}",
        "id": approval.import_id,
        "at": said_time(at),
        "image_id": approval.image_id,
        "project_id": project,
        "user_id": approval.decided_by,
        "role": approval.role,
        "digest": approval.digest,
        "reason_given": bool(approval.reason),
        "decision_id": decision_id,
        "revision": revision,
    }


def said_time(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def kept_facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that may be kept, by name."""
    return {name: _kept(name, values[name]) for name in _KEPT if name in values}


def _lent(lent: Lent | None) -> dict[str, Any]:
    """Nothing is opened without a reason, which stays with the opening: it may quote what nobody else should read."""
    if lent is None:
        return {}
    said = {"id": lent.id, "rule": lent.rule, "reason_given": True, "by": lent.by, "until": lent.until}
    return {"break_glass": said}


def _kept(name: str, value: Any) -> Any:
    if name in _CLEANED:
        return _CLEANED[name](value)
    if name == OPENED:
        return {rule: dict(opening) for rule, opening in value.items()}
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
