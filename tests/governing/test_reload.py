"""A tree is swapped whole, under load, and only for one that is right."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.policy.compiler import revision
from gateway.trees import read_tree
from tests.cli.service import eventually
from tests.governing.running import MIB, Service, service, tree, write
from tests.serving.process import LONGEST, Ended

SWAPS = 20
BAD = "version: 1\npolicy: limits\nrules:\n  - id: size\n    limmit: all\n"


def said(document: dict[str, Any]) -> tuple[str, int, tuple[str, ...]]:
    """Revision, size and methods of one discovery answer."""
    policy = document["import-policy"]["value"]["revision"]
    return policy, document["max_upload_bytes"]["value"], tuple(document["import-methods"]["value"])


class Askers:
    """Threads that ask for discovery until they are told to stop; what they got, and what went wrong."""

    def __init__(self, url: str, threads: int = 4) -> None:
        self.answers: list[tuple[str, int, tuple[str, ...]]] = []
        self.failures: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(threads)]

    def __enter__(self) -> Askers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, auth=("gold", "demo"), trust_env=False, timeout=LONGEST) as client:
            while not self._over.is_set():
                try:
                    answer = client.get("/v2/info/import")
                    self.answers.append(said(answer.raise_for_status().json()))
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))


def test_every_answer_of_twenty_swaps_is_of_one_tree(tmp_path: Path) -> None:
    whole: dict[str, tuple[int, tuple[str, ...]]] = {}

    def written(number: int) -> str:
        write(tmp_path / "policies", tree(number))
        found = revision(read_tree(tmp_path / "policies"))
        whole[found] = (number * MIB, ("glance-direct", "web-download")[: 1 + number % 2])
        return found

    with service(tmp_path) as running:
        written(1)
        running.start()
        with Askers(running.url) as askers:
            eventually(lambda: len(askers.answers) > 10)
            for number in range(2, SWAPS + 2):
                found = written(number)
                running.reload()
                running.becomes(found)
                seen = len(askers.answers)
                eventually(lambda seen=seen: len(askers.answers) > seen + 10)
    assert askers.failures == []
    assert len(askers.answers) > 200
    assert [answer for answer in askers.answers if whole[answer[0]] != answer[1:]] == []
    assert len(Counter(answer[0] for answer in askers.answers)) == SWAPS + 1


def test_a_bad_tree_changes_nothing_and_is_told_with_its_place(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        write(running.policies, tree(1))
        running.start()
        good = running.live()
        write(running.policies, {**tree(2), "limits": BAD})
        running.reload()
        eventually(lambda: running.live()["pending"])
        bad = running.live()
        assert (bad["revision"], bad["since"]) == (good["revision"], good["since"])
        assert "limits.yaml:5:5" in bad["problem"]["text"]
        assert "limits.yaml:5:5" in running.log
        assert running.health()["status"] == "degraded"
        outside = httpx.get(f"{running.url}/healthcheck?detailed", headers={"X-Forwarded-For": "192.0.2.1"}).json()
        assert outside["policy"]["live"]["pending"]
        assert "limits.yaml" not in str(outside)
        asked = running.user("gold").http.get("/v2/info/import").json()
        assert said(asked)[1:] == (MIB, ("glance-direct", "web-download"))
        write(running.policies, tree(2))
        running.reload()
        eventually(lambda: not running.live()["pending"])
        assert running.live()["revision"] != good["revision"]


def test_a_changed_folder_is_seen_without_a_signal(tmp_path: Path) -> None:
    with service(tmp_path, policy={"watch": "50ms"}) as running:
        write(running.policies, tree(1))
        running.start()
        write(running.policies, tree(2))
        running.becomes(revision(read_tree(running.policies)))


def test_an_upload_under_way_keeps_the_tree_it_was_granted_under(tmp_path: Path) -> None:
    half, going = b"x" * (3 * MIB // 2), threading.Event()

    def body() -> Any:
        yield half
        assert going.wait(30)
        yield half

    with service(tmp_path) as running:
        write(running.policies, tree(3))
        running.start()
        user = running.user("gold")
        image = user.create()
        sent: list[int] = []
        headers = {"Content-Type": "application/octet-stream"}
        put = threading.Thread(
            target=lambda: sent.append(
                user.http.put(f"/v2/images/{image}/stage", content=body(), headers=headers).status_code
            )
        )
        put.start()
        user.reaches(image, "uploading")
        write(running.policies, tree(4))
        running.reload()
        running.becomes(revision(read_tree(running.policies)))
        going.set()
        put.join()
        assert sent == [204]


def expecting(running: Service, digest: str) -> subprocess.CompletedProcess[str]:
    with pytest.raises(Ended):
        running.start("--expect-revision", digest)
    return subprocess.CompletedProcess([], running.wait(30), stderr=running.log)


def test_no_other_tree_than_the_expected_one(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        write(running.policies, tree(1))
        pinned, other = revision(read_tree(running.policies)), f"sha256:{'0' * 64}"
        ended = expecting(running, other)
        assert ended.returncode != 0
        assert pinned in ended.stderr
        assert other in ended.stderr
        assert "Traceback" not in ended.stderr
        running.kill()
        running.start("--expect-revision", pinned)
        write(running.policies, tree(2))
        running.reload()
        eventually(lambda: running.live()["pending"])
        live = running.live()
        assert live["revision"] == pinned
        assert live["problem"]["code"] == "unexpected-revision"
        assert pinned in live["problem"]["text"]
        assert revision(read_tree(running.policies)) in live["problem"]["text"]
