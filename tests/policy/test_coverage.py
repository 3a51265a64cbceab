"""`policy test` says what no test exercises, clause by clause, and gates on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Done, cli

TREE = """version: 1
policy: p
rules:
  - {id: up, allow: [glance-direct], within: {max_size: 20GiB, max_images: 5}}
  - {id: gold, allow: all, for: {tags: [gold]}}
  - id: public
    deny: all
    when: [request.visibility == "public", "!('publisher' in user.roles)"]
    message: No.
"""
CASES = """version: 1
who: {me: {}, gold: {tags: [gold]}}
images: {small: {size: 1GiB}, open: {size: 1GiB, visibility: public}, big: {size: 21GiB}}
tests:
  - {name: small, who: [me, gold], import: glance-direct, image: small, expect: allow}
"""
PUBLIC = "  - {name: public, who: me, import: glance-direct, image: open, expect: deny}\n"
BIG = "  - {name: big, who: me, import: glance-direct, image: big, expect: deny}\n"


def ran(folder: Path, cases: str, *words: str) -> Done:
    (folder / "p.yaml").write_text(TREE)
    (folder / "p.test.yaml").write_text(cases)
    return cli(folder, "policy", "test", ".", *words)


def missed(done: Done) -> set[str]:
    return {line.partition(": ")[2] for line in done.stdout.splitlines() if "no test where" in line}


def test_every_side_that_no_case_brings_about_is_listed(tmp_path: Path) -> None:
    done = ran(tmp_path, CASES, "--clauses")
    assert done.returncode == 0
    assert missed(done) == {
        "p/public: no test where it applies",
        'p/public: no test where `request.visibility == "public"` is true',
        "p/public: no test where `!('publisher' in user.roles)` is false",
        "p/up: no test where 'at most 20GiB' is exceeded",
    }
    assert "p.yaml:6: p/public: no test where it applies" in done.stdout
    assert done.stdout.splitlines()[-1] == "64% of 11 clauses exercised"


def test_a_case_more_is_a_clause_less(tmp_path: Path) -> None:
    assert missed(ran(tmp_path, CASES + PUBLIC + BIG, "--clauses")) == {
        "p/public: no test where `!('publisher' in user.roles)` is false"
    }


@pytest.mark.parametrize(("least", "code"), [("60", 0), ("64", 1), ("100", 1)])
def test_the_gate_on_clauses(tmp_path: Path, least: str, code: int) -> None:
    done = ran(tmp_path, CASES, "--min-clauses", least)
    assert done.returncode == code
    assert bool(missed(done)) is bool(code)
    assert (f"less than the {least}% asked for" in done.stdout) is bool(code)


def test_the_gate_on_rules(tmp_path: Path) -> None:
    assert ran(tmp_path, CASES, "--min-coverage", "66").returncode == 0
    done = ran(tmp_path, CASES, "--min-coverage", "67")
    assert done.returncode == 1
    assert "no test applies p/public" in done.stdout
    assert ran(tmp_path, CASES + PUBLIC, "--min-coverage", "100").returncode == 0


def test_programs_read_which_rules_applied(tmp_path: Path) -> None:
    found = json.loads(ran(tmp_path, CASES, "--json").stdout)
    assert found["rules"] == {"p/gold": "both", "p/public": "no", "p/up": "yes"}
    assert found["coverage"] == {"rules": 66.7, "clauses": 63.6}
    assert {"rule": "p/up", "clause": "'at most 20GiB'", "side": "is exceeded"} in found["missed"]
