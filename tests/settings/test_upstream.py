"""`backend: glance`: what has to be said with it, and what is said where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.policy.problems import Problems
from gateway.settings import Settings, read_settings

KEYSTONE = """\
identity:
  type: keystone
  keystone: {auth_url: "http://k/v3", username: gateway, password: secret}
"""


def read(folder: Path, text: str) -> Settings:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return read_settings(file)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("backend: glance\n", {"no-upstream", "no-keystone"}),
        (f"backend: glance\n{KEYSTONE}", {"no-upstream"}),
        ("backend: glance\nupstream: {endpoint: 'http://g:9292'}\n", {"no-keystone"}),
        ("backend: glance\nupstream: {endpoint: null}\n" + KEYSTONE, {"no-upstream"}),
    ],
)
def test_what_is_missing_is_said_at_once(tmp_path: Path, text: str, codes: set[str]) -> None:
    with pytest.raises(Problems) as refused:
        read(tmp_path, text)
    assert {problem.code for problem in refused.value.problems} == codes


def test_a_backend_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problems):
        read(tmp_path, "backend: swift\n")


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, f"backend: glance\nupstream: {{endpoint: 'http://g:9292', timeout: 90s}}\n{KEYSTONE}")
    assert (found.backend, found.upstream.endpoint, found.upstream.timeout) == ("glance", "http://g:9292", 90.0)
