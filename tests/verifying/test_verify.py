"""Bits that flip at rest: `verify` finds all of them, and a download of such bytes breaks off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.cli.running import Done, cli, environment, unignored
from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.service import Service, service
from tests.faults.sources import content
from tests.serving.backing import catalog_url, held
from tests.serving.process import LONGEST
from tests.serving.rows import rows

STORES = [{"name": "fast", "default": True, "weight": 20}, {"name": "slow", "weight": 10}]
TRUSTING = ({"id": "everything", "allow": "all"}, {"id": "real", "require": ["glance-direct"], "stages": ["inspect"]})
SIZE = 2_500_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"stores": STORES, "images": {"verify_downloads": True}, "imports": {"reaper_interval": "1s"}}
    with service(tmp_path_factory.mktemp("verified"), settings, TRUSTING) as started:
        yield started


@pytest.fixture
def gold(running: Service) -> Iterator[User]:
    with running.user("gold") as user:
        yield user
        for image in user.http.get("/v2/images").json()["images"]:
            user.http.delete(f"/v2/images/{image['id']}").raise_for_status()


def saved(user: User, body: bytes, store: str = "fast") -> str:
    image = user.create()
    headers = {"Content-Type": "application/octet-stream", "X-Image-Meta-Store": store}
    user.http.put(f"/v2/images/{image}/file", content=body, headers=headers).raise_for_status()
    return image


def key_of(running: Service, image: str) -> str:
    """The name of the one blob of an image."""
    kept = "SELECT key FROM blobs WHERE image_id = :image AND state = 'kept'"
    (blob,) = rows(catalog_url(running.data), kept, image=image)
    return str(blob["key"])


def flip(running: Service, image: str, at: int, store: str = "fast") -> None:
    place, key = held(running.data, store), key_of(running, image)
    found = bytearray(place.read(key))
    found[at] ^= 1
    place.replace(key, bytes(found))


def verified(running: Service, *words: str) -> Done:
    place = ("--config", str(running.home / "gateway.yaml"), "--data", str(running.data))
    return cli(running.home, "verify", *place, *words)


def outcomes(done: Done) -> dict[str, str]:
    return {one["image"]: one["outcome"] for one in json.loads(done.stdout)["shown"]}


def test_sound_bytes_are_sound(running: Service, gold: User) -> None:
    for seed, store in enumerate(("fast", "slow", "fast")):
        saved(gold, content(seed, 1000 + seed), store)
    done = verified(running, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["blobs"], found["sound"], found["bytes"]) == (0, 3, 3, 3003)
    assert "3 sound" in verified(running).stdout


def test_every_flipped_bit_is_found(running: Service, gold: User) -> None:
    drawn, damaged = Random(11), {}
    for seed in range(8):
        image = saved(gold, content(seed, SIZE), "slow" if seed % 2 else "fast")
        if seed < 6:
            flip(running, image, drawn.randrange(SIZE), "slow" if seed % 2 else "fast")
            damaged[image] = "damaged"
    done = verified(running, "--json")
    assert (done.returncode, outcomes(done)) == (1, damaged)
    assert json.loads(done.stdout)["sound"] == 2
    only = verified(running, "--json", "--store", "slow")
    assert set(outcomes(only)) <= set(damaged)
    assert json.loads(only.stdout)["blobs"] == 4


def test_what_is_short_long_or_gone_is_told_apart(running: Service, gold: User) -> None:
    short, long, gone = (saved(gold, b"x" * 1000) for _ in range(3))
    place = held(running.data, "fast")
    place.replace(key_of(running, short), b"x" * 999)
    place.replace(key_of(running, long), b"x" * 1001)
    place.remove(key_of(running, gone))
    done = verified(running)
    said = {image: line for image in (short, long, gone) for line in done.stdout.splitlines() if image in line}
    assert done.returncode == 1
    assert "999 bytes, and 1000 were recorded" in said[short]
    assert "1001 bytes" in said[long]
    assert said[gone].startswith("missing")
    assert done.stdout.splitlines()[-1].endswith("0 sound, 2 damaged, 1 missing")


def test_an_unknown_store_is_refused_by_name(running: Service) -> None:
    done = verified(running, "--store", "zork")
    assert (done.returncode, "zork" in done.stderr) == (1, True)


def test_it_keeps_to_its_pace(running: Service, gold: User) -> None:
    saved(gold, content(1, SIZE))
    began = time.monotonic()
    assert verified(running, "--rate", "1MiB").returncode == 0
    assert time.monotonic() - began > SIZE / (1 << 20)


def test_it_goes_on_where_it_was_interrupted(running: Service, gold: User, tmp_path: Path) -> None:
    for seed in range(3):
        saved(gold, content(seed, 1_000_000))
    place = tmp_path / "place"
    words = [sys.executable, "-m", "gateway", "verify", "--data", str(running.data), "--json", "--progress", str(place)]
    words += ["--config", str(running.home / "gateway.yaml"), "--rate", "128KiB"]  # seconds for each
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(running.home),
        preexec_fn=unignored,  # noqa: PLW1509 - it only sets a signal
    ) as first:
        eventually(place.is_file)
        first.send_signal(signal.SIGINT)
        before = json.loads(first.communicate(timeout=LONGEST)[0])
    assert first.returncode == 130
    assert 1 <= before["blobs"] < 3
    after = verified(running, "--json", "--progress", str(place))
    assert (after.returncode, json.loads(after.stdout)["blobs"]) == (0, 3 - before["blobs"])
    assert not place.exists()


@pytest.mark.parametrize("at", [0, 1_048_576, SIZE - 1])
def test_a_download_of_damaged_bytes_breaks_off(running: Service, gold: User, at: int) -> None:
    image = saved(gold, content(5, SIZE))
    assert gold.file(image).content == content(5, SIZE)
    flip(running, image, at)
    with pytest.raises(httpx.RemoteProtocolError):
        gold.file(image)
    log = (running.home / "serve.log").read_text()
    assert f"image {image} in store fast is not what was recorded: blob {key_of(running, image)} is damaged" in log
    assert "Traceback" not in log
    part: Any = gold.file(image, Range="bytes=0-9")
    assert (part.status_code, len(part.content)) == (206, 10)


def test_another_copy_can_be_preferred(running: Service, gold: User) -> None:
    image = saved(gold, content(6, SIZE))
    key = key_of(running, image)
    answer = gold.http.post(f"/v2/images/{image}/import", json={"method": {"name": "copy-image"}, "stores": ["slow"]})
    answer.raise_for_status()
    assert gold.ended(image)["status"] == "success"
    held(running.data, "fast").replace(key, bytes(SIZE))
    with pytest.raises(httpx.RemoteProtocolError):
        gold.file(image)
    assert gold.http.get(f"/v2/images/{image}/file", params={"prefer": "slow"}).content == content(6, SIZE)
