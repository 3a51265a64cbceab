"""Completion as a real bash asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.shipped_files import shipped
from tests.cli.running import environment

PUBLIC = str(shipped("policies") / "public-cloud")
ASK = """
eval "$(_IMPORT_GATEWAY_COMPLETE=source_bash import-gateway)"
COMP_WORDS=(import-gateway {words}); COMP_CWORD={last}
$(complete -p import-gateway | grep -o -- '-F [^ ]*' | cut -c4-) import-gateway
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def bash(home: Path, script: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "--norc", "--noprofile", "-c", script]
    done = subprocess.run(
        command, env=environment(home, PATH=path), cwd=home, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    return done.stdout


def proposed(home: Path, *words: str) -> list[str]:
    said = " ".join(f"'{word}'" for word in words)
    return bash(home, ASK.format(words=said, last=len(words))).split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("policy", "re"), {"rejudge", "replay"}),
        (("policy", "explain", PUBLIC, "--rule", "tiers/"), {"tiers/upload", "tiers/silver", "tiers/gold"}),
        (("policy", "explain", "--method", "glance-"), {"glance-direct", "glance-download"}),
        (("policy", "offers", PUBLIC, "--who", "s"), {"silver", "stranger"}),
        (("policy", "diff", "a", "b", "--fail-on", ""), {"looser", "tighter", "any"}),
        (("policy", "test", "--engine", "cel-"), {"cel-expr", "cel-python"}),
        (("policy", "check", "--explain", "duplicate-"), {"duplicate-id"}),
    ],
)
def test_bash_is_told(tmp_path: Path, words: tuple[str, ...], expected: set[str]) -> None:
    assert set(proposed(tmp_path, *words)) == expected


def test_a_tree_that_is_wrong_proposes_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("rules: [{id: a}, 3]\nrules: x\n")
    assert proposed(tmp_path, "policy", "explain", ".", "--rule", "") == []


def test_the_script_is_shown_to_the_shell_that_asks(tmp_path: Path) -> None:
    assert "complete -o" in bash(tmp_path, "import-gateway --show-completion; true")
