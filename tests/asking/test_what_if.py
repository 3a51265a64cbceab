"""`POST /v2/info/import/what-if`, the 403 that says the same, and the command line that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from gateway.shipped_files import shipped
from tests.cli.running import cli
from tests.clients.site import PASSWORD, User
from tests.faults.service import Service

ANSWER = Draft202012Validator(json.loads((shipped("schemas") / "what-if.schema.json").read_text()))
PLAIN = "http://x.mirror.example/disk.raw"
DOWNLOAD = {"name": "web-download", "uri": PLAIN}
UPLOAD = {"name": "glance-direct"}


def ask(user: User, body: Any) -> httpx.Response:
    return user.http.post("/v2/info/import/what-if", json=body)


def answer(user: User, method: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(user, {"method": method, **more}).raise_for_status().json()
    ANSWER.validate(found)
    return found


def said(refused: httpx.Response) -> dict[str, Any]:
    assert refused.status_code == 403
    error: dict[str, Any] = refused.json()["error"]
    return error


def test_an_open_answer_says_what_is_not_known_yet(gold: User) -> None:
    found = answer(gold, UPLOAD)
    assert found["decision"] == "open"
    assert found["unknown"] == ["content.size", "request.visibility"]
    assert found["refused_when"] == ["Nothing public."]
    assert found["within"] == [{"max_size": 4096, "stores": ["fast"]}]
    assert found["revision"] == gold.http.get("/v2/info/import").json()["import-policy"]["value"]["revision"]


def test_an_answer_that_knows_all_is_settled(gold: User) -> None:
    assert answer(gold, UPLOAD, size=4096, visibility="private")["decision"] == "allow"
    assert answer(gold, UPLOAD, size=4097, visibility="private")["smallest_change"]["change"] == {"size": 4096}


def test_two_changes_where_one_is_not_enough(gold: User) -> None:
    found = answer(gold, DOWNLOAD, visibility="public")
    assert found["reason"]["message"] == "Nothing public."
    assert found["smallest_change"]["change"] == {"scheme": "https", "visibility": "private"}
    assert found["smallest_change"]["message"] in found["reason"]["remedy"]


def test_another_method_is_told_where_it_is_less_to_change(silver: User) -> None:
    closed = answer(silver, DOWNLOAD)
    assert closed["reason"]["message"] == "Downloads are closed."
    assert closed["smallest_change"]["change"] == {"method": "glance-direct"}
    far = answer(silver, UPLOAD, visibility="public", stores=["slow"], size=9000)
    assert far["smallest_change"]["change"] == {"visibility": "private", "method": "glance-download"}


def test_a_question_is_no_decision(gold: User, running: Service) -> None:
    log = running.data / "decisions.jsonl"
    before = log.read_bytes() if log.exists() else b""
    answer(gold, DOWNLOAD)
    assert (log.read_bytes() if log.exists() else b"") == before


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, "'method' is a required property"),
        ({"method": "web-download"}, "method"),
        ({"method": {}}, "'name' is a required property"),
        ({"method": {"name": 1}}, "method.name"),
        ({"method": {"name": "web-download", "uri": ""}}, "method.uri"),
        ({"method": {"name": "web-download", "uri": "ftp://x/y"}}, "http"),
        ({"method": {"name": "web-download", "uri": "https://user:secret@x/y"}}, "user name"),
        ({"method": UPLOAD, "size": "4GiB"}, "size"),
        ({"method": UPLOAD, "size": -1}, "size"),
        ({"method": UPLOAD, "size": True}, "size"),
        ({"method": UPLOAD, "disk_format": "zork"}, "disk_format"),
        ({"method": UPLOAD, "properties": {"k": 1}}, "properties.k"),
        ({"method": UPLOAD, "stores": []}, "stores"),
        ({"method": UPLOAD, "disk_fromat": "raw"}, "disk_fromat"),
    ],
)
def test_a_bad_question_is_told_what_is_wrong(gold: User, body: Any, names: str) -> None:
    refused = ask(gold, body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert names in error["message"]
    assert error["remedy"]


def test_an_unknown_store_is_named(gold: User) -> None:
    assert "zork" in ask(gold, {"method": UPLOAD, "stores": ["zork"]}).json()["error"]["message"]


def test_an_unknown_method_is_pointed_to_a_known_one(gold: User) -> None:
    found = answer(gold, {"name": "zork"}, size=1)
    assert found["reason"]["code"] == "method-unavailable"
    assert found["smallest_change"]["change"] == {"method": "glance-direct"}


def test_the_403_of_an_import_is_the_same_text(gold: User) -> None:
    error = said(gold.start(gold.create(visibility="private"), "web-download", uri=PLAIN))
    told = answer(gold, DOWNLOAD, disk_format="raw", container_format="bare", visibility="private", properties={})
    assert told["smallest_change"]["change"] == {"scheme": "https"}
    assert {key: error[key] for key in ("remedy", "rule")} == {key: told["reason"][key] for key in ("remedy", "rule")}
    assert error["message"] == f"{told['reason']['message']} {told['reason']['remedy']}"
    assert error["reason"] == told["reason"]["code"]


def test_the_403_of_stage_and_of_file_is_the_same_text(gold: User) -> None:
    image = gold.create(visibility="private")
    told = answer(gold, UPLOAD, disk_format="raw", container_format="bare", visibility="private", size=5000)["reason"]
    for error in (said(gold.stage(image, bytes(5000))), said(gold.save(image, bytes(5000)))):
        assert error["remedy"].rpartition(": ")[2] == told["remedy"].rpartition(": ")[2] == "make it at most 4KiB."
        assert error["rule"] == told["rule"] == "faults/uploads"
        assert error["message"] == f"{told['message']} {error['remedy']}"


def test_nothing_that_is_said_shows_an_expression_or_a_rule_of_others(gold: User, silver: User) -> None:
    texts = [json.dumps(answer(user, DOWNLOAD, visibility="public")) for user in (gold, silver)]
    texts.append(gold.start(gold.create(visibility="private"), "copy-image").text)
    texts.append(silver.start(silver.create(visibility="private"), "web-download", uri=PLAIN).text)
    for text in texts:
        assert "==" not in text
        assert "theirs" not in text
    assert "closed" not in texts[0]


def test_the_command_line_says_it_in_words(running: Service, tmp_path: Path) -> None:
    login = ("--url", running.url, "--user", "gold", "--password", PASSWORD)
    refused = cli(tmp_path, "methods", "--what-if", PLAIN, "--disk-format", "raw", *login)
    assert refused.returncode == 1
    assert "web-download: would be refused" in refused.stdout
    assert "fetch it over https" in refused.stdout
    (tmp_path / "small.img").write_bytes(bytes(100))
    fine = cli(tmp_path, "methods", "--what-if", "small.img", "--visibility", "private", *login)
    assert fine.returncode == 0, fine.stderr
    assert "glance-direct: would be imported" in fine.stdout
    shown = cli(tmp_path, "methods", "--what-if", "small.img", "--visibility", "public", "--json", *login)
    assert json.loads(shown.stdout)["smallest_change"]["change"] == {"visibility": "private"}
