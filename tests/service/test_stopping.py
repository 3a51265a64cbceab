"""The end of a process whose sources and clients are silent: what waits is answered or left, and nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.service import eventually
from tests.faults.scenes import BODY, patient, sending, sound, untouched
from tests.faults.service import Service, service
from tests.faults.sources import Sources, sources

IDLE_SECONDS = 30
"""How long a source or a client may be silent while the service runs: the default."""


@pytest.fixture
def web() -> Iterator[Sources]:
    with sources() as started:
        yield started


@pytest.fixture
def running(tmp_path: Path, web: Sources) -> Iterator[Service]:
    with service(tmp_path, patient(web.port)) as started:
        yield started


def stop(running: Service) -> float:
    """Seconds until the process is gone."""
    began = monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait(IDLE_SECONDS) == 0
    return monotonic() - began


def answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and error of the answer, read to the end of the connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]


def test_a_silent_source_does_not_hold_the_end(running: Service, web: Sources) -> None:
    with running.user() as user:
        image = user.create()
        user.start(image, "web-download", uri=web.url("stall")).raise_for_status()
        eventually(lambda: user.task(image)["progress"]["bytes"])
    assert stop(running) < IDLE_SECONDS / 2
    running.start()
    with running.user() as user:
        assert user.show(image)["status"] == "importing"
        assert user.task(image)["status"] in ("pending", "processing")
        user.http.delete(f"/v2/images/{image}").raise_for_status()


@pytest.mark.parametrize(("verb", "status"), [("stage", "uploading"), ("file", "saving")])
def test_an_upload_that_is_cut_off_is_told_by_name(running: Service, verb: str, status: str) -> None:
    with running.user() as user:
        image = user.create()
        with sending(user, f"/v2/images/{image}/{verb}", len(BODY)) as connection:
            connection.sendall(BODY[:1000])
            user.reaches(image, status)
            assert stop(running) < IDLE_SECONDS / 2
            code, error = answer(connection)
    assert (code, error["code"], error["reason"], error["title"]) == (503, 503, "interrupted", "Service Unavailable")
    assert "stopping" in error["message"]
    assert error["remedy"]
    assert error["request_id"].startswith("req-")
    running.start()
    with running.user() as user:
        untouched(running, user, image)
    sound(running)
