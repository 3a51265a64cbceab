"""Any gateway of a database takes the next request of an upload, whichever had the one before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.catalog import postgres
from tests.cli.service import eventually
from tests.fleet.fleet import Fleet, fleet
from tests.resumable.speaking import MIB, Tus, becomes, image_bytes, upload_id
from tests.serving.process import LONGEST

pytestmark = postgres.needed

BODY = image_bytes(4 * MIB + 5, seed=4)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("two"), 2, 80, upload_part="1MiB") as started:
        yield started


def is_in(two: Fleet, upload: str, *states: str) -> bool:
    (row,) = two.rows(f"SELECT state FROM uploads WHERE id = '{upload_id(upload)}'")
    return row["state"] in states


def test_pieces_go_to_either(two: Fleet) -> None:
    with two.users() as users:
        image = users[0].create()
        upload, at = Tus(users[0]).begun(image, len(BODY)), 0
        while at < len(BODY):
            here = Tus(users[(at // 700_000) % 2])
            assert here.offset(upload) == at
            assert here.append(upload, at, BODY[at : at + 700_000]).status_code == 204
            at += 700_000
        becomes(users[1], image, BODY)
    assert two.rest() == []


def held_open(body: bytes, go_on: threading.Event) -> Iterator[bytes]:
    yield body
    go_on.wait(LONGEST)
    yield b"too late"


def test_whoever_asks_for_the_offset_has_the_upload(two: Fleet) -> None:
    """What the other gateway is still being sent is not taken any more."""
    go_on, answers = threading.Event(), list[httpx.Response]()
    with two.users() as users:
        image = users[0].create()
        first, second = Tus(users[0]), Tus(users[1])
        upload = first.begun(image, len(BODY))
        body = held_open(BODY[: 3 * MIB], go_on)
        sending = threading.Thread(target=lambda: answers.append(first.append(upload, 0, body)))
        sending.start()
        kept = f"SELECT 1 FROM uploads WHERE id = '{upload_id(upload)}' AND \"offset\" >= {2 * MIB}"
        eventually(lambda: two.count(kept))
        at = second.offset(upload)
        assert at >= 2 * MIB
        assert second.append(upload, at, BODY[at:]).status_code == 204
        go_on.set()
        sending.join()
        assert answers[0].status_code == 409
        becomes(users[1], image, BODY)
    assert two.rest() == []


def test_a_dead_gateway_leaves_its_verdict_to_the_other(two: Fleet) -> None:
    body = image_bytes(48 * MIB, seed=5)
    for _ in range(5):
        with two.users() as users:
            image, tus = users[0].create(), Tus(users[0])
            upload = tus.create(image, len(body), body[:-1]).headers["location"]
            last = threading.Thread(target=lost, args=(tus, upload, len(body) - 1, body[-1:]))
            last.start()
            eventually(partial(is_in, two, upload, "whole", "staged"))
            two.members[0].kill()
            last.join()
            cut_short = is_in(two, upload, "whole")
            eventually(partial(is_in, two, upload, "staged"))
            becomes(users[1], image, body)
        two.members[0].start()
        assert two.rest() == []
        if cut_short:
            return
    raise AssertionError("no kill came in time")


def lost(tus: Tus, upload: str, offset: int, body: bytes) -> None:
    try:
        tus.append(upload, offset, body)
    except httpx.HTTPError:
        pass
