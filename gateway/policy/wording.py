"""What a policy says to a tenant: plain sentences, never an expression, never the name of a rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.model.decision import Reason, ReasonCode, StageCall, Within
from gateway.policy.facts import FactValue
from gateway.policy.rules import Verb
from gateway.policy.within import CREDENTIALS, LIMIT_FACTS, limits

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[a-z_]+)+)\}")
_LONGEST_FACT = 200

_ASK = "Ask the operators of your cloud if your project needs it."

_SUBJECTS: Mapping[str, str] = {
    "max_size": "The image is",
    "max_virtual_size": "The image unpacks to",
    "disk_formats": "Its disk format is",
    "container_formats": "Its container format is",
    "hosts": "Its source is",
    "schemes": "Its source is fetched over",
    "ports": "Its source is on port",
    "stores": "It is meant for the stores",
    "regions": "It comes from region",
    "credentials": "It asks for credential",
}


_SIZES: Mapping[str, str] = {"max_size": "at most {}", "max_virtual_size": "at most {} unpacked"}

_COUNTED: Mapping[str, str] = {
    "max_images": "at most {} in the project",
    "max_total_size": "at most {} in the project",
    "max_active_imports": "at most {} at once in the project",
}

_THINGS: Mapping[str, tuple[str, str]] = {
    "max_images": ("image", "images"),
    "max_active_imports": ("active import", "active imports"),
}

_ROOM: Mapping[str, str] = {
    "max_images": "Delete an image, or ask",
    "max_total_size": "Delete images or staged data, or ask",
    "max_active_imports": "Wait until one has ended, delete staged images, or ask",
}


def said_size(size: int) -> str:
    """A size in bytes as people write it: `20GiB`, `1.5MiB`, `300B`. Exact wherever one decimal can be."""
    unit, value = 0, float(size)
    while value >= 1024 and unit < len(_UNITS) - 1:
        unit, value = unit + 1, value / 1024
    return f"{value:.1f}".removesuffix(".0") + _UNITS[unit]


def _said(value: Any) -> str:
    """A fact's value; of a map its keys alone, for the values of properties may be secrets."""
    return ", ".join(str(one) for one in value) if isinstance(value, tuple | list | Mapping) else str(value)


def said_limit(key: str, limit: Any) -> str:
    """One limit as a phrase: `at most 20GiB`, `from *.fedoraproject.org over https`."""
    if key in _SIZES:
        return _SIZES[key].format(said_size(limit))
    if key in _COUNTED:
        return _COUNTED[key].format(said_amount(key, limit))
    patterns = {
        "disk_formats": "disk format {}",
        "container_formats": "container format {}",
        "hosts": "from {}",
        "schemes": "over {}",
        "ports": "on port {}",
        "stores": "into store {}",
        "regions": "from region {}",
        "credentials": "with credential {}",
    }
    words = [*limit, "none"] if key == CREDENTIALS else limit
    return patterns[key].format(" or ".join(str(one) for one in words) or "none")


def said_amount(key: str, amount: int) -> str:
    """How much of what a quota bounds: `3 images`, `20GiB`."""
    if key not in _THINGS:
        return said_size(amount)
    one, many = _THINGS[key]
    return f"{amount} {one if amount == 1 else many}"


def over_quota(key: str, limit: int, used: int, asked: int) -> tuple[str, str]:
    """Message and remedy of a quota that has no room: what it lets a project have, what the project has, what more
    was asked for. `used` is without `asked`.
    """
    message = (
        f"This project may have {said_limit(key, limit).removesuffix(' in the project')}; "
        f"it has {said_amount(key, used)}{f', and this needs {said_amount(key, asked)} more' if asked else ''}."
    )
    return message, f"{_ROOM[key]} the operators of your cloud for a higher limit."


def said_within(within: Within, method: str) -> str:
    """All limits of a `within` in one phrase; empty where nothing is limited."""
    said = ", ".join(said_limit(key, limit) for key, limit in limits(within, method))
    return said if within.hosts is None else said.replace(", over ", " over ")


def said_fact(key: str, values: Mapping[str, FactValue]) -> str:
    """What the import is, where it went past the limit `key`."""
    if key in _COUNTED:
        return "counted when it is imported"
    value: Any = values.get(LIMIT_FACTS[key])
    if key == "max_size" and value is None:
        value = values.get("request.size")
    if key == "disk_formats" and value is None:
        value = values.get("content.disk_format")
    if value is None:
        return f"{_SUBJECTS[key]} not known"
    return f"{_SUBJECTS[key]} {said_size(value) if key in _SIZES else _said(value)}"


def placeholders(message: str) -> list[str]:
    """The facts a rule's message shows."""
    return _PLACEHOLDER.findall(message)


def filled(message: str, values: Mapping[str, FactValue]) -> str:
    """A rule's message with its `{fact}` placeholders filled; a fact that is not known yet shows as `<host>`."""
    return _PLACEHOLDER.sub(lambda match: _shown(match.group(1), values), message)


