"""webhook as owners and operators meet it: the whole service beside real endpoints that agree, refuse and misbehave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.governing.running import Service, service, write
from tests.service.endpoint import KEY, Endpoint, certified, endpoint
from tests.serving.process import Ended

CONTENT = b"an image" * 1000
NAMES = ("checks", "hasty", "tls", "distrusted", "gone")
GARBAGE = [
    b"", b"<html>", b"[]", b'{"verdict": "maybe"}', b'{"verdict": ["allow"]}', b"[" * 60_000, b'{"verdict": "allow"',
    b'{"verdict": "allow", "message": 7}', b'{"verdict": "allow", "findings": [7]}', b"\xff\xfe",
]  # fmt: skip


def rule(name: str, **options: str) -> dict[str, Any]:
    hook = {"webhook": {"name": name, **options}}
    key = "-".join((name, *options.values()))
    when = f'request.properties["hook"] == "{key}"'
    return {"id": key, "require": "all", "when": when, "message": "Asked.", "stages": ["inspect", hook]}


@dataclass(frozen=True)
class Scene:
    site: Service
    checks: Endpoint
    tls: Endpoint

    def upload(self, hook: str = "checks") -> tuple[str, Any]:
        """An image's id, and the answer to `PUT file`."""
        silver = self.site.user("silver")
        image = silver.create(hook=hook)
        return image, silver.save(image, CONTENT)

    def imported(self, hook: str = "checks") -> tuple[str, dict[str, Any]]:
        silver = self.site.user("silver")
        image = silver.create(hook=hook)
        silver.stage(image, CONTENT).raise_for_status()
        silver.start(image).raise_for_status()
        return image, silver.ended(image)

    def status(self, image: str) -> str:
        return str(self.site.user("silver").show(image)["status"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = tmp_path_factory.mktemp("site")
    everything = {"id": "everything", "allow": "all"}
    rules = [everything, *map(rule, NAMES), rule("gone", on_error="accept"), rule("unknown")]
    write(home / "policies", {"hooks": rules})
    (home / "key").write_bytes(KEY)
    pem = certified(home)
    with endpoint() as checks, endpoint(pem) as tls:
        one = {"secret_file": str(home / "key"), "timeout": "60s"}
        webhooks = {
            "checks": {**one, "url": f"{checks.url}/images?from=gateway"},
            "hasty": {**one, "url": checks.url, "timeout": "1500ms"},
            "tls": {**one, "url": tls.url, "ca_file": str(pem)},
            "distrusted": {**one, "url": tls.url},
            "gone": {**one, "url": "http://127.0.0.1:9"},
        }
        with service(home, stages={"webhooks": webhooks}, imports={"retries": 0}) as site:
            site.start()
            yield Scene(site, checks, tls)


@pytest.fixture(autouse=True)
def agreeable(scene: Scene) -> None:
    scene.checks.says(b'{"verdict": "allow"}')
    for asked in (scene.checks.asked, scene.checks.ids, scene.checks.paths):
        asked.clear()


def test_an_endpoint_that_agrees_is_told_what_it_agrees_to(scene: Scene) -> None:
    image, task = scene.imported()
    assert (task["status"], scene.status(image)) == ("success", "active")
    (message,), (path,) = scene.checks.asked, scene.checks.paths
    assert path == "/images?from=gateway"
    told = message["data"]
    assert (told["image_id"], told["project_id"], told["size"]) == (image, "demo-silver", len(CONTENT))
    assert told["hashes"]["sha512"] == hashlib.sha512(CONTENT).hexdigest()
    assert told["source"] == {"name": "glance-direct"}
    assert (told["disk_format"], told["attempt"], told["import_id"]) == ("raw", 1, task["id"])
    assert [stage["name"] for stage in told["stages"]] == ["inspect"]
    assert told["decision_id"]
    assert told["policy_revision"]
    (report,) = [stage for stage in task["stages"] if stage["name"] == "webhook"]
    assert (report["verdict"], report["findings"][0]["code"]) == ("passed", "webhook-allow")


def test_an_endpoint_that_refuses_is_heard_and_cleaned(scene: Scene) -> None:
    evil = "Not\x1b[31m signed\nby\u202e us" + "!" * 900
    said = {"verdict": "deny", "message": evil, "findings": [{"code": "unsigned", "message": "No signature."}]}
    scene.checks.says(json.dumps(said).encode())
    image, task = scene.imported()
    assert (task["status"], scene.status(image)) == ("failure", "queued")
    assert "refuses this image: Not [31m signed by us!!!" in task["message"]
    assert task["message"].isprintable()
    assert len(task["message"]) < 600
    assert [finding["code"] for finding in task["stages"][-1]["findings"]] == ["unsigned", "webhook-denied"]
    assert scene.upload()[1].status_code == 415


def test_a_report_is_kept(scene: Scene) -> None:
    scene.checks.says(b'{"verdict": "report", "message": "Old kernel.", "findings": [{"code": "old"}]}')
    image, task = scene.imported()
    assert scene.status(image) == "active"
    assert [finding["code"] for finding in task["stages"][-1]["findings"]] == ["old", "webhook-report"]


@pytest.mark.parametrize("body", GARBAGE)
def test_an_answer_that_cannot_be_read_refuses(scene: Scene, body: bytes) -> None:
    scene.checks.says(body)
    image, answer = scene.upload()
    assert answer.status_code == 503
    assert scene.site.user("silver").error(answer)["reason"] == "stage-unavailable"
    assert scene.status(image) == "queued"


def test_a_huge_answer_refuses(scene: Scene) -> None:
    scene.checks.says(b'{"verdict": "allow", "message": "' + b"x" * (64 << 10) + b'"}')
    assert scene.upload()[1].status_code == 503


@pytest.mark.parametrize("status", [201, 204, 403, 500])
def test_only_200_is_an_answer(scene: Scene, status: int) -> None:
    scene.checks.says(b"" if status == 204 else b'{"verdict": "allow"}', status)
    assert scene.upload()[1].status_code == 503


def test_a_redirect_is_not_followed(scene: Scene) -> None:
    scene.checks.says(b"", 307, Location=f"{scene.checks.url}/elsewhere")
    assert scene.upload()[1].status_code == 503
    assert "/elsewhere" not in scene.checks.paths


def test_a_failure_that_passes_is_tried_again_under_the_same_id(scene: Scene) -> None:
    def recovering(message: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return (503, {}, b"") if len(scene.checks.asked) == 1 else (200, {}, b'{"verdict": "allow"}')

    scene.checks.say = recovering
    image, answer = scene.upload()
    assert (answer.status_code, scene.status(image)) == (204, "active")
    assert len(scene.checks.ids) == 2
    assert len(set(scene.checks.ids)) == 1


def test_a_slow_endpoint_is_not_waited_for(scene: Scene) -> None:
    scene.checks.hangs()
    image, answer = scene.upload("hasty")
    assert answer.status_code == 503
    assert scene.status(image) == "queued"
    scene.checks.released.set()


def test_tls_is_checked(scene: Scene) -> None:
    image, _ = scene.upload("tls")
    assert scene.status(image) == "active"
    image, answer = scene.upload("distrusted")
    assert (answer.status_code, scene.status(image)) == (503, "queued")


def test_a_dead_endpoint_refuses_unless_the_policy_accepts(scene: Scene) -> None:
    image, task = scene.imported("gone")
    assert (task["status"], scene.status(image)) == ("failure", "queued")
    assert "127.0.0.1" not in task["message"]
    image, task = scene.imported("gone-accept")
    assert (task["status"], scene.status(image)) == ("success", "active")
    (finding,) = task["stages"][-1]["findings"]
    assert (finding["code"], finding["message"][:17]) == ("stage-unavailable", "Accepted although")


def test_a_webhook_nobody_named_withholds_what_needs_it(scene: Scene) -> None:
    image, answer = scene.upload("unknown")
    assert (answer.status_code, scene.status(image)) == (403, "queued")
    assert scene.site.user("silver").error(answer)["reason"] == "stage-unavailable"


def test_a_weak_secret_keeps_the_service_from_starting(scene: Scene, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("short")
    write(tmp_path / "policies", {"hooks": [{"id": "everything", "allow": "all"}]})
    webhooks = {"checks": {"url": scene.checks.url, "secret_file": str(tmp_path / "key")}}
    with service(tmp_path, stages={"webhooks": webhooks}) as site, pytest.raises(Ended, match="openssl rand"):
        site.start()
