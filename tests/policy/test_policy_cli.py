"""`import-gateway policy`, as an operator runs it: what it prints and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gateway.shipped_files import shipped

PUBLIC = str(shipped("policies") / "public-cloud")
BROKEN = """version: 1
policy: broken
rules:
  - id: typo
    alow: [web-download]
  - id: size
    limit: all
    within: {max_size: 20GB}
"""


def policy(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "policy", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    return str(tmp_path)


def test_check_counts_what_it_read() -> None:
    done = policy("check", PUBLIC, "--now", "2026-11-22T00:00:00Z")
    assert done.returncode == 0
    assert "\n2 files, 9 rules, 1 exemption: 2 remarks\nsha256:" in done.stdout


def test_check_shows_every_problem_where_it_is(broken: str) -> None:
    done = policy("check", broken)
    assert done.returncode == 1
    assert f"{broken}/broken.yaml:5:5: error[unknown-key]" in done.stdout
    assert f"{broken}/broken.yaml:8:24: error[bad-size]" in done.stdout
    assert "did you mean 'allow'?" in done.stdout


def test_check_speaks_json_and_workflow_commands(broken: str) -> None:
    found = json.loads(policy("check", broken, "--format", "json").stdout)
    assert found["files"] == 1
    assert {"unknown-key", "bad-size"} <= {problem["code"] for problem in found["problems"]}
    assert (
        f"::error file={broken}/broken.yaml,line=5,col=5,title=unknown-key::"
        in policy("check", broken, "--format", "github").stdout
    )


@pytest.mark.parametrize("words", [("check", "/no/such/folder"), ("check", PUBLIC, "--engine", "none"), ("chek",)])
def test_wrong_use_exits_2(words: tuple[str, ...]) -> None:
    done = policy(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_empty_folder_is_a_finding(tmp_path: Path) -> None:
    done = policy("check", str(tmp_path))
    assert done.returncode == 1
    assert "empty-tree" in done.stdout


def test_test_passes_the_shipped_tree() -> None:
    done = policy("test", PUBLIC, "--min-coverage", "100")
    assert (done.returncode, done.stdout) == (0, "45 cases, 0 failures; 100% of the rules applied\n")


def test_test_fails_by_case_and_by_coverage(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\npolicy: p\nrules:\n  - id: up\n    allow: [glance-direct]\n")
    written = "version: 1\nwho: {me: {}}\ntests:\n  - name: wishes\n    discover: {me: [web-download]}\n"
    (tmp_path / "p.test.yaml").write_text(written)
    done = policy("test", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/p.test.yaml:4: wishes" in done.stdout
    (tmp_path / "p.test.yaml").write_text(written.replace("{me: [web-download]}", "{me: [glance-direct]}"))
    assert policy("test", str(tmp_path)).returncode == 0
    (tmp_path / "q.yaml").write_text("version: 1\npolicy: q\nrules:\n  - id: no\n    deny: all\n    for: {tags: [x]}\n")
    done = policy("test", str(tmp_path), "--min-coverage", "60")
    assert done.returncode == 1
    assert "no test applies q/no" in done.stdout


def test_a_tree_without_tests_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\npolicy: p\nrules:\n  - id: up\n    allow: all\n")
    done = policy("test", str(tmp_path))
    assert done.returncode == 1
    assert "There are no tests" in done.stdout


def test_explain_names_the_rule_and_what_would_help() -> None:
    words = ["--project-tag", "tier:silver", "--url", "https://cloud.debian.org/x.raw?secret=1", "--size", "60GiB"]
    done = policy("explain", PUBLIC, *words)
    assert done.returncode == 0
    assert done.stdout.startswith("DENY  web-download")
    assert "[tiers/silver]" in done.stdout
    assert "secret" not in done.stdout
    found = json.loads(policy("explain", PUBLIC, *words, "--json").stdout)
    assert found["reasons"][0]["code"] == "not-granted"


@pytest.mark.parametrize("words", [("--size", "20GB"), ("--url", "ftp://x/"), ("--property", "x"), ("--now", "today")])
def test_explain_says_which_option_is_wrong(words: tuple[str, str]) -> None:
    done = policy("explain", PUBLIC, *words)
    assert done.returncode == 2
    assert words[0] in done.stderr


def test_offers_for_one_caller_and_for_those_of_the_tests() -> None:
    schema = json.loads((shipped("schemas") / "discovery.schema.json").read_text())
    one = json.loads(policy("offers", PUBLIC, "--json").stdout)
    Draft202012Validator(schema).validate(one)
    assert one["import-methods"]["value"] == ["glance-direct"]
    every = json.loads(policy("offers", PUBLIC, "--who", "all", "--json").stdout)
    assert {"stranger", "silver", "gold"} <= set(every)
    table = policy("offers", PUBLIC, "--who", "silver", "--who", "stranger")
    assert table.returncode == 0
    assert "not offered" in table.stdout
    unknown = policy("offers", PUBLIC, "--who", "nobody")
    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr


def test_the_other_engine_answers_alike() -> None:
    assert policy("test", PUBLIC, "--engine", "cel-python").stdout == policy("test", PUBLIC).stdout
