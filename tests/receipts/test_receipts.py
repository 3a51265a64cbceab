"""Receipts on the real service: every way in has one, it says what happened, and it outlives what comes after."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from gateway.shipped_files import shipped
from tests.cli.running import Done, cli
from tests.cli.service import web
from tests.clients.site import User
from tests.faults.service import Service, service
from tests.faults.sources import content
from tests.placement.site import settings, staged, start, until
from tests.receipts.independent import Json, opened, openssl_agrees
from tests.serving.rows import rows

RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "unpacked", "require": ["glance-direct"], "stages": [{"decompress": {"max_ratio": 200}}, "inspect"]},
)
BODY = content(41, 1_500_000)
SCHEMA = Draft202012Validator(json.loads((shipped("schemas") / "receipt.schema.json").read_text()))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a file that imports may fetch."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "disk.raw").write_bytes(BODY)
    with web(folder) as port:
        yield f"http://127.0.0.1:{port}/disk.raw"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, source: str) -> Iterator[Service]:
    port = httpx.URL(source).port
    assert port is not None
    with service(tmp_path_factory.mktemp("receipts"), settings(port), RULES) as started:
        yield started


@pytest.fixture
def gold(running: Service) -> Iterator[User]:
    with running.user("gold") as user:
        yield user


def receipt(user: User, image: str) -> Json:
    """The envelope."""
    answer = user.http.get(f"/v2/images/{image}/receipt").raise_for_status()
    assert answer.headers["content-type"] == "application/vnd.dsse.envelope.v1+json"
    found: Json = answer.json()
    return found


def keys(user: User) -> str:
    return httpx.get(user.http.base_url.join("/v2/info/import/receipt-key"), trust_env=False).raise_for_status().text


def stated(user: User, image: str) -> Json:
    """What an independent reader finds in it, once it is of the schema's shape."""
    found = opened(receipt(user, image), keys(user))
    SCHEMA.validate(found)
    assert found["subject"][0]["name"] == image
    assert found["subject"][0]["digest"] == found["predicate"]["stored"]["digest"]
    return found


def uploaded(user: User, body: bytes = BODY, **values: Any) -> str:
    image = user.create(**values)
    user.save(image, body).raise_for_status()
    return image


