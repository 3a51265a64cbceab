"""Credentials in the tools of a policy: a test file names one, explain tells it, offers list the names alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Done, cli

TREE = """\
version: 1
policy: p
rules:
  - {id: any, allow: all}
  - {id: ours, allow: [oci-download], for: {tags: [team]}, within: {hosts: [r.example], credentials: [pull]}}
"""
TESTS = """\
version: 1
now: "2026-11-22T00:00:00Z"
who: {team: {tags: [team]}, other: {}}
images:
  closed: {host: r.example, scheme: https, size: 1GiB, credential: pull}
  open: {host: r.example, scheme: https, size: 1GiB}
tests:
  - {name: who is granted it may use it, who: team, import: oci-download, image: closed, expect: allow}
  - {name: others may not, who: other, import: oci-download, image: closed, expect: deny, because: p/any}
  - {name: nobody needs one, who: [team, other], import: [oci-download, web-download], image: open, expect: allow}
  - {name: it is granted for one method, who: team, import: s3-download, image: closed, expect: deny}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    (made / "p.yaml").write_text(TREE)
    (made / "p.test.yaml").write_text(TESTS)
    return made


def policy(folder: Path, command: str, *words: str) -> Done:
    return cli(folder, "policy", command, str(folder), *words)


def test_a_test_file_names_one(folder: Path) -> None:
    assert policy(folder, "test").returncode == 0
    (folder / "p.yaml").write_text(TREE.replace("[pull]", "[push]"))
    assert policy(folder, "test").returncode == 1


def test_explain_tells_which_grant_has_it(folder: Path) -> None:
    asked = ("--method", "oci-download", "--url", "https://r.example/v2/a", "--credential", "pull")
    lacks = policy(folder, "explain", *asked).stdout
    assert "- with credential none   (It asks for credential pull)" in lacks
    assert lacks.startswith("DENY")
    has = policy(folder, "explain", *asked, "--project-tag", "team").stdout
    assert "+ with credential pull or none   (It asks for credential pull)" in has
    assert not has.startswith("DENY")
    assert "credential" not in policy(folder, "explain", "--method", "oci-download").stdout


def test_offers_list_the_names(folder: Path) -> None:
    shown = json.loads(policy(folder, "offers", "--project-tag", "team", "--json").stdout)
    ways = shown["import-policy"]["value"]["methods"]["oci-download"]["within"]
    assert {"hosts": ["r.example"], "credentials": ["pull"]} in ways


def test_more_credentials_are_looser(folder: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "p.yaml").write_text(TREE.replace("[pull]", "[pull, push]"))
    told = cli(folder, "policy", "diff", str(folder), str(more), "--fail-on", "looser")
    assert (told.returncode, "push" in told.stdout) == (1, True)
