"""The decision log keeps what is listed, in the shape of its schema, and no secrets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from jsonschema import Draft202012Validator

from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from gateway.policy.record import record
from gateway.shipped_files import shipped
from tests.policy.making import NOW, facts, image, policy, rule
from tests.policy.test_decide_properties import METHODS, questions

SCHEMA = Draft202012Validator(json.loads((shipped("schemas") / "decision.schema.json").read_text()))


def kept(tree: Any, method: str, known: Facts, **how: Any) -> dict[str, Any]:
    entry = record(decide(tree, method, known, **how), known, decision_id="d1", image_id=None, **how)
    SCHEMA.validate(entry)
    found: dict[str, Any] = json.loads(json.dumps(entry))
    return found


def test_an_entry_says_who_what_when_and_why() -> None:
    tree = policy(rule("allow", "a"), rule("deny", "d", message="No {request.disk_format}."))
    entry = kept(tree, "glance-direct", facts(image()), final=True)
    assert (entry["id"], entry["at"], entry["project_id"], entry["user_id"]) == (
        "d1",
        "2026-11-22T00:00:00Z",
        "p1",
        "u1",
    )
    assert (entry["action"], entry["method"], entry["final"]) == ("deny", "glance-direct", True)
    assert entry["reasons"] == [{"code": "denied", "rule": "p/d"}]
    assert entry["outcomes"] == {"p/a": "yes", "p/d": "yes"}
    assert entry["revision"] == tree.revision
    assert entry["facts"]["content.size"] == 1 << 30


def test_no_secret_is_kept() -> None:
    shown = "{request.host} {request.path} {request.properties} {request.method}"
    tree = policy(rule("allow", "a"), rule("deny", "d", message=shown, when="request.size > 1"))
    planted = image(
        host="user:hunter2@a.example",
        scheme="https",
        path="/i.qcow2?token=hunter2#hunter2",
        properties={"registry": "hunter2", "k": "hunter2"},
    )
    known = facts({**planted, "request.password": "hunter2", "token": "hunter2"})
    entry = kept(tree, "web-download", known)
    assert "hunter2" not in json.dumps(entry)
    assert entry["facts"]["request.host"] == "a.example"
    assert entry["facts"]["request.path"] == "/i.qcow2"
    assert entry["facts"]["request.properties"] == ["k", "registry"]


def test_a_method_nobody_knows_is_not_quoted() -> None:
    entry = kept(policy(rule("allow", "a")), "https://u:hunter2@x", facts({"request.method": "https://u:hunter2@x"}))
    assert "hunter2" not in json.dumps(entry)
    assert entry["method"] is None


@given(questions())
@settings(deadline=None, max_examples=100)
def test_every_entry_has_the_shape_of_the_schema(question: Any) -> None:
    made, exempt, method, caller, known = question
    tree = policy(*made, exemptions=exempt, methods=METHODS)
    kept(tree, method, facts(known, **caller))
    assert record(decide(tree, method, facts(**caller)), facts(**caller), decision_id="d", image_id="i")["at"][
        :4
    ] == str(NOW.year)