def _shown(fact: str, values: Mapping[str, FactValue]) -> str:
    value = values.get(fact)
    if value is None:
        return f"<{fact.partition('.')[2]}>"
    text = said_size(value) if fact.endswith("size") and isinstance(value, int) else _said(value)
    return "".join(letter for letter in text[:_LONGEST_FACT] if letter.isprintable())


def method_unknown(method: str, offered: Iterable[str]) -> Reason:
    return Reason(
        code=ReasonCode.METHOD_UNAVAILABLE,
        message=f"This cloud has no import method '{_shown('request.method', {'request.method': method})}'.",
        remedy=f"It knows {', '.join(sorted(offered)) or 'none'}.",
    )


def openings(rules: Iterable[str]) -> str:
    """How to open the break-glass rules of these names; empty for none."""
    names = " or ".join(f"'{rule}'" for rule in rules)
    return f"In an emergency you may open {names}: POST /v2/info/import/break-glass." if names else ""


def not_granted(method: str, openable: Iterable[str] = ()) -> Reason:
    """`openable` are the break-glass rules that the caller could open."""
    return Reason(
        code=ReasonCode.NOT_GRANTED,
        message=f"Nothing allows this project to import by {method}.",
        remedy=f"{_ASK} {openings(openable)}".strip(),
    )


def not_covered(
    method: str,
    key: str,
    values: Mapping[str, FactValue],
    grants: Iterable[Within],
    rule: str,
    openable: Iterable[str] = (),
) -> Reason:
    """Grants exist, but none covers this import; `key` is the limit the nearest one fails on."""
    ways = sorted({said_within(grant, method) or "anything" for grant in grants})
    return Reason(
        code=ReasonCode.NOT_GRANTED,
        message=f"No grant of this project covers this import by {method}. {said_fact(key, values)}.",
        remedy=f"Granted: {'; or '.join(ways)}. {openings(openable)}".strip(),
        rule=rule,
    )


def over_limit(key: str, limit: Any, values: Mapping[str, FactValue], message: str | None, rule: str) -> Reason:
    said = filled(message, values) if message else f"{said_fact(key, values)}, which is outside what is allowed."
    return Reason(code=ReasonCode.OVER_LIMIT, message=said, remedy=f"Allowed: {said_limit(key, limit)}.", rule=rule)


def nothing_left(method: str, rule: str) -> Reason:
    return Reason(
        code=ReasonCode.OVER_LIMIT,
        message=f"What this project is granted by {method} and the limits of this cloud have nothing in common.",
        remedy="Ask the operators of your cloud; no other image will help.",
        rule=rule,
    )


def denied(method: str, message: str | None, values: Mapping[str, FactValue], *, doubt: bool, rule: str) -> Reason:
    """`doubt` is set where the rule could not be evaluated, and therefore counts."""
    return Reason(
        code=ReasonCode.DENIED,
        message=filled(message, values) if message else f"This cloud does not let this project import by {method}.",
        remedy="It could not be ruled out that this applies; ask the operators of your cloud." if doubt else "",
        rule=rule,
    )


def stopped(message: str, values: Mapping[str, FactValue], rule: str) -> Reason:
    return Reason(
        code=ReasonCode.STOPPED,
        message=filled(message, values),
        remedy="The operators of your cloud have stopped this for now; try again once they have lifted the stop.",
        rule=rule,
    )


def conflict(stage: str, rule: str | None) -> Reason:
    return Reason(
        code=ReasonCode.POLICY_CONFLICT,
        message=f"This cloud's rules ask for '{stage}' with options that contradict each other.",
        remedy="The operators of your cloud have to settle it; no other request will help.",
        rule=rule,
    )


def stage_unavailable(stage: str, rule: str | None) -> Reason:
    return Reason(
        code=ReasonCode.STAGE_UNAVAILABLE,
        message=f"This import has to pass the stage '{stage}', which is not set up here.",
        remedy=f"The operators of your cloud have to set up '{stage}'.",
        rule=rule,
    )


def may_be_limited(within: Within, method: str) -> str:
    return f"Some imports are held to: {said_within(within, method)}."


def may_be_ungranted(within: Within, method: str) -> str:
    return f"Only some imports are granted: {said_within(within, method) or f'by {method}'}."


def would_apply(verb: Verb, method: str, within: Within, calls: Iterable[StageCall]) -> str:
    """The warning of a rule that tells and does not yet count, where the rule has no message of its own."""
    later = {
        Verb.LIMIT: f"imports by {method} will be held to: {said_within(within, method)}",
        Verb.REQUIRE: f"imports by {method} will have to pass: {', '.join(call.name for call in calls)}",
        Verb.DENY: f"imports by {method} like this one will be refused",
        Verb.ALLOW: f"imports by {method} will be granted: {said_within(within, method) or 'without limits'}",
    }
    return f"A rule of this cloud will take effect: {later[verb]}."
