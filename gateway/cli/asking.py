"""`import-gateway methods --what-if`: one import asked about, and the answer in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli.offer import Offers
from gateway.cli.sources import ImageSource
from gateway.policy.facts import FactValue
from gateway.policy.wording import said_within

_WORDS = {
    "allow": ("would be imported", "bold green"),
    "open": ("nothing refuses it so far", "bold green"),
    "deny": ("would be refused", "bold red"),
}


def question(source: ImageSource, method: str | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a what-if: the source, and what else is said of the image (keys of the API; None is not said)."""
    facts: Mapping[str, FactValue] = source.facts()
    size = {"size": facts["request.size"]} if "request.size" in facts else {}
    known = {key: value for key, value in said.items() if value is not None}
    return {"method": dict(source.request(method or source.method)), **size, **known}


def headline(answer: Mapping[str, Any]) -> tuple[str, str]:
    """One line and its style."""
    words, style = _WORDS.get(str(answer.get("decision")), (str(answer.get("decision")), ""))
    return f"{answer.get('method')}: {words}", style


def lines(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is behind it, each with a title."""
    reason = answer.get("reason")
    if reason:
        yield "because", f"{reason['message']} ({reason['code']}{_rule(reason)})"
        yield "remedy", str(reason["remedy"]) or "none"
    yield from _ways(answer)
    if answer.get("decision") != "deny":
        yield "stages", ", ".join(answer.get("stages", ())) or "none"
    for one in answer.get("sometimes", ()):
        yield "sometimes", f"{one['stage']}: {one['message']}"
    for message in answer.get("refused_when", ()):
        yield "refused", message
    for message in answer.get("warnings", ()):
        yield "warning", message
    if answer.get("unknown"):
        yield "not known", ", ".join(answer["unknown"])


def _rule(reason: Mapping[str, Any]) -> str:
    return f", rule {reason['rule']}" if reason.get("rule") else ""


def _ways(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    method = str(answer.get("method"))
    terms = {"methods": {method: {"within": answer.get("within")}}}
    for number, within in enumerate(Offers((), terms).within(method) if answer.get("within") else ()):
        yield "limits" if number == 0 else "or", said_within(within, method) or "none"
