"""Uploads through everything that ends a process or a connection."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import sleep

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.service import eventually
from tests.faults.audit import Records, audit
from tests.faults.scenes import sound
from tests.faults.service import Service, service
from tests.resumable.speaking import MIB, RULES, SETTINGS, Draft, Tus, becomes, cut_off, image_bytes, rows, upload_id

BODY = image_bytes(6 * MIB + 4321, seed=2)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that tests stop and start again."""
    with service(tmp_path_factory.mktemp("mortal"), SETTINGS, RULES) as started:
        yield started


def in_blocks(body: bytes, pause: float) -> Iterator[bytes]:
    for start in range(0, len(body), 1 << 16):
        yield body[start : start + (1 << 16)]
        sleep(pause)


def begun(mortal: Service) -> tuple[str, str]:
    with mortal.user() as user:
        image = user.create()
        return image, Tus(user).begun(image, len(BODY))


def sent_on(mortal: Service, upload: str, seen: list[int], pause: float) -> bool:
    """Go on from the acknowledged offset until the end, or until the service dies. Whether it ended."""
    with mortal.user() as user:
        tus = Tus(user)
        try:
            seen.append(tus.offset(upload))
            rest = in_blocks(BODY[seen[-1] :], pause)
            length = {"Content-Length": str(len(BODY) - seen[-1])}
            return tus.append(upload, seen[-1], rest, **length).status_code == 204
        except httpx.HTTPError:
            return False


def test_kills_lose_nothing_that_was_acknowledged(mortal: Service) -> None:
    chance = random.Random(5)
    image, upload = begun(mortal)
    seen: list[int] = []

    def kill(wait: float, more_than: int) -> None:
        sleep(wait)
        if wait < 0.56:  # this time something has come for certain
            eventually(lambda: came(mortal, upload) > min(more_than, len(BODY) - 1))
        mortal.kill()

    for _ in range(7):
        killer = threading.Thread(target=kill, args=(chance.uniform(0.1, 0.7), came(mortal, upload)))
        killer.start()
        ended = sent_on(mortal, upload, seen, 0.008)  # slower than the longest wait
        killer.join()
        mortal.start()
        sound(mortal)
        if ended:
            break
    while not sent_on(mortal, upload, seen, 0):
        assert seen[-1] < len(BODY)
    assert seen == sorted(seen)
    assert seen[-1] > 0
    with mortal.user() as user:
        becomes(user, image, BODY)
    sound(mortal)


def test_a_verdict_that_was_cut_short_is_made_by_the_next_start(mortal: Service) -> None:
    """Killed while it judges the whole: nobody has to ask, the next start ends it."""
    for size in (16, 32, 64, 128, 256):
        body = image_bytes(size * MIB, seed=3)
        with mortal.user() as user:
            image, tus = user.create(), Tus(user)
            upload = tus.create(image, len(body), body[:-1]).headers["location"]
            last = threading.Thread(target=lost, args=(tus, upload, len(body) - 1, body[-1:]))
            last.start()
            eventually(partial(is_in, mortal, upload, "whole", "staged"))
            mortal.kill()
            last.join()
        cut_short = is_in(mortal, upload, "whole")
        mortal.start()
        with mortal.user() as user:
            assert Tus(user).offset(upload) == len(body)
            eventually(partial(is_in, mortal, upload, "staged"))
            becomes(user, image, body)
        sound(mortal)
        if cut_short:
            return
    raise AssertionError("no kill came in time")


def lost(tus: Tus, upload: str, offset: int, body: bytes) -> None:
    try:
        tus.append(upload, offset, body)
    except httpx.HTTPError:
        pass


def came(mortal: Service, upload: str) -> int:
    """How many bytes are acknowledged."""
    return int(Records(mortal.place).uploads[upload_id(upload)]["offset"])


def is_in(mortal: Service, upload: str, *states: str) -> bool:
    return Records(mortal.place).uploads[upload_id(upload)]["state"] in states


def test_a_stop_keeps_what_has_come(mortal: Service) -> None:
    _, upload = begun(mortal)
    seen: list[int] = []

    def stop() -> None:
        eventually(lambda: came(mortal, upload))
        mortal.signal(signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    sent_on(mortal, upload, seen, 0.05)
    stopper.join()
    mortal.wait(30)
    mortal.start()
    with mortal.user() as user:
        assert Tus(user).offset(upload) > 0
    sound(mortal)


@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    cuts=st.lists(st.integers(1, MIB + MIB // 2), max_size=3),
    broken=st.lists(st.booleans(), min_size=3, max_size=3),
    draft=st.booleans(),
)
def test_wherever_it_is_cut(running: Service, cuts: list[int], broken: list[bool], draft: bool) -> None:
    body = image_bytes(2 * MIB + 1, seed=len(cuts))
    with running.user() as user:
        image, at = user.create(), 0
        tus, ietf = Tus(user), Draft(user)
        upload = ietf.create(image).headers["location"] if draft else tus.begun(image, len(body))
        for cut, breaks in zip(cuts, broken, strict=False):
            piece = body[at : at + cut]
            if at + cut >= len(body):
                break
            if breaks:
                cut_off(running, user, upload, at, piece, len(body) - at)
            else:
                (ietf if draft else tus).append(upload, at, piece).raise_for_status()
            at += cut
            assert tus.offset(upload) == at
        last = ietf.append(upload, at, body[at:], last=True) if draft else tus.append(upload, at, body[at:])
        assert last.status_code == 204, last.text
        becomes(user, image, body)


def test_nobody_goes_on_for_ever(tmp_path: Path) -> None:
    hurried = {"imports": {**SETTINGS["imports"], "upload_expires": "1s", "reaper_interval": "100ms"}}
    with service(tmp_path, hurried, RULES) as short, short.user() as user:
        image, tus = user.create(), Tus(user)
        upload = tus.create(image, len(BODY), BODY[: 2 * MIB]).headers["location"]
        user.reaches(image, "queued")
        assert tus.head(upload).status_code == 410
        assert tus.append(upload, 2 * MIB, b"x").json()["error"]["reason"] == "upload-expired"
        eventually(lambda: rows(short, image) == [])
        eventually(lambda: tus.head(upload).status_code == 404)
        assert user.stage(image, BODY).status_code == 204
        assert audit(short.place) == []
