"""`policy explain --decision`: an auditor asks why, of a decision that was really made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Done, cli
from tests.faults.service import Service
from tests.policy.used import edited, written
from tests.serving.backing import on_sqlite


@pytest.fixture
def running(used_site: tuple[Service, dict[str, str]]) -> Service:
    return used_site[0]


def entries(running: Service, **wanted: Any) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in running.place.decisions.read_text().splitlines()]
    return [line for line in lines if wanted.items() <= line.items()]


def explained(home: Path, entry: dict[str, Any], *words: str) -> Done:
    return cli(home, "policy", "explain", *words, "--decision", entry["id"])


def test_a_refusal_is_explained_with_the_tree_it_was_made_under(running: Service, tmp_path: Path) -> None:
    """Only the log has it, only the records have its tree, and DIR is another one."""
    (entry,) = entries(running, project_id="demo-stranger", action="deny")
    other = written(tmp_path / "other", *edited(no_web=None))
    done = explained(tmp_path, entry, str(other), "--data", str(running.data))
    assert (done.returncode, done.stderr) == (0, "")
    heading, verdict = done.stdout.splitlines()[0], done.stdout.splitlines()[2]
    assert heading.startswith(f"Decision {entry['id']} of {entry['at']}, image {entry['image_id']}")
    assert heading.endswith("was deny denied faults/no-web")
    assert verdict.startswith("DENY  web-download")
    assert "because denied [faults/no-web]: No downloads." in done.stdout
    assert "+ for: projects demo-stranger" in done.stdout
    assert "faults.yaml:" in done.stdout


@on_sqlite
def test_an_acceptance_is_found_beside_its_image(used_site: Any, tmp_path: Path) -> None:
    running, images = used_site
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(running.data / "records.sqlite", kept)
    shutil.copy(running.data / "records.sqlite-wal", kept)
    entry = entries(running, image_id=images["large"], final=True)[-1]
    found = json.loads(explained(tmp_path, entry, "--data", str(kept), "--json").stdout)
    assert (found["action"], found["decision"], found["notes"]) == ("allow", entry, [])
    assert found["explained_with"] == found["revision"] == entry["revision"]
    assert {rule["rule"]: rule["outcome"] for rule in found["rules"]}.items() >= entry["outcomes"].items()


def test_another_tree_says_that_it_is_another(running: Service, tmp_path: Path) -> None:
    (entry,) = entries(running, project_id="demo-stranger", action="deny")
    other = written(tmp_path / "other", *edited(no_web=None))
    words = ["--log", str(running.place.decisions)]
    done = explained(tmp_path, entry, str(other), *words)
    assert f"it was made under {entry['revision']}" in done.stderr
    assert done.stdout.splitlines()[2].startswith("OPEN  web-download")
    same = explained(tmp_path, entry, str(running.home / "policies"), *words)
    assert same.stderr == ""
    assert same.stdout.splitlines()[2].startswith("DENY  web-download")


def test_what_the_log_does_not_keep_is_not_known(used_site: Any, tmp_path: Path) -> None:
    running, images = used_site
    entry = entries(running, image_id=images["marked"], final=True)[-1]
    done = explained(tmp_path, entry, "--data", str(running.data), "--rule", "faults/marked")
    assert "the values of properties are not kept" in done.stderr
    assert "was allow" in done.stdout.splitlines()[0]
    assert "? when: request.properties.exists" in done.stdout
    assert "faults/everything" not in done.stdout


@pytest.mark.parametrize("words", [("--log", "none.jsonl"), ("--data", "nowhere"), ()])
def test_a_decision_nobody_knows_is_said(running: Service, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = explained(tmp_path, {"id": "no-such-id"}, str(running.home / "policies"), *words)
    assert done.returncode == 2
    assert "There " in done.stderr
    assert "Traceback" not in done.stderr
