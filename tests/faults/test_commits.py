"""The way to the database breaks at a commit: before it has arrived, or after, when nobody hears that it was made.

Nothing is done twice and nothing that was acknowledged is lost; whoever looks and goes on gets his image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import httpx
import pytest

from tests.catalog import postgres
from tests.catalog.cable import Cable, cable
from tests.clients.site import User
from tests.faults.audit import Place, audit
from tests.faults.scenes import RULES, patient
from tests.faults.service import Service, service
from tests.faults.sources import Sources, content
from tests.serving.process import LONGEST

pytestmark = postgres.needed

WALKS = {"save": 4, "stage": 8, "web": 7}
"""Ways to an active image, and how many commits each has at least."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, fetched_from: Sources) -> Iterator[tuple[Service, Cable, str]]:
    """A service, the cable to its database, and the database itself."""
    database = postgres.fresh()
    with cable(database) as (line, url):
        settings = patient(fetched_from.port, reaper_interval="300ms")
        home = tmp_path_factory.mktemp("cable")
        with service(home, {**settings, "catalog": {"url": url}}, RULES) as started:
            yield started, line, database


def insist(user: User, image: str, steps: dict[str, Callable[[], httpx.Response]]) -> list[str]:
    """Look at the image, take the step of its status, until it is active. The codes of all refusals on the way."""
    codes, deadline = [], monotonic() + LONGEST
    while (status := _status(user, image)) != "active":
        assert monotonic() < deadline, (status, codes)
        if status in steps:
            answer = steps[status]()
            assert answer.status_code in (201, 202, 204, 409, 503), answer.text
            codes += [] if answer.is_success else [str(answer.json()["error"]["reason"])]
        sleep(0.02)
    return codes


def _status(user: User, image: str) -> str:
    answer = user.http.get(f"/v2/images/{image}")
    assert answer.status_code in (200, 404), answer.text
    return str(answer.json()["status"]) if answer.is_success else "absent"


def walk(user: User, body: bytes, way: str, uri: str) -> tuple[str, list[str]]:
    image = str(uuid4())
    made = {"id": image, "disk_format": "raw", "container_format": "bare"}
    steps: dict[str, Callable[[], httpx.Response]] = {"absent": lambda: user.http.post("/v2/images", json=made)}
    if way == "save":
        steps |= {"queued": lambda: user.save(image, body)}
    elif way == "stage":
        steps |= {"queued": lambda: user.stage(image, body), "uploading": lambda: user.start(image)}
    else:
        steps |= {"queued": lambda: user.start(image, "web-download", uri=uri)}
    return image, insist(user, image, steps)


@pytest.mark.parametrize("arrives", [False, True], ids=["unheard", "made"])
@pytest.mark.parametrize("way", WALKS)
def test_a_commit_that_nobody_answers(
    broken: tuple[Service, Cable, str], fetched_from: Sources, way: str, arrives: bool
) -> None:
    running, line, database = broken
    body = content(7, 200_000)
    uri = fetched_from.paced(7, len(body), 0)
    refusals = []
    with running.user() as user:
        for number in range(1, WALKS[way] + 1):
            line.cut(number, arrives=arrives)
            image, codes = walk(user, body, way, uri)
            refusals += codes
            assert user.file(image).content == body
    assert "catalog-unreachable" in refusals
    line.cut(0, arrives=False)
    rests(Place(database, running.held, running.data / "decisions.jsonl"))
    assert "Traceback" not in running.log


def rests(place: Place) -> None:
    deadline = monotonic() + LONGEST
    while found := audit(place):
        assert monotonic() < deadline, found
        sleep(0.1)


def test_a_server_that_is_restarted_under_imports(tmp_path: Path, fetched_from: Sources) -> None:
    """Meanwhile everything is answered with 503; afterwards the imports end, and nobody has to start the gateway."""
    body = content(8, 300_000)
    with postgres.server() as server:
        url = server.database()
        settings = {**patient(fetched_from.port, reaper_interval="300ms"), "catalog": {"url": url}}
        with service(tmp_path, settings, RULES) as running, running.user() as user:
            images = [user.create() for _ in range(3)]
            for image in images:
                user.start(image, "web-download", uri=fetched_from.paced(8, len(body), 700)).raise_for_status()
            server.stop(immediately=True)
            answer = user.http.get("/v2/images")
            assert (answer.status_code, answer.json()["error"]["reason"]) == (503, "catalog-unreachable")
            assert "Retry-After" in answer.headers
            server.start()
            for image in images:
                user.reaches(image, "active")
                assert user.file(image).content == body
            rests(Place(url, running.held, running.data / "decisions.jsonl"))
