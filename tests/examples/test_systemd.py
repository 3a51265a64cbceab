"""examples/systemd: the unit is one that systemd takes, and what it starts serves."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.lifecycle import HANDING_SECONDS, QUIET_SECONDS
from gateway.policy.reader import Source
from gateway.settings import settings_from
from tests.catalog import postgres
from tests.examples.layout import BODY, EXAMPLES, imported, moved, read, secrets, serving
from tests.interop.running import free_ports
from tests.serving import servers
from tests.serving.process import Process

FOLDER = EXAMPLES / "systemd"
UNIT = FOLDER / "import-gateway@.service"
PROGRAM = "/opt/import-gateway/bin/import-gateway"


def lines(text: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line[:1].isalpha())
    return {name: value for name, _, value in pairs}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "import-gateway@9292.service"
    own = str(Path(sys.executable).with_name("import-gateway"))
    unit.write_text(
        moved(
            UNIT.read_text(),
            {PROGRAM: own, "User=import-gateway": "User=daemon", "Group=import-gateway": "Group=daemon"},
        )
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


def test_a_stop_has_the_time_it_may_take() -> None:
    settings = settings_from(Source("gateway.yaml", (FOLDER / "gateway.yaml").read_bytes()), FOLDER)
    server = settings.server
    longest = server.drain_notice + server.shutdown_timeout + QUIET_SECONDS + HANDING_SECONDS
    assert int(lines(UNIT.read_text())["TimeoutStopSec"]) > longest


@postgres.needed
def test_what_it_starts_serves(tmp_path: Path) -> None:
    bucket, ports = servers.server("moto"), free_ports(2)
    etc, state = tmp_path / "etc", tmp_path / "lib"
    names = {"db": "db.password", "s3": "s3.secret", "users": "users"}
    secrets(etc / "import-gateway", bucket, names)
    folders = shlex.split(lines(UNIT.read_text())["StateDirectory"])
    places = {
        "postgresql://gateway@db.example/gateway": postgres.fresh(),
        "https://s3.example": bucket.endpoint,
        "/etc/import-gateway": str(etc / "import-gateway"),
        "/var/lib/import-gateway": str(state / "import-gateway"),
    }
    text = moved((FOLDER / "gateway.yaml").read_text(), places)
    (etc / "import-gateway" / "gateway.yaml").write_text(text)
    units = [instance(tmp_path, str(port), folders, {"%E": str(etc), "%S": str(state)}) for port in ports]
    with serving(units):
        assert [one.url for one in units] == [f"http://127.0.0.1:{port}" for port in ports]
        assert read(units[1].url, imported(units[0].url)) == BODY


def instance(home: Path, port: str, folders: list[str], places: Mapping[str, str]) -> Process:
    """ExecStart of `import-gateway@PORT`, with the folders that systemd makes for it."""
    for folder in folders:
        (Path(places["%S"]) / folder.replace("%i", port)).mkdir(parents=True, exist_ok=True)
    program, verb, *words = shlex.split(moved(lines(UNIT.read_text())["ExecStart"], {**places, "%i": port}))
    assert (program, verb) == (PROGRAM, "serve")
    own = home / port
    own.mkdir()
    return Process(own, *words)
