"""The client against image services of another make: no policies in discovery, no progress, errors as plain text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.sources import HashedBlocks, LocalFile
from gateway.model.errors import BrokenUpload
from tests.cli.elsewhere import Answer, Service, said, serving
from tests.cli.running import Done, cli

CONTENT = bytes(range(256)) * 8192
ID = "9f0e5f8e-6d1c-4c55-9e1e-111111111111"
IMAGE = f"/v2/images/{ID}"


def image(status: str, **more: Any) -> Answer:
    return said(
        200, {"id": ID, "name": "disk.raw", "status": status, "size": len(CONTENT), "disk_format": "raw", **more}
    )


def hashed(algorithm: str, content: bytes = CONTENT) -> dict[str, str]:
    return {"os_hash_algo": algorithm, "os_hash_value": hashlib.new(algorithm, content).hexdigest()}


@pytest.fixture
def images() -> Iterator[Service]:
    answers = {
        ("GET", "/v2/info/import"): [said(200, {"import-methods": {"value": ["glance-direct"]}})],
        ("POST", "/v2/images"): [said(201, {"id": ID, "status": "queued"})],
        ("PUT", f"{IMAGE}/stage"): [said(204)],
        ("POST", f"{IMAGE}/import"): [said(202)],
        ("GET", IMAGE): [image("importing"), image("active", **hashed("sha512"))],
        ("GET", f"{IMAGE}/tasks"): [said(200, {"tasks": []})],
        ("DELETE", IMAGE): [said(204)],
    }
    with serving(Service(answers)) as service:
        yield service


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "disk.raw"
    file.write_bytes(CONTENT)
    return file


def run(images: Service, disk: Path, *options: str) -> Done:
    return cli(disk.parent, "import", str(disk), "--url", f"{images.url}/v2", *options)


def test_an_import_needs_no_policy_and_no_tasks(images: Service, disk: Path) -> None:
    done = run(images, disk, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identical"] is True
    ((headers, body),) = images.sent("PUT", f"{IMAGE}/stage")
    assert body == CONTENT
    assert headers["x-openstack-image-size"] == headers["content-length"] == str(len(CONTENT))
    ((_, started),) = images.sent("POST", f"{IMAGE}/import")
    assert json.loads(started) == {"method": {"name": "glance-direct"}}


def test_another_hash_algorithm_is_compared_too(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("active", **hashed("sha256"))]
    done = run(images, disk, "--json")
    assert json.loads(done.stdout)["file"]["hash_algo"] == "sha256"
    assert json.loads(done.stdout)["identical"] is True


def test_a_service_without_hashes_is_not_called_identical(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("active")]
    assert "names no hash" in run(images, disk).stdout


def test_other_bytes_than_the_files_are_an_error_and_are_not_kept(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("active", **hashed("sha512", CONTENT[:-1] + b"x"))]
    done = run(images, disk)
    assert done.returncode == 1
    assert "other bytes" in done.stderr
    assert len(images.sent("DELETE", IMAGE)) == 1


def task(**values: Any) -> Answer:
    return said(
        200, {"tasks": [{"created_at": "1", "status": "failure", "message": "old"}, {"created_at": "2", **values}]}
    )


def test_bytes_a_stage_has_changed_are_no_error(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("active", **hashed("sha512", b"converted"))]
    stages = [{"name": "convert", "verdict": "passed", "seconds": 1.5, "bytes": 5, "findings": []}]
    images.answers["GET", f"{IMAGE}/tasks"] = [task(status="success", stages=stages)]
    done = run(images, disk)
    assert done.returncode == 0
    assert "The stage 'convert' changed the bytes" in done.stdout


def test_the_newest_task_says_why_it_failed(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("importing")]
    finding = {"code": "virus", "message": "It has a virus."}
    stages = [{"name": "malware-scan", "verdict": "refused", "seconds": 1, "bytes": 5, "findings": [finding]}]
    failed = task(status="failure", message="Refused.", remedy="Clean it.", code="virus", stages=stages)
    images.answers["GET", f"{IMAGE}/tasks"] = [task(status="processing"), failed]
    done = run(images, disk)
    assert done.returncode == 1
    assert "virus: It has a virus." in done.stderr
    assert done.stderr.endswith("Error: Refused.\nClean it.\n")
    assert len(images.sent("DELETE", IMAGE)) == 1


def test_an_import_that_just_ends_is_a_failure(images: Service, disk: Path) -> None:
    images.answers["GET", IMAGE] = [image("importing"), image("queued")]
    done = run(images, disk)
    assert done.returncode == 1
    assert "does not say why" in done.stderr


def test_an_image_somebody_deletes_meanwhile(images: Service, disk: Path) -> None:
    gone = said(404, {"message": "No image found", "code": "404 Not Found", "title": "Not Found"})
    images.answers["GET", IMAGE] = [image("importing"), gone]
    done = run(images, disk)
    assert done.returncode == 1
    assert f"Image {ID} was deleted while it was imported." in done.stderr


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (said(503, {"error": {"message": "Away. Wait.", "remedy": "Wait.", "reason": "unavailable"}}), "Away.\nWait."),
        (said(409, {"message": "flat", "code": "409 Conflict", "title": "Conflict"}), "flat"),
        ((403, {"Content-Type": "text/plain"}, b"403 Forbidden\n\nNot you.\n"), "403 Forbidden Not you."),
        ((403, {"Content-Type": "text/html"}, b"<html><b>No</b></html>"), "No"),
        ((500, {}, b""), "The service answered 500 Internal Server Error."),
        ((500, {"Content-Type": "application/json"}, b"[1]"), "The service answered 500"),
        ((201, {"Content-Type": "application/json"}, b"[]"), "is not the Images API"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "is not the Images API"),
    ],
)
def test_any_error_body_becomes_a_message(images: Service, disk: Path, answer: Answer, message: str) -> None:
    images.answers["POST", "/v2/images"] = [answer]
    done = run(images, disk)
    assert done.returncode == 1
    assert f"Error: {message}" in done.stderr or message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_is_away_for_a_moment_costs_no_import(images: Service, disk: Path) -> None:
    away = said(503, {"error": {"message": "Restarting."}})
    images.answers["GET", IMAGE] = [away, image("importing"), away, image("active", **hashed("sha512"))]
    assert run(images, disk).returncode == 0


def test_a_file_that_becomes_shorter_while_it_is_sent(disk: Path) -> None:
    blocks = iter(HashedBlocks(LocalFile(disk), "sha512", lambda done: None))
    next(blocks)
    disk.write_bytes(b"short")
    with pytest.raises(BrokenUpload, match="became shorter"):
        list(blocks)


def test_bytes_sent_again_are_hashed_again(disk: Path) -> None:
    blocks = HashedBlocks(LocalFile(disk), "sha256", lambda done: None)
    next(iter(blocks))
    assert b"".join(blocks) == CONTENT
    assert blocks.digest == hashlib.sha256(CONTENT).hexdigest()


def test_every_word_of_a_service_is_shown_as_it_is(images: Service, disk: Path) -> None:
    images.answers["POST", "/v2/images"] = [said(400, {"error": {"message": "[red]not[/red] [/markup]"}})]
    done = run(images, disk)
    assert re.search(r"\[red\]not\[/red\] \[/markup\]", done.stderr)
