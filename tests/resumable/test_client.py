"""`import-gateway import` over connections that break, and stock clients of tus."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient

from tests.cli.running import cli, environment
from tests.cli.service import eventually
from tests.clients.site import PASSWORD
from tests.faults.scenes import sound
from tests.faults.service import Service, service
from tests.resumable.speaking import MIB, RULES, SETTINGS, becomes, image_bytes
from tests.resumable.wire import Wire, wired

BODY = image_bytes(9 * MIB + 77, seed=9)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("mortal"), SETTINGS, RULES) as started:
        yield started


@pytest.fixture
def wire(mortal: Service) -> Iterator[Wire]:
    with wired(mortal.url) as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "disk.raw"
    file.write_bytes(BODY)
    return file


def options(wire: Wire) -> tuple[str, ...]:
    return ("--url", wire.url, "--user", "gold", "--password", PASSWORD)


def command(disk: Path, wire: Wire, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "gateway", "import", str(disk), *options(wire), *more]
    return subprocess.Popen(
        words, env=environment(disk.parent), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def active(mortal: Service, image: str) -> dict[str, Any]:
    with mortal.user() as user:
        found = user.show(image)
        assert found["status"] == "active"
        assert found["os_hash_value"] == hashlib.sha512(BODY).hexdigest()
    sound(mortal)
    return found


def named(mortal: Service, name: str) -> list[dict[str, Any]]:
    with mortal.user() as user:
        found: list[dict[str, Any]] = user.http.get("/v2/images", params={"name": name}).json()["images"]
        return found


def test_a_broken_connection_is_gone_on_with(mortal: Service, wire: Wire, disk: Path) -> None:
    wire.limit = 4 * MIB
    done = cli(disk.parent, "import", str(disk), "--name", "cut", *options(wire))
    assert done.returncode == 0, done.stderr
    assert "Broken off: " in done.stderr
    assert "Going on in 0.5 s." in done.stderr
    assert "is the same here and there" in done.stdout
    assert wire.carried < len(BODY) + 3 * MIB
    active(mortal, named(mortal, "cut")[0]["id"])
    assert list((disk.parent / ".local/state/import-gateway/uploads").iterdir()) == []


def test_a_restart_of_the_service_is_gone_on_with(mortal: Service, wire: Wire, disk: Path) -> None:
    wire.limit = 5 * MIB
    with command(disk, wire, "--name", "restarted") as running:
        eventually(lambda: wire.carried >= 5 * MIB)
        mortal.kill()
        mortal.start()
        wire.to = mortal.url
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert "Broken off: " in said
    active(mortal, named(mortal, "restarted")[0]["id"])


def test_a_command_that_was_killed_goes_on_when_started_again(mortal: Service, wire: Wire, disk: Path) -> None:
    wire.limit = 5 * MIB
    with command(disk, wire, "--name", "killed") as running:
        eventually(lambda: wire.carried >= 5 * MIB)
        running.kill()
    (image,) = named(mortal, "killed")
    carried = wire.carried
    done = cli(disk.parent, "import", str(disk), "--name", "killed", "--json", *options(wire))
    assert done.returncode == 0, done.stderr
    assert f"Going on with image {image['id']}" in done.stderr
    said = json.loads(done.stdout)
    assert (said["image"]["id"], said["identical"]) == (image["id"], True)
    assert wire.carried - carried < len(BODY) - 2 * MIB
    active(mortal, image["id"])
    assert len(named(mortal, "killed")) == 1


@pytest.mark.parametrize("changed", ["file", "words"])
def test_what_is_asked_for_otherwise_begins_anew(mortal: Service, wire: Wire, disk: Path, changed: str) -> None:
    wire.limit = 5 * MIB
    with command(disk, wire, "--name", f"old-{changed}") as running:
        eventually(lambda: wire.carried >= 5 * MIB)
        running.kill()
    if changed == "file":
        disk.write_bytes(BODY[::-1])
    name = f"old-{changed}" if changed == "file" else "new"
    done = cli(disk.parent, "import", str(disk), "--name", name, *options(wire))
    assert done.returncode == 0, done.stderr
    assert "beginning anew" in done.stderr
    assert "is the same here and there" in done.stdout
    found = [image["status"] for image in named(mortal, f"old-{changed}")]
    assert found == (["active"] if changed == "file" else [])


def test_a_service_that_stays_away_keeps_what_it_has(
    mortal: Service, wire: Wire, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.resuming._PATIENCE", 0.2)
    monkeypatch.setattr("gateway.cli.resuming._PAUSES", (0.1,))
    there, wire.limit = wire.to, 5 * MIB
    wire.to, nowhere = there, "http://127.0.0.1:9"
    with command(disk, wire, "--name", "away") as running:
        eventually(lambda: wire.carried >= 5 * MIB)
        wire.to = nowhere
        wire.cut()
        running.send_signal(signal.SIGKILL)
    done = cli(disk.parent, "import", str(disk), "--name", "away", *options(wire))
    assert done.returncode == 1
    wire.to = there
    done = cli(disk.parent, "import", str(disk), "--name", "away", *options(wire))
    assert done.returncode == 0, done.stderr
    assert "Going on with image" in done.stderr


def test_a_stock_tus_client_uploads(mortal: Service, wire: Wire, disk: Path) -> None:
    """In chunks, over a connection that breaks on the way, as it comes from its package."""
    login = base64.b64encode(f"gold:{PASSWORD}".encode()).decode()
    with mortal.user() as user, disk.open("rb") as file:
        image = user.create()
        client = TusClient(f"{wire.url}/v2/images/{image}/stage", headers={"Authorization": f"Basic {login}"})
        given = {"file_stream": file, "retries": 5, "retry_delay": 0}
        uploader = client.uploader(chunk_size=2 * MIB, metadata={"filename": "disk.raw"}, **given)
        wire.limit = 3 * MIB
        uploader.upload(stop_at=5 * MIB)
        resumed = client.uploader(chunk_size=4 * MIB, url=uploader.url, **given)
        assert resumed.offset >= 5 * MIB
        resumed.upload()
        becomes(user, image, BODY)
