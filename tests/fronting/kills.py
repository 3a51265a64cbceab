"""Kill -9 of the gateway at any moment of an import, in front of another image service.

Whatever was being done, the image is queued or active there afterwards; active with the bytes it was sent; what was
answered with success has happened, and an import that was accepted ends. Nothing staged stays, and no token anywhere.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.clients.site import User
from tests.images import sound
from tests.serving.process import Process

MIB = 1 << 20
QCOW2 = {"disk_format": "qcow2", "container_format": "bare"}
LONGEST = 60.0
ENDED = ("success", "failure")


@dataclass(frozen=True)
class Scene:
    """`user(alone)` is one user of the gateway, or of the service behind. `web` is served at `source`."""

    front: Process
    user: Callable[[bool], AbstractContextManager[User]]
    staging: Path
    web: Path
    source: str


@dataclass
class Life:
    """What is done to one image, and what was answered."""

    image: str
    way: str
    body: bytes
    done: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return hashlib.sha512(self.body).hexdigest()


WAYS = ("save", "import", "import to both", "web-download")


def campaign(scene: Scene, kills: int, seed: int, stores: tuple[str, ...] = ("fast", "slow")) -> list[str]:
    """What was found wrong after so many kills."""
    chance = random.Random(seed)
    lives = [_killed(scene, chance, number, stores) for number in range(kills)]
    found = [problem for life in lives for problem in _audit(scene, life)]
    return [*found, *_left(scene)]


def _killed(scene: Scene, chance: random.Random, number: int, stores: tuple[str, ...]) -> Life:
    body = sound.qcow2() + os.urandom(chance.choice((1, 4, 16)) * MIB)
    with scene.user(False) as user:
        life = Life(user.create(name=f"kill {number}", **QCOW2), WAYS[number % len(WAYS)], body)
        doing = threading.Thread(target=_live, args=(scene, user, life, stores))
        doing.start()
        sleep(chance.random() ** 2 * 1.5)
        scene.front.kill()
        doing.join()
    scene.front.start()
    return life


def _live(scene: Scene, user: User, life: Life, stores: tuple[str, ...]) -> None:
    with suppress(httpx.TransportError):
        if life.way == "save":
            _note(life, "saved", user.save(life.image, life.body))
        elif life.way == "web-download":
            (scene.web / life.image).write_bytes(life.body)
            uri = f"{scene.source}/{life.image}"
            _note(life, "accepted", user.start(life.image, "web-download", uri=uri))
        elif _note(life, "staged", user.stage(life.image, life.body)):
            named = {"stores": list(stores)} if life.way == "import to both" else {}
            sent = {"method": {"name": "glance-direct"}, **named}
            _note(life, "accepted", user.http.post(f"/v2/images/{life.image}/import", json=sent))


def _note(life: Life, what: str, answer: httpx.Response) -> bool:
    life.done.append(what if answer.status_code < 300 else f"{what}? {answer.status_code} {answer.text[:200]}")
    return answer.status_code < 300


def _audit(scene: Scene, life: Life) -> list[str]:
    name = f"{life.way} {life.image} ({', '.join(life.done) or 'nothing answered'})"
    with scene.user(False) as user, scene.user(True) as alone:
        task, shown = _rests(user, alone, life)
        if shown["status"] not in ("queued", "active"):
            return [f"{name}: it stays {shown['status']}, its import {task.get('status')}"]
        if shown["status"] == "active" and shown["os_hash_value"] != life.digest:
            return [f"{name}: active with other bytes"]
        if "saved" in life.done and shown["status"] != "active":
            return [f"{name}: it was said to be active"]
        if "accepted" in life.done and task.get("status") not in ENDED:
            return [f"{name}: its import is {task.get('status')}"]
        if task.get("status") == "success" and shown["status"] != "active":
            return [f"{name}: its import succeeded"]
        if "accepted" in life.done and shown["status"] != "active":
            return [f"{name}: given up: {task.get('message')}"]
    return []


def _rests(user: User, alone: User, life: Life) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its import and the image there, once nothing is done to it."""
    end = monotonic() + LONGEST
    while True:
        tasks = user.http.get(f"/v2/images/{life.image}/tasks").json().get("tasks", [])
        task, shown = tasks[0] if tasks else {}, alone.show(life.image)
        resting = shown["status"] in ("queued", "active") and (not task or task["status"] in ENDED)
        if resting or monotonic() > end:
            return task, shown
        sleep(0.1)


def _left(scene: Scene) -> list[str]:
    """Bytes and secrets that nobody needs any more, once every image is deleted."""
    with scene.user(False) as user:
        token = user.http.headers["x-auth-token"]
        for image in user.http.get("/v2/images?limit=1000").json()["images"]:
            if str(image["name"]).startswith("kill "):
                user.http.delete(f"/v2/images/{image['id']}").raise_for_status()
    end = monotonic() + LONGEST
    while (files := [path for path in scene.staging.rglob("*") if path.is_file()]) and monotonic() < end:
        sleep(0.2)
    kept = [path for path in scene.front.home.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    return [*(f"staged bytes stay: {path.name}" for path in files), *(f"a token stands in {path}" for path in kept)]
