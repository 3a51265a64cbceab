"""The single faults at length: more moments, more repetitions. Each scene is told in one line, as it ends."""

from __future__ import annotations

import random
import tempfile
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.clients.site import User
from tests.faults import disks, processes, scenes
from tests.faults.service import Service, service
from tests.faults.sources import Sources, sources

Scene = tuple[str, Callable[[], object]]


def play(seed: int, say: Callable[[str], None], times: int = 10) -> int:
    """How many scenes failed."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="import-gateway-faults-") as made, sources() as served:
        home = Path(made)
        failed = _all(running_scenes(home / "running", served, chance, times), say)
        failed += _all(process_scenes(home / "process", served, times), say)
        return failed + _all(disk_scenes(home / "disks", served, say), say)


def _all(found: Iterator[Scene], say: Callable[[str], None]) -> int:
    return sum(not _held(name, scene, say) for name, scene in found)


def _held(name: str, scene: Callable[[], object], say: Callable[[str], None]) -> bool:
    try:
        scene()
    except Exception:  # noqa: BLE001
        # Whatever it is, it is told. The others are played all the same.
        say(f"FAILED {name}\n{traceback.format_exc()}")
        return False
    say(f"held   {name}")
    return True


def running_scenes(home: Path, served: Sources, chance: random.Random, times: int) -> Iterator[Scene]:
    """Faults that leave the service running."""
    home.mkdir(parents=True)
    with service(home, scenes.hurried(served.port), scenes.RULES) as gateway, gateway.user() as user:
        for _ in range(5 * times):
            verb, at, reset = chance.choice(["stage", "file"]), chance.randrange(4 << 20), chance.random() < 0.5
            name = f"the client of a PUT {verb} goes away at byte {at}"
            yield name, partial(scenes.cut_off, gateway, user, verb, at, reset=reset)
        for number in range(times):
            yield from _repeated(gateway, user, served, number)


def _repeated(gateway: Service, user: User, served: Sources, number: int) -> Iterator[Scene]:
    for kind in scenes.ENDS:
        yield f"source: {kind} ({number})", partial(scenes.bad_source, gateway, user, served, kind)
    for step, deleted in scenes.DELETIONS.items():
        yield f"deleted {step} ({number})", partial(scenes.deleted, gateway, user, served, deleted)
    for scene in (scenes.sixteen_uploads, disks.log_unwritable):
        yield f"{scene.__name__} ({number})", partial(scene, gateway, user)
    yield f"sixteen_imports ({number})", partial(scenes.sixteen_imports, gateway, user, served)


def process_scenes(home: Path, served: Sources, times: int) -> Iterator[Scene]:
    """Faults that stop, pause or restart it."""
    home.mkdir(parents=True)
    with service(home, scenes.patient(served.port), scenes.RULES) as gateway:
        for number in range(times):
            yield f"stopped during 32 uploads ({number})", partial(processes.stopped_at_work, gateway, served, 32)
            yield f"paused for {number} s", partial(processes.paused, gateway, served, number)
            yield f"another policy ({number})", partial(processes.policy_changed, gateway, served)
            yield f"a refused upload goes on ({number})", partial(_refused_but_talking, gateway)
            yield f"a second process ({number})", partial(processes.second_refused, gateway)


def _refused_but_talking(gateway: Service) -> None:
    with gateway.user() as user:
        scenes.refused_but_talking(gateway, user)


def disk_scenes(home: Path, served: Sources, say: Callable[[str], None]) -> Iterator[Scene]:
    """Disks that fill up."""
    if not disks.may_mount(home / "mounted"):
        say("full disks are left out: mounting a tmpfs needs root")
        return
    for scene in (disks.on_full_store, disks.on_full_disk, disks.on_full_records):
        folder = home / scene.__name__
        folder.mkdir()
        yield scene.__name__, partial(scene, folder, served)
