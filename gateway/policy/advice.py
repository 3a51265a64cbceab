"""What a refused caller is told, wherever the refusal is met: in the answer of a call, in a task, in a what-if.

One text for all of them: what happened, what is allowed, and the smallest change that would pass. It names the rule
that refuses this very caller; never an expression, never a rule that is for somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.model.decision import Action, Decision, Reason
from gateway.policy.changes import Change
from gateway.policy.offers import offer_json, within_json
from gateway.policy.whatif import Passing, Question, smallest_change, unknown, values_json
from gateway.policy.wording import said_size


class Advice(NamedTuple):
    """The first reason of a refusal, its remedy with the smallest change in words; `passing` is that change."""

    reason: Reason
    passing: Passing | None


def advice(asked: Question, decision: Decision) -> Advice:
    """Of a decision that denies."""
    reason, passing = decision.reasons[0], smallest_change(asked)
    return Advice(replace(reason, remedy=f"{reason.remedy} {said_passing(passing)}".strip()), passing)


def said_passing(passing: Passing | None) -> str:
    """A sentence; empty where nothing was found."""
    if passing is None:
        return ""
    outcome = "would pass" if passing.action is Action.ALLOW else "nothing refuses so far"
    return f"The smallest change that {outcome}: {', '.join(map(said_change, passing.changes))}."


def said_change(change: Change) -> str:
    """One change as a request to the caller: `fetch it over https`."""
    return _SAID[change.kind](change.value)


def _list(values: Any) -> str:
    return " and ".join(str(value) for value in values)


def _said_host(host: Any) -> str:
    return f"take it from a host below {host.removeprefix('*.')}" if host.startswith("*.") else f"take it from {host}"


def _said_properties(properties: Any) -> str:
    return f"keep only the properties {_list(sorted(properties))}" if properties else "leave its properties out"


_SAID: Mapping[str, Callable[[Any], str]] = {
    "scheme": "fetch it over {}".format,
    "port": "fetch it from port {}".format,
    "host": _said_host,
    "region": "take it from region {}".format,
    "credential": lambda name: f"ask for credential {name}" if name else "ask for no credential",
    "disk_format": "make its disk format {}".format,
    "container_format": "make its container format {}".format,
    "visibility": "make it {}".format,
    "properties": _said_properties,
    "stores": lambda stores: f"put it into {_list(stores)}",
    "size": lambda size: f"make it at most {said_size(size)}",
    "virtual_size": lambda size: f"let it unpack to at most {said_size(size)}",
    "method": "import it by {}".format,
}


def answer_json(asked: Question) -> dict[str, Any]:
    """The body of a what-if's answer (`schemas/what-if.schema.json`): JSON values only, sizes in bytes.

    `within` are the alternatives that would hold: of a refused import those that discovery offers for its method.
    """
    decision = asked.decided()
    refused = decision.action is Action.DENY
    told = advice(asked, decision) if refused else None
    within = asked.offered(asked.method) if refused else decision.within
    return {
        "method": asked.method,
        "decision": decision.action.value,
        "reason": _reason_json(told.reason) if told else None,
        **offer_json(decision),
        "within": [within_json(one) for one in within],
        "unknown": unknown(asked, decision),
        "revision": decision.revision,
        "smallest_change": _passing_json(told.passing) if told and told.passing else None,
    }


def _reason_json(reason: Reason) -> dict[str, str | None]:
    return {"code": reason.code.value, "message": reason.message, "remedy": reason.remedy, "rule": reason.rule}


def _passing_json(passing: Passing) -> dict[str, Any]:
    return {
        "change": values_json(passing.changes),
        "decision": passing.action.value,
        "message": said_passing(passing),
    }