def sha512(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest()


def test_an_upload_is_stated_as_it_was(gold: User, running: Service) -> None:
    image = uploaded(gold)
    said, shown = stated(gold, image), gold.show(image)
    assert said["subject"][0]["digest"] == {"md5": shown["checksum"], "sha512": sha512(BODY)}
    made = said["predicate"]
    assert made["source"] | {"kind": "upload", "method": "glance-direct", "shown": {}} == made["source"]
    assert (made["source"]["size"], made["stored"]["size"]) == (len(BODY), len(BODY))
    assert [stage["name"] for stage in made["stages"]][:2] == ["decompress", "inspect"]
    assert made["stages"][0]["options"] == {"max_ratio": 200}
    assert {stage["verdict"] for stage in made["stages"]} == {"passed"}
    log = [json.loads(line) for line in (running.data / "decisions.jsonl").read_text().splitlines()]
    (decided,) = [entry for entry in log if entry["id"] == made["policy"]["decision"]]
    assert (decided["final"], decided["revision"]) == (True, made["policy"]["revision"])
    assert made["times"]["began"] < made["times"]["activated"]


def test_a_staged_import_states_the_bytes_before_and_after(gold: User) -> None:
    packed = gzip.compress(BODY, mtime=0)
    image = staged(gold, packed)
    start(gold, image).raise_for_status()
    gold.reaches(image, "active")
    said = stated(gold, image)["predicate"]
    assert (said["source"]["kind"], said["source"]["method"]) == ("import", "glance-direct")
    assert (said["source"]["size"], said["source"]["digest"]["sha512"]) == (len(packed), sha512(packed))
    assert (said["stored"]["size"], said["stored"]["digest"]["sha512"]) == (len(BODY), sha512(BODY))
    assert [finding["code"] for finding in said["stages"][0]["findings"]] == ["decompressed"]


def test_a_download_states_where_it_came_from_and_no_secret(gold: User, source: str) -> None:
    image = gold.create()
    start(gold, image, "web-download", uri=f"{source}?token=hidden").raise_for_status()
    gold.reaches(image, "active")
    said = stated(gold, image)
    assert said["predicate"]["source"]["shown"] == {"uri": source}
    assert said["predicate"]["source"]["digest"]["sha512"] == sha512(BODY)
    assert "hidden" not in json.dumps(said)


def test_a_location_has_one_too(gold: User, source: str) -> None:
    image = gold.create()
    gold.http.post(f"/v2/images/{image}/locations", json={"url": source}).raise_for_status()
    gold.reaches(image, "active")
    assert stated(gold, image)["predicate"]["source"]["kind"] == "location"


def test_a_copy_changes_nothing(gold: User) -> None:
    image = uploaded(gold)
    before = receipt(gold, image)
    start(gold, image, "copy-image", stores=["slow"]).raise_for_status()
    until(gold, image, lambda shown: shown["stores"] == "fast,slow")
    assert receipt(gold, image) == before


def test_a_deactivated_image_keeps_it(gold: User) -> None:
    image = uploaded(gold)
    before = receipt(gold, image)
    gold.http.post(f"/v2/images/{image}/actions/deactivate").raise_for_status()
    assert gold.show(image)["status"] == "deactivated"
    assert receipt(gold, image) == before


def test_who_sees_the_image_sees_its_receipt(gold: User, running: Service) -> None:
    own, public = uploaded(gold), uploaded(gold, visibility="community")
    with running.user("silver") as other:
        assert other.http.get(f"/v2/images/{own}/receipt").status_code == 404
        assert receipt(other, public) == receipt(gold, public)
    assert httpx.get(gold.http.base_url.join(f"/v2/images/{public}/receipt"), trust_env=False).status_code == 401


def test_where_there_is_none_it_is_said_by_name(gold: User) -> None:
    image = gold.create()
    assert gold.error(gold.http.get(f"/v2/images/{image}/receipt"))["reason"] == "no-receipt"
    gold.stage(image, b"waiting").raise_for_status()
    assert gold.error(gold.http.get(f"/v2/images/{image}/receipt"))["reason"] == "no-receipt"
    gone = uploaded(gold)
    gold.http.delete(f"/v2/images/{gone}").raise_for_status()
    assert gold.error(gold.http.get(f"/v2/images/{gone}/receipt"))["reason"] == "not-found"


def test_it_is_the_same_after_a_kill(gold: User, running: Service) -> None:
    image = uploaded(gold)
    before, key = gold.http.get(f"/v2/images/{image}/receipt").content, keys(gold)
    running.restart()
    with running.user("gold") as again:
        assert again.http.get(f"/v2/images/{image}/receipt").content == before
        assert keys(again) == key
        assert stated(again, image)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed: apt install openssl")
def test_openssl_verifies_it(running: Service, tmp_path: Path) -> None:
    with running.user("gold") as gold:
        assert openssl_agrees(tmp_path, receipt(gold, uploaded(gold)), keys(gold))


# verify-receipt


@pytest.fixture(scope="module")
def kept(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a receipt, the keys, and the image's data, as somebody takes them away."""
    home = tmp_path_factory.mktemp("kept")
    with running.user("gold") as gold:
        image = uploaded(gold)
        (home / "receipt.json").write_bytes(gold.http.get(f"/v2/images/{image}/receipt").content)
        (home / "gateway.pub").write_text(keys(gold))
        (home / "image").write_bytes(gold.file(image).content)
    return home


def verify(home: Path, *options: str, file: str = "receipt.json", key: str = "gateway.pub") -> Done:
    return cli(home, "verify-receipt", file, "--key", key, *options)


def test_a_receipt_is_verified_offline(kept: Path) -> None:
    done = verify(kept, "--image", "image")
    assert done.returncode == 0
    assert "Verified: image" in done.stdout
    assert "the file is its data" in done.stdout
    assert sha512(BODY) in done.stdout
    assert json.loads(verify(kept, "--json").stdout)["subject"][0]["digest"]["sha512"] == sha512(BODY)


def test_another_file_is_not_its_image(kept: Path) -> None:
    (kept / "other").write_bytes(BODY[:-1] + b"!")
    done = verify(kept, "--image", "other")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not the data of this receipt's image" in done.stderr


def test_another_key_and_a_changed_receipt_are_refused(kept: Path, tmp_path: Path) -> None:
    with service(tmp_path, {}) as other, other.user("gold") as user:
        (kept / "other.pub").write_text(keys(user))
    assert verify(kept, key="other.pub").returncode == 1
    text = (kept / "receipt.json").read_text()
    (kept / "changed.json").write_text(text.replace('"payload":"', '"payload":"A', 1))
    assert verify(kept, file="changed.json").returncode == 1
    assert verify(kept, "--key", "other.pub").returncode == 0


@pytest.mark.parametrize(
    "words", [("receipt.json",), ("none", "--key", "gateway.pub"), ("receipt.json", "--key", "image")]
)
def test_wrong_use_is_told_from_a_bad_receipt(kept: Path, words: tuple[str, ...]) -> None:
    assert cli(kept, "verify-receipt", *words).returncode == 2


def test_what_the_key_signed_for_another_purpose_is_no_receipt(kept: Path, running: Service) -> None:
    from gateway.model.receipt import envelope
    from gateway.tools.receiptkeys import open_receipt_keys

    said = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicate": {}})
    signature = open_receipt_keys(running.data / "receipt.key").sign(said)
    assert signature
    (kept / "else.json").write_text(json.dumps(envelope(said, signature)))
    done = verify(kept, file="else.json")
    assert done.returncode == 1
    assert "is no receipt of an image" in done.stderr


# The key


def test_the_command_prints_what_the_service_tells(running: Service) -> None:
    with running.user("gold") as gold:
        assert cli(running.home, "receipt-key", "--data", "data").stdout == keys(gold)


def test_a_changed_key_signs_from_then_on_and_old_receipts_stay_good(tmp_path: Path) -> None:
    with service(tmp_path, {}) as gateway:
        with gateway.user("gold") as gold:
            first, old = uploaded(gold), keys(gold)
            before = receipt(gold, first)
        (tmp_path / "old.pem").write_text(cli(tmp_path, "receipt-key", "--data", "data").stdout)
        text = json.loads((tmp_path / "gateway.yaml").read_text())
        more = {"receipts": {"key": "second.key", "retired": ["old.pem"]}}
        (tmp_path / "gateway.yaml").write_text(json.dumps(text | more))
        gateway.restart()
        with gateway.user("gold") as gold:
            second = uploaded(gold)
            assert receipt(gold, first) == before
            assert keys(gold).endswith(old)
            assert keys(gold) != old
            (tmp_path / "both.pub").write_text(keys(gold))
            for image in (first, second):
                (tmp_path / "receipt.json").write_text(json.dumps(receipt(gold, image)))
                assert verify(tmp_path, key="both.pub").returncode == 0
            assert verify(tmp_path, key="old.pem").returncode == 1


def test_an_import_waits_for_no_key_and_its_receipt_is_signed_later(tmp_path: Path) -> None:
    with service(tmp_path, {}) as gateway:
        key = gateway.data / "receipt.key"
        good = key.read_bytes()
        gateway.kill()
        key.write_bytes(b"damaged")
        gateway.start()
        with gateway.user("gold") as gold:
            image = uploaded(gold)
            assert gold.show(image)["status"] == "active"
            answer = gold.http.get(f"/v2/images/{image}/receipt")
            assert (answer.status_code, gold.error(answer)["reason"]) == (503, "receipt-unsigned")
            assert gold.http.get("/v2/info/import/receipt-key").status_code == 503
        assert "receipt.key cannot be used" in (tmp_path / "serve.log").read_text()
        ((said,),) = [row.values() for row in rows(gateway.place.database, "SELECT statement FROM receipts")]
        gateway.kill()
        key.write_bytes(good)
        gateway.start()
        with gateway.user("gold") as gold:
            assert stated(gold, image) == json.loads(said)
