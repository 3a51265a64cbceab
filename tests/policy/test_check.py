"""`import-gateway policy check`, as an operator and a CI job run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.policy.lints.paragraphs import PARAGRAPHS
from gateway.shipped_files import shipped
from tests.policy.test_policy_cli import BROKEN, PUBLIC, policy

DOUBTFUL = """version: 1
policy: doubtful
sets: {unused: [a]}
rules:
  - id: "grüße😀"
    allow: [web-download]
    when: request.host.endsWith("example.com")
  - id: inspected
    require: all
    stages: [inspect]
"""


@pytest.fixture
def doubtful(tmp_path: Path) -> str:
    (tmp_path / "tree of trust").mkdir()
    (tmp_path / "tree of trust" / "a.yaml").write_text(DOUBTFUL.replace("grüße😀", "mirror"))
    return str(tmp_path / "tree of trust")


def test_warnings_are_told_and_fail_only_a_strict_check(doubtful: str) -> None:
    done = policy("check", doubtful)
    assert done.returncode == 0
    assert f"{doubtful}/a.yaml:7:24: warning[loose-host-match]: 'endsWith' also matches hosts of others" in done.stdout
    assert "1 file, 2 rules, 0 exemptions: 2 warnings\nsha256:" in done.stdout
    assert policy("check", doubtful, "--strict").returncode == 1
    assert policy("check", doubtful, "--strict", "--ignore", "unused-set").returncode == 1
    assert (
        policy("check", doubtful, "--strict", "--ignore", "unused-set", "--ignore", "loose-host-match").returncode == 0
    )


def test_an_error_cannot_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN)
    assert policy("check", str(tmp_path), "--ignore", "unknown-key", "--ignore", "bad-size").returncode == 1


def test_the_end_of_things_is_seen_from_the_given_day() -> None:
    codes = {}
    for now in ("2026-10-01", "2026-12-20", "2027-01-01"):
        found = json.loads(policy("check", PUBLIC, "--format", "json", "--now", f"{now}T00:00:00Z").stdout)
        codes[now] = {one["code"] for one in found["problems"]}
    assert not any("exemption" in code for code in codes["2026-10-01"])
    assert "expiring-exemption" in codes["2026-12-20"]
    assert "expired-exemption" in codes["2027-01-01"]


def test_workflow_commands_keep_the_level(doubtful: str) -> None:
    done = policy("check", doubtful, "--format", "github")
    assert f"::warning file={doubtful}/a.yaml,line=7,col=24,title=loose-host-match::'endsWith'" in done.stdout
    assert "::notice file=" in policy("check", PUBLIC, "--format", "github").stdout


def test_a_code_is_explained_with_what_to_write_instead() -> None:
    done = policy("check", "--explain", "loose-host-match")
    assert done.returncode == 0
    assert done.stdout.startswith("warning[loose-host-match]\n\nA condition compares a part of a host's name.")
    assert "before:\n\n    - {id: a," in done.stdout
    assert "after:\n\n    - {id: a, allow: [web-download], within: {hosts: [example.com" in done.stdout
    everything = policy("check", "--explain", "all").stdout
    assert all(f"[{code}]\n" in everything for code in PARAGRAPHS)


def test_an_unknown_code_is_wrong_use() -> None:
    done = policy("check", "--explain", "lose-host-match")
    assert done.returncode == 2
    assert "loose-host-match" in done.stderr


TEXT = {"type": "string", "minLength": 1}
MESSAGE = {"type": "object", "required": ["text"], "additionalProperties": False, "properties": {"text": TEXT}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
COUNT = {"type": "integer", "minimum": 1}


def closed(**properties: object) -> dict[str, object]:
    """All of these, and nothing else."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


RULE = closed(
    id=TEXT, shortDescription=MESSAGE, fullDescription=MESSAGE, help=MESSAGE, defaultConfiguration=closed(level=LEVEL)
)
REGION = closed(startLine=COUNT, startColumn=COUNT, endColumn=COUNT)
LOCATION = closed(physicalLocation=closed(artifactLocation=closed(uri={"type": "string"}), region=REGION))
RESULT = closed(
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations={"type": "array", "items": LOCATION, "minItems": 1},
)
SARIF = closed(
    **{
        "$schema": {
            "const": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
        }
    },
    version={"const": "2.1.0"},
    runs={
        "type": "array",
        "minItems": 1,
        "items": closed(
            tool=closed(driver=closed(name=TEXT, version=TEXT, rules={"type": "array", "items": RULE})),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results={"type": "array", "items": RESULT},
        ),
    },
)
"""The part of SARIF 2.1.0 that is written here, by the properties of its sections 3.13 to 3.30, and nothing beside."""


def sarif(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(policy("check", folder, "--format", "sarif").stdout)
    Draft202012Validator(SARIF).validate(found)
    return found


def test_sarif_of_errors_and_of_warnings(doubtful: str, tmp_path: Path) -> None:
    found = sarif(doubtful)["runs"][0]
    results = {result["ruleId"]: result for result in found["results"]}
    assert set(results) == {"loose-host-match", "unused-set"}
    loose = results["loose-host-match"]
    place = loose["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("tree%20of%20trust/a.yaml")
    assert place["region"] == {"startLine": 7, "startColumn": 24, "endColumn": 32}
    assert loose["level"] == "warning"
    assert found["tool"]["driver"]["rules"][loose["ruleIndex"]]["id"] == "loose-host-match"
    (tmp_path / "b.yaml").write_text(BROKEN)
    assert {one["level"] for one in sarif(str(tmp_path))["runs"][0]["results"]} == {"error"}


def test_sarif_counts_columns_as_its_readers_do(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\npolicy: p\nrules: [{id: a, allow: all, message: '😀', alow: all}]\n")
    (result,) = sarif(str(tmp_path))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 44, "endColumn": 48}


def test_the_schemas_are_printed() -> None:
    for name in ("policy", "policy-test", "settings"):
        printed = json.loads(policy("schema", name).stdout)
        assert printed == json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    assert json.loads(policy("schema").stdout)["title"].startswith("Import Gateway policy,")
    assert policy("schema", "nothing").returncode == 2


def keys_without_words(schema: Any, definitions: Any, path: str = "") -> list[str]:
    """Every key that an editor could offer and that says nothing about itself."""
    if not isinstance(schema, dict):
        return []
    mute = []
    for name, one in schema.get("properties", {}).items():
        told = {**definitions.get(one.get("$ref", "").removeprefix("#/$defs/"), {}), **one}
        mute += [] if told.get("description") else [f"{path}/{name}"]
        mute += keys_without_words(one, definitions, f"{path}/{name}")
    for word in ("items", "additionalProperties"):
        mute += keys_without_words(schema.get(word), definitions, f"{path}/{word}")
    return mute


@pytest.mark.parametrize("name", ["policy", "policy-test", "settings"])
def test_every_key_of_a_schema_says_what_it_is(name: str) -> None:
    schema = json.loads((shipped("schemas") / f"{name}.schema.json").read_text())
    definitions = schema.get("$defs", {})
    mute = [keys_without_words(one, definitions, f"/{part}") for part, one in definitions.items()]
    assert [*keys_without_words(schema, definitions), *(found for one in mute for found in one)] == []
