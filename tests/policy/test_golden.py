"""The language by example: each case of golden/*.yaml, decided with either engine.

A file has a `tree` (its files, as an operator writes them; `folder` is where one stands) and `cases`. A case is an
import whose bytes have been seen (`import`), or, with `final: false`, one whose call is made; `discover` asks with what
is known of the caller alone. `request` and `content` change facts of an ordinary image, `hidden` takes some away.
`expect` is an action or the code of the first reason; everything else that a case names has to be as it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.model.decision import Decision
from gateway.policy.decide import decide
from gateway.policy.facts import SOURCE_FACTS, Facts
from gateway.policy.offers import within_json
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.shipped_files import shipped
from tests.policy.trees import compiled_from

GOLDEN = Path(__file__).parent / "golden"
METHODS = ("copy-image", "glance-direct", "glance-download", "web-download")
ENGINES = ("cel-expr", "cel-python")
SHAPES = ("rule", "within", "selector", "exemption", "delegate", "break_glass")
NOW = "2026-11-22T12:00:00Z"
ANSWERS = {
    "expect",
    "rule",
    "message",
    "stages",
    "calls",
    "within",
    "sometimes",
    "refused_when",
    "warnings",
    "outcomes",
}
QUESTIONS = {"name", "now", "project", "name_of_project", "domain", "tags", "roles", "here", "import", "discover"}
QUESTIONS |= {"request", "content", "hidden", "final", "opened", "imports"}

REQUEST = {
    "host": "x.example",
    "scheme": "https",
    "port": 443,
    "path": "/",
    "region": "one",
    "disk_format": "qcow2",
    "container_format": "bare",
    "visibility": "private",
    "properties": {},
    "stores": ("a",),
}
OPENING = {"id": "o", "by": "u1", "until": "2026-11-22T14:00:00Z"}
CONTENT = {"size": 1 << 20, "virtual_size": 1 << 20, "disk_format": "qcow2"}


def written(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def cases() -> Iterator[Any]:
    for file in sorted(GOLDEN.glob("*.yaml")):
        for case in written(file)["cases"]:
            yield pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")


@cache
def tree(name: str, engine: str) -> Policy:
    files = written(GOLDEN / f"{name}.yaml")["tree"]
    names = [f"{file.pop('folder', '')}{number}.yaml" for number, file in enumerate(files)]
    sources = [Source(name, json.dumps(file).encode()) for name, file in zip(names, files, strict=True)]
    return compiled_from(*sources, methods=METHODS, engine_name=engine)


def facts(case: Any) -> Facts:
    values: dict[str, Any] = {
        "project.id": case.get("project", "p1"),
        "project.name": case.get("name_of_project", "demo"),
        "project.domain": case.get("domain", "d1"),
        "project.tags": tuple(case.get("tags", ())),
        "user.id": "u1",
        "user.roles": tuple(case.get("roles", ("member",))),
        "project.opened": dict.fromkeys(case.get("opened", ()), OPENING),
        **{f"project.imports.{name}": number for name, number in case.get("imports", {}).items()},
    }
    if "import" in case:
        values |= _image(case)
    return Facts(values, datetime.fromisoformat(case.get("now", NOW)))


def _image(case: Any) -> dict[str, Any]:
    request = {**REQUEST, **case.get("request", {})}
    content = {**CONTENT, **case.get("content", {})} if case.get("final", True) else {}
    foreign = frozenset[str]().union(*SOURCE_FACTS.values()) - SOURCE_FACTS[case["import"]]
    values = {**_named("request", request), **_named("content", content)}
    return {name: value for name, value in values.items() if name not in {*foreign, *case.get("hidden", ())}}


def _named(phase: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{phase}.{key}": tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def decided(name: str, engine: str, case: Any) -> Decision:
    method = case.get("import") or case["discover"]
    final = "import" in case and case.get("final", True)
    return decide(tree(name, engine), method, facts(case), final=final, stages=case.get("here"))


def shown(decision: Decision) -> dict[str, Any]:
    """A decision in the words of a case."""
    first = decision.reasons[0] if decision.reasons else None
    return {
        "expect": first.code.value if first else decision.action.value,
        "rule": first.rule if first else None,
        "message": first.message if first else None,
        "stages": list(dict.fromkeys(call.name for call in decision.plan.stages)),
        "calls": [{call.name: call.as_mapping()} for call in decision.plan.stages],
        "within": [within_json(within) for within in decision.within],
        "sometimes": [call.name for call, _ in decision.sometimes],
        "refused_when": list(decision.refused_when),
        "warnings": list(decision.warnings),
        "outcomes": dict(decision.outcomes),
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "case"), [*cases()])
def test_golden(name: str, case: Any, engine: str) -> None:
    assert set(case) <= QUESTIONS | ANSWERS
    found, expected = shown(decided(name, engine, case)), {key: case[key] for key in case if key in ANSWERS}
    if "outcomes" in expected:
        found["outcomes"] = {rule: found["outcomes"].get(rule) for rule in expected["outcomes"]}
    assert {key: found[key] for key in expected} == expected


def test_every_key_of_the_grammar_is_in_some_case() -> None:
    schema = json.loads((shipped("schemas") / "policy.schema.json").read_text())
    known = {key for name in SHAPES for key in schema["$defs"][name]["properties"]}
    used: set[str] = set()
    for file in GOLDEN.glob("*.yaml"):
        _collect(written(file)["tree"], used)
    assert known | {"scope", "sets"} <= used


def _collect(value: Any, keys: set[str]) -> None:
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        _collect(item, keys)
    keys.update(value if isinstance(value, dict) else ())
