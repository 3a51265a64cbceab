"""`policy replay` over the log of a service that was really used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings

from gateway.policy.decide import decide
from gateway.policy.facts import Facts
from gateway.policy.record import record
from gateway.policy.replaying import CANNOT_TELL, Replay, answer_of, read_entry, recorded
from tests.cli.running import Done, cli
from tests.faults.service import Service
from tests.policy.making import facts, image, policy, rule
from tests.policy.test_decide_properties import METHODS, questions
from tests.policy.used import edited, written


@pytest.fixture
def running(used_site: tuple[Service, dict[str, str]]) -> Service:
    return used_site[0]


def replayed(running: Service, folder: Path, *words: str) -> Done:
    log = str(running.place.decisions)
    return cli(running.home, "policy", "replay", log, "--with", str(folder), *words)


def changes(running: Service, folder: Path) -> dict[tuple[str, str, str], int]:
    found = json.loads(replayed(running, folder, "--format", "json").stdout)
    return {(one["method"], one["was"], one["now"]): one["count"] for one in found["changes"]}


def test_the_same_tree_changes_nothing(running: Service) -> None:
    found = json.loads(replayed(running, running.home / "policies", "--format", "json").stdout)
    assert found["decisions"] == found["same"] > 15
    assert (found["changes"], found["torn"]) == ([], [])


def test_the_same_rules_in_another_file_change_nothing(running: Service, tmp_path: Path) -> None:
    """Another revision, so nothing is taken for granted; what is unknown of properties is told as such."""
    found = changes(running, written(tmp_path / "same", *edited()))
    assert {now for _, _, now in found} <= {CANNOT_TELL}
    assert sum(found.values()) == 3  # two decisions on an image with properties, and the refusal of one


def test_only_what_changes_is_told(running: Service, tmp_path: Path) -> None:
    tighter = written(tmp_path / "tight", *edited(size={"within": {"max_size": "100KiB"}}, marked=None))
    done = replayed(running, tighter)
    assert done.returncode == 0
    assert "allow, at most 128KiB, after inspect  ->  deny over-limit faults/size" in done.stdout
    assert "deny denied faults/marked  ->  open, at most 100KiB, after inspect" in done.stdout
    assert done.stdout.startswith("-      1  ")
    assert "2 refused now, 1 refused no more, " in done.stdout
    looser = changes(running, written(tmp_path / "loose", *edited(no_web=None, marked=None)))
    assert looser["web-download", "deny denied faults/no-web", "open, at most 128KiB, after inspect"] == 1


def test_names_of_properties_are_known(running: Service, tmp_path: Path) -> None:
    named = edited(marked={"when": "'mark' in request.properties && size(request.properties) > 1"})
    found = changes(running, written(tmp_path / "named", *named))
    assert CANNOT_TELL not in {now for _, _, now in found}
    assert ("glance-direct", "allow, at most 128KiB, after inspect", "deny denied faults/marked") in found


def test_rules_that_never_applied_are_listed(running: Service) -> None:
    done = replayed(running, running.home / "policies", "--unused")
    assert "faults/public applied in none of them" in done.stdout
    assert "faults/no-web" not in done.stdout


def test_torn_lines_and_other_lines_are_counted(running: Service, tmp_path: Path) -> None:
    lines = running.place.decisions.read_bytes().splitlines(keepends=True)
    torn = b"".join([*lines[:3], lines[3][:40], b"\n", b'{"event":"other"}\n', b"\xff\n", *lines[4:], lines[-1][:-9]])
    (tmp_path / "torn.jsonl").write_bytes(torn)
    words = ["--with", str(running.home / "policies"), "--format", "json"]
    done = cli(running.home, "policy", "replay", str(tmp_path / "torn.jsonl"), *words)
    found = json.loads(done.stdout)
    assert (done.returncode, found["decisions"], found["other"]) == (0, len(lines) - 1, 1)
    assert [place.rpartition(":")[2] for place in found["torn"]] == ["4", "6", str(len(lines) + 3)]


def test_a_log_that_is_not_there_is_said(running: Service) -> None:
    done = cli(running.home, "policy", "replay", "none.jsonl", "--with", str(running.home / "policies"))
    assert done.returncode == 2
    assert "none.jsonl cannot be read" in done.stderr


def _kept(tree: Any, method: str, known: Facts, *, final: bool) -> dict[str, Any]:
    made = record(decide(tree, method, known, final=final), known, decision_id="d", image_id=None, final=final)
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found


@given(questions(), questions())
@settings(deadline=None, max_examples=300)
def test_an_answer_is_the_decision_or_none(question: Any, other: Any) -> None:
    """What a replay tells of another tree is what that tree says with every fact known."""
    rules, exempt, method, caller, known = question
    asked = facts(known, **caller)
    line = json.dumps(_kept(policy(*rules, exemptions=exempt, methods=METHODS), method, asked, final=True))
    entry = read_entry(line)
    assert entry is not None
    tree = policy(*other[0], exemptions=other[1], methods=METHODS)
    told = Replay(tree).answer(entry)
    event("cannot tell" if told is None else "told")
    truth = decide(tree, method, asked, final=True)
    if told is not None:
        assert (told.action, told.stages) == (truth.action, answer_of(truth).stages)
        assert told == answer_of(truth) or any("[" in one.source for made in other[0] for one in made.when)


def test_history_that_was_not_recorded_cannot_be_told() -> None:
    earned = policy(rule("allow", "a", when="project.imports.accepted >= 5"), rule("allow", "b", ["web-download"]))
    entry = recorded(_kept(policy(rule("allow", "a")), "glance-direct", facts(image()), final=True))
    assert entry is not None
    assert Replay(earned).answer(entry) is None
    history = {"project.imports.accepted": 7, "project.imports.rejected": 0}
    known = recorded(_kept(earned, "glance-direct", facts({**image(), **history}), final=True))
    assert known is not None
    assert Replay(earned).answer(known) == known.answer
