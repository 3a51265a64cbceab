"""Trust that moves, on the real service: a method is earned by imports and lost by a refused one, and what is closed is
opened for an emergency.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from gateway.policy.replaying import read_entry
from tests.cli.running import environment
from tests.cli.service import web
from tests.clients.site import PASSWORD, User
from tests.images import sound
from tests.served import served
from tests.serving.backing import catalog_url
from tests.serving.process import LONGEST
from tests.serving.rows import rows

RAW = b"\1" * 4096
QCOW2 = {"disk_format": "qcow2"}
REASON = "The mirror is down and patches are due."
PATH = "/v2/info/import/break-glass"
TREE = """
version: 1
policy: trust
rules:
  - {id: upload, allow: [glance-direct], within: {max_size: 1MiB}}
  - id: earned
    allow: [web-download]
    when: project.imports.accepted >= 3 && project.imports.rejected == 0
  - id: glass
    allow: [web-download]
    for: {projects: [emergency]}
    break_glass: {roles: [oncall], max: 4h}
  - {id: real, require: all, stages: [inspect]}
"""
USERS = {
    "earner": ("earning", ["member", "reader"]),
    "loser": ("losing", ["member", "reader"]),
    "many": ("many", ["member", "reader"]),
    "mike": ("emergency", ["member", "reader"]),
    "olga": ("emergency", ["member", "reader", "oncall"]),
    "ada": ("admins", ["admin", "member", "reader", "oncall"]),
}


@dataclass(frozen=True)
class Place:
    url: str
    home: Path
    source: str

    @contextmanager
    def user(self, name: str) -> Iterator[User]:
        with httpx.Client(base_url=self.url, auth=(name, PASSWORD), trust_env=False, timeout=LONGEST) as http:
            yield User(http)

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.home / "data" / "decisions.jsonl").read_text().splitlines()]

    def history(self, project: str) -> tuple[int, int]:
        query = "SELECT accepted, rejected FROM project_history WHERE project = :project"
        found = rows(catalog_url(self.home / "data"), query, project=project) or [{"accepted": 0, "rejected": 0}]
        return found[0]["accepted"], found[0]["rejected"]


def written(home: Path, port: int) -> None:
    """A settings file with users of its own."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (home / "htpasswd").write_text("".join(f"{name}:{hashed}\n" for name in USERS))
    users = {name: {"project": {"id": project}, "roles": roles} for name, (project, roles) in USERS.items()}
    settings = {
        "identity": {"type": "basic", "htpasswd": "htpasswd", "users": users},
        "policy": {"directory": "policies"},
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port]},
        "imports": {"retries": 0},
    }
    (home / "gateway.yaml").write_text(json.dumps(settings))
    (home / "policies").mkdir()
    (home / "policies" / "trust.yaml").write_text(TREE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home, folder = tmp_path_factory.mktemp("trust"), tmp_path_factory.mktemp("sources")
    (folder / "image.raw").write_bytes(RAW)
    (folder / "disguised.raw").write_bytes(sound.qcow2())
    with web(folder) as port:
        written(home, port)
        with served(home, "--config", "gateway.yaml") as url:
            yield Place(url, home, f"http://127.0.0.1:{port}/image.raw")


def offered(user: User) -> list[str]:
    found: list[str] = user.http.get("/v2/info/import").raise_for_status().json()["import-methods"]["value"]
    return found


def fetched(user: User, source: str) -> dict[str, Any]:
    image = user.create()
    assert user.start(image, "web-download", uri=source).status_code == 202
    return user.ended(image)


def test_a_method_is_earned_by_imports_and_lost_by_a_refused_one(place: Place) -> None:
    with place.user("earner") as user:
        assert offered(user) == ["glance-direct"]
        refused = user.start(user.create(), "web-download", uri=place.source)
        assert user.error(refused)["reason"] == "not-granted"
        for _ in range(2):
            assert user.save(user.create(), RAW).status_code == 204
        staged = user.create()
        assert user.stage(staged, RAW).status_code == 204
        assert offered(user) == ["glance-direct"]
        assert user.start(staged).status_code == 202
        assert user.ended(staged)["status"] == "success"
        assert offered(user) == ["glance-direct", "web-download"]
        assert fetched(user, place.source)["status"] == "success"
        assert place.history("earning") == (4, 0)
        assert fetched(user, place.source.replace("image.raw", "disguised.raw"))["code"] == "format-mismatch"
        assert offered(user) == ["glance-direct"]
        assert user.error(user.start(user.create(), "web-download", uri=place.source))["reason"] == "not-granted"
    assert place.history("earning") == (4, 1)


def test_only_what_is_refused_for_what_it_is_counts_against_a_project(place: Place) -> None:
    with place.user("loser") as user:
        for _ in range(3):
            user.save(user.create(), RAW).raise_for_status()
        assert fetched(user, f"{place.source}.missing")["status"] == "failure"
        shorter = {"Content-Type": "application/octet-stream", "X-OpenStack-Image-Size": "9999"}
        assert user.http.put(f"/v2/images/{user.create()}/file", content=RAW, headers=shorter).status_code == 400
        deleted = user.create()
        user.stage(deleted, RAW).raise_for_status()
        user.http.delete(f"/v2/images/{deleted}").raise_for_status()
        assert user.start(user.create()).status_code == 409
        assert place.history("losing") == (3, 0)
        for rejected, (content, values, status) in enumerate(
            [
                (sound.qcow2(), {}, 415),
                (RAW, QCOW2, 415),
                (b"\1" * (2 << 20), {}, 403),
            ],
            1,
        ):
            assert user.stage(user.create(**values), content).status_code == status
            assert place.history("losing") == (3, min(rejected, 2))
        many = user.http.put(
            f"/v2/images/{user.create()}/stage",
            content=(part for part in [RAW * 256] * 2),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert many.status_code == 413
    assert place.history("losing") == (3, 3)


def test_imports_that_end_at_once_all_count(place: Place) -> None:
    with place.user("many") as user:
        for _ in range(3):
            user.save(user.create(), RAW).raise_for_status()
        images = [user.create() for _ in range(12)]
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda image: user.start(image, "web-download", uri=place.source), images))
        assert {user.ended(image)["status"] for image in images} == {"success"}
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: user.save(user.create(), sound.qcow2()), range(12)))
    assert place.history("many") == (15, 12)


