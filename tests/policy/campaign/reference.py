"""The language, once more and naively: what a tree says about an import whose bytes have been seen.

Written from the language's description, for short trees; it shares no code with the gateway but the shape of a stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from gateway.model.stop import Stop
from tests.policy.campaign.conditions import CONDITIONS
from tests.policy.campaign.drawing import FOLDER, NOW, SETS, VERBS, Case, Json, stage_name

_SOURCE = {"hosts": "request.host", "schemes": "request.scheme", "ports": "request.port", "regions": "request.region"}
_HAS = {"web-download": {"hosts", "schemes", "ports", "credentials"}, "glance-download": {"regions"}}
_TRANSFORMS = ("decompress", "convert", "inject")


class Answer(NamedTuple):
    """Whether the import is allowed, and the names of the stages it has to pass then."""

    allowed: bool
    stages: frozenset[str] = frozenset()


def answer(case: Case, facts: Mapping[str, Any], now: datetime = NOW) -> Answer:
    documents, method = case.documents, case.method
    if any(_stops(stop, method, facts) for stop in case.stops):
        return Answer(False)
    bounds = {file["policy"]: _bounds(file, documents) for file in documents}
    bounded = [file for file in documents if all(_selects(one["scope"], facts) for one in bounds[file["policy"]])]
    rules = [(file, rule) for file in bounded for rule in file["rules"]]
    counting = [(file, rule) for file, rule in rules if _counts(file, rule, method, facts, now)]
    if any("deny" in rule for _, rule in counting):
        return Answer(False)
    if not all(_keeps(_loosened(file, rule, facts, now), method, facts) for file, rule in counting if "limit" in rule):
        return Answer(False)
    counting = [(file, rule) for file, rule in counting if _opened(file, rule, facts)]
    grants = [(file, rule) for file, rule in counting if "allow" in rule]
    if not any(_granted(rule, bounds[file["policy"]], method, facts) for file, rule in grants):
        return Answer(False)
    stages = [stage for file, rule in counting if "require" in rule for stage in _required(file, rule, facts, now)]
    return Answer(False) if _contradict(stages) else Answer(True, frozenset(map(stage_name, stages)))


def _stops(stop: Stop, method: str, facts: Mapping[str, Any]) -> bool:
    if stop.kind == "host":
        return method == "web-download" and _under(facts["request.host"], stop.value)
    return stop.value == (method if stop.kind == "method" else facts["project.id"])


def _bounds(file: Json, documents: tuple[Json, ...]) -> list[Json]:
    """The delegates whose folder the file is in."""
    known = [one for other in documents for one in other.get("delegates", [])]
    return [one for one in known if file.get(FOLDER) == f"{one['directory']}/"]


def _opened(file: Json, rule: Json, facts: Mapping[str, Any]) -> bool:
    return "break_glass" not in rule or f"{file['policy']}/{rule['id']}" in facts["project.opened"]


def _granted(rule: Json, bounds: list[Json], method: str, facts: Mapping[str, Any]) -> bool:
    """A credential is granted by name alone, by the rule and by every delegate."""
    each = ({"credentials": [], **one.get("within", {})} for one in (rule, *bounds))
    return all(_keeps(one, method, facts) for one in each)


def _counts(file: Json, rule: Json, method: str, facts: Mapping[str, Any], now: datetime) -> bool:
    verb = next(verb for verb in VERBS if verb in rule)
    if rule[verb] != "all" and method not in rule[verb]:
        return False
    if rule.get("mode", "enforce") != "enforce" or not _in_time(rule, now):
        return False
    if not (_selects(file.get("scope", {}), facts) and _selects(rule.get("for", {}), facts)):
        return False
    when = rule.get("when", [])
    truths = [_truth(text, facts) for text in ([when] if isinstance(when, str) else when)]
    return False not in truths and (None not in truths or verb != "allow")


def _truth(text: str, facts: Mapping[str, Any]) -> bool | None:
    try:
        return CONDITIONS[text](facts)
    except LookupError:
        return None


def _in_time(rule: Json, now: datetime) -> bool:
    begun = "from" not in rule or datetime.fromisoformat(rule["from"]) <= now
    return begun and ("until" not in rule or now < datetime.fromisoformat(rule["until"]))


def _selects(selector: Json, facts: Mapping[str, Any]) -> bool:
    has = {
        "projects": {facts["project.id"]},
        "domains": {facts["project.domain"]},
        "tags": {*facts["project.tags"]},
        "roles": {*facts["user.roles"]},
    }
    return all(has[key] & {*values} for key, values in selector.items())


def _exemptions(file: Json, rule: Json, facts: Mapping[str, Any], now: datetime) -> Iterator[Json]:
    for one in file.get("exemptions", []):
        if one["rule"] == f"{file['policy']}/{rule['id']}" and _in_time(one, now) and _selects(one["for"], facts):
            yield one


def _loosened(file: Json, rule: Json, facts: Mapping[str, Any], now: datetime) -> Json:
    within = {key: _meant(value) for key, value in rule["within"].items()}
    for one in _exemptions(file, rule, facts, now):
        for key, value in one["within"].items():
            within[key] = max(within[key], _meant(value)) if key.startswith("max_") else within[key] + _meant(value)
    return within


def _required(file: Json, rule: Json, facts: Mapping[str, Any], now: datetime) -> list[Any]:
    left_out = {name for one in _exemptions(file, rule, facts, now) for name in one["without"]}
    return [stage for stage in rule["stages"] if stage_name(stage) not in left_out]


def _meant(value: Any) -> Any:
    """A size in bytes, or a list."""
    if isinstance(value, str):
        return SETS[value.removeprefix("sets.")] if value.startswith("sets.") else int(value.removesuffix("B"))
    return value


def _keeps(within: Json, method: str, facts: Mapping[str, Any]) -> bool:
    return all(_keeps_one(key, _meant(value), method, facts) for key, value in within.items())


def _keeps_one(key: str, limit: Any, method: str, facts: Mapping[str, Any]) -> bool:
    if key == "max_size":
        return bool(facts["content.size"] <= limit)
    if key == "max_virtual_size":
        return "content.virtual_size" in facts and bool(facts["content.virtual_size"] <= limit)
    if key == "disk_formats":
        seen = facts["content.disk_format"]
        return facts["request.disk_format"] in limit and (seen == "raw" or seen in limit)
    if key == "container_formats":
        return facts["request.container_format"] in limit
    if key == "stores":
        return all(store in limit for store in facts["request.stores"])
    if key not in _HAS.get(method, ()):
        return True
    if key == "credentials":
        return facts["request.credential"] in ("", *limit)
    value = facts[_SOURCE[key]]
    return any(_under(value, pattern) for pattern in limit) if key == "hosts" else value in limit


def _under(host: str, pattern: str) -> bool:
    labels, wanted = host.split("."), pattern.split(".")
    return (
        labels[-len(wanted) + 1 :] == wanted[1:] and len(labels) >= len(wanted) if wanted[0] == "*" else host == pattern
    )


def _contradict(stages: list[Any]) -> bool:
    """One transform, one of its options, two values."""
    asked: dict[tuple[str, str], set[Any]] = {}
    for stage in stages:
        if stage_name(stage) in _TRANSFORMS and not isinstance(stage, str):
            for option, value in stage[stage_name(stage)].items():
                asked.setdefault((stage_name(stage), option), set()).add(value)
    return any(len(values) > 1 for values in asked.values())
