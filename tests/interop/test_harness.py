"""What `make interop` stands on: settings and policies that fit the gateway, right counts, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from gateway.app import load_policy
from gateway.settings import read_settings
from tests.interop import samples
from tests.interop.compared import compared, outcomes, table
from tests.interop.gateway import fronting, settings
from tests.interop.installed import SetupFailed, run
from tests.interop.report import Outcome, good, told
from tests.interop.running import NotServing, free_ports, served

SERVER = "import http.server as h, sys; h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"


def test_the_gateway_reads_its_settings_and_policies(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(settings("http://127.0.0.1:9292", 9292, "http://127.0.0.1:5000/v3", [8080])))
    found = read_settings(file)
    assert found.identity.keystone.auth_url == "http://127.0.0.1:5000/v3"
    assert [rule.id for rule in load_policy(found).rules] == [
        "everything",
        "real-images",
        "size",
        "https-only",
        "uploads-only",
    ]


def test_the_manifest_names_files_that_are_there(tmp_path: Path) -> None:
    manifest = samples.write_samples(tmp_path / "samples")
    images = json.loads(manifest.read_text())["images"]
    assert all((manifest.parent / image["filename"]).stat().st_size for image in images)
    assert [image["usable"] for image in images] == [True] * 9 + [False] * 4


def test_what_did_not_pass_is_named_before_the_count() -> None:
    outcomes = [Outcome("b", "failed", "broken"), Outcome("a", "passed"), Outcome("c", "skipped", "not here")]
    assert told("suite", outcomes).splitlines() == [
        "skipped  c: not here",
        "failed   b: broken",
        "suite: 1 passed, 1 failed, 1 skipped",
    ]


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [(["passed", "skipped"], True), (["passed", "failed"], False), (["skipped"], False), ([], False)],
)
def test_a_suite_is_good_when_something_passed_and_nothing_failed(kinds: list[str], verdict: bool) -> None:
    assert good([Outcome("x", kind) for kind in kinds]) is verdict


def test_a_server_ends_with_all_it_started(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-c", PARENT, "-c", SERVER, str(port)]
    with served(command, f"http://127.0.0.1:{port}/", tmp_path / "log", os.environ):
        inside = _is_served(port)
    assert inside
    end = monotonic() + 10
    while _is_served(port):
        assert monotonic() < end, "something still listens"
        sleep(0.05)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such ' + 'database')"]
    with (
        pytest.raises(NotServing, match="no such database"),
        served(command, "http://127.0.0.1:9/", tmp_path / "log", os.environ),
    ):
        pass


def test_a_set_up_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match="no such package"):
        run([sys.executable, "-c", "import sys; sys.exit('no such ' + 'package')"], tmp_path / "log")


def _is_served(port: int) -> bool:
    """Whether the port is taken."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_suite_in_front_is_held_against_the_same_suite_alone() -> None:
    def named(**kinds: str) -> list[Outcome]:
        return [Outcome(name, kind, "why") for name, kind in kinds.items()]

    alone = named(both="passed", ImageLocationsTest="passed", lost="passed", broken="failed", gone="passed")
    front = named(both="passed", ImageLocationsTest="skipped", lost="failed", broken="passed")
    tests = compared(alone, front)
    assert [one.name for one in outcomes(tests) if one.outcome == "failed"] == ["gone", "lost"]
    lines = table(tests).splitlines()
    assert lines[1].split()[-3:] == ["4", "1", "0"]
    assert lines[2].split()[-4:] == ["front", "2", "1", "1"]
    assert any(line.endswith("ImageLocationsTest: closed on purpose: locations") for line in lines)


def test_the_gateway_in_front_reads_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(fronting(9292, "http://127.0.0.1:5000/v3", [8080], "http://127.0.0.1:9393")))
    assert read_settings(file).upstream.endpoint == "http://127.0.0.1:9393"