def test_an_emergency_opens_a_rule_until_it_is_closed(place: Place) -> None:
    with place.user("mike") as mike, place.user("olga") as olga:
        assert offered(mike) == ["glance-direct"]
        body = {"rule": "trust/glass", "reason": REASON, "duration": "30m"}
        assert mike.http.post(PATH, json=body).status_code == 403
        said = olga.http.get(PATH).json()
        assert said == {
            "may_open": [{"rule": "trust/glass", "methods": ["web-download"], "max_seconds": 14400}],
            "open": [],
        }
        answer = olga.http.post(PATH, json=body)
        assert answer.status_code == 201
        opening = answer.json()
        assert olga.http.post(PATH, json=body).status_code == 409
        assert [one["reason"] for one in mike.http.get(PATH).json()["open"]] == [REASON]
        assert offered(mike) == ["glance-direct", "web-download"]
        assert fetched(mike, place.source)["status"] == "success"
        waiting = mike.create()
        assert olga.http.delete(answer.headers["location"]).status_code == 204
        assert mike.error(mike.start(waiting, "web-download", uri=place.source))["reason"] == "not-granted"
        assert offered(mike) == ["glance-direct"]
        assert olga.http.delete(answer.headers["location"]).status_code == 404
    lines = place.decisions()
    events = [line["event"] for line in lines if line.get("id") == opening["id"]]
    assert events == ["break-glass-opened", "break-glass-closed"]
    resting = [line["break_glass"]["id"] for line in lines if "break_glass" in line]
    assert set(resting) == {opening["id"]}


def test_the_log_can_be_replayed(place: Place) -> None:
    kept = [read_entry(json.dumps(line)) for line in place.decisions()]
    earlier = [one for one in kept if one is not None]
    assert earlier
    assert all("project.imports.accepted" in one.facts.values for one in earlier)


def test_an_administrator_opens_it_for_another_project(place: Place) -> None:
    body = {"rule": "trust/glass", "reason": REASON, "duration": "30m"}
    with place.user("ada") as ada, place.user("mike") as mike:
        assert ada.http.post(PATH, json=body).status_code == 404
        opening = ada.http.post(PATH, json={**body, "project_id": "emergency"}).raise_for_status().json()
        assert "web-download" in offered(mike)
        assert [one["project_id"] for one in ada.http.get(PATH).json()["open"]] == ["emergency"]
        ada.http.delete(f"{PATH}/{opening['id']}").raise_for_status()
        assert offered(mike) == ["glance-direct"]


def told(place: Place, *words: str, user: str = "olga") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "break-glass", *words]
    options = ["--url", place.url, "--user", user, "--password", PASSWORD]
    return subprocess.run(
        [*command, *options], cwd=place.home, env=environment(place.home), capture_output=True, text=True, timeout=60
    )


def test_the_command_line_opens_lists_and_closes(place: Place) -> None:
    assert told(place, "list").stdout == "may open  trust/glass: web-download, for at most 4h\n"
    refused = told(place, "open", "trust/glass", "--reason", "short")
    assert (refused.returncode, "10 to 500 characters" in refused.stderr) == (1, True)
    opened = told(place, "open", "trust/glass", "--reason", REASON, "--duration", "2h")
    assert opened.returncode == 0
    number = opened.stdout.split()[-1]
    listed = told(place, "list", user="mike").stdout.splitlines()
    assert listed[0].startswith("open      trust/glass for project emergency until ")
    assert listed[1:] == [f"          {REASON}", f"          id {number}"]
    assert told(place, "close", number).stdout == "Closed.\n"
    assert told(place, "list", user="mike").stdout == "Nothing is open, and there is nothing you may open.\n"
