"""Images whose bytes stay at a URL: judged like all others, and compared with their hash whenever they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.cli.service import eventually, web
from tests.clients.site import PASSWORD, User, user_of
from tests.faults.sources import content
from tests.images.hostile import backed_qcow2
from tests.placement.site import PLACES, from_store, saved, settings, start, until
from tests.served import served
from tests.serving.backing import on_disk

BODY = content(31, 1_500_000)
DIGEST = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(BODY).hexdigest()}
V21 = "application/openstack-images-v2.1-json-patch"
USERS = {"gold": ("gold", ["member", "reader"]), "silver": ("silver", ["member", "reader"])}
SERVANTS = {"admin": ("ops", ["admin", "member", "reader"]), "nova": ("service", ["service", "reader"])}
RULES = [
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"], "for": {"projects": ["gold"]}},
    {"id": "no-locations", "limit": ["web-download"], "within": {"stores": ["fast"]}, "for": {"roles": ["bound"]}},
]


class Place:
    """The service's URL, and a folder whose files a web server has at `url(name)`."""

    def __init__(self, service: str, folder: Path, port: int) -> None:
        self.service = service
        self._folder = folder
        self._port = port

    def put(self, name: str, body: bytes) -> str:
        (self._folder / name).write_bytes(body)
        return f"http://127.0.0.1:{self._port}/{name}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("located")
    for name in ("www", "policies"):
        (home / name).mkdir()
    (home / "policies" / "located.yaml").write_text(json.dumps({"version": 1, "policy": "located", "rules": RULES}))
    known = {**USERS, **SERVANTS}
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (home / "users").write_text("".join(f"{name}:{hashed}\n" for name in known))
    users = {name: {"project": {"id": project}, "roles": roles} for name, (project, roles) in known.items()}
    with web(home / "www") as port:
        told = settings(port, identity={"type": "basic", "htpasswd": "users", "users": users})
        (home / "gateway.yaml").write_text(json.dumps({"policy": {"directory": "policies"}, **told}))
        with served(home, "--config", str(home / "gateway.yaml"), "--data", str(home / "data")) as url:
            yield Place(url, home / "www", port)


def _user(place: Place, name: str) -> Iterator[User]:
    user = user_of(place.service, name)
    with user.http:
        yield user


@pytest.fixture
def gold(place: Place) -> Iterator[User]:
    """Its web-downloads are inspected."""
    yield from _user(place, "gold")


@pytest.fixture
def silver(place: Place) -> Iterator[User]:
    """Nothing is demanded of its bytes."""
    yield from _user(place, "silver")


@pytest.fixture
def nova(place: Place) -> Iterator[User]:
    yield from _user(place, "nova")


@pytest.fixture
def admin(place: Place) -> Iterator[User]:
    yield from _user(place, "admin")


def add(user: User, image: str, url: str, **demanded: str) -> httpx.Response:
    body = {"url": url, **({"validation_data": demanded} if demanded else {})}
    return user.http.post(f"/v2/images/{image}/locations", json=body)


def test_a_location_is_judged_and_not_stored(place: Place, gold: User) -> None:
    image, url = gold.create(), place.put("judged", BODY)
    assert add(gold, image, url).status_code == 202
    shown = gold.reaches(image, "active")
    assert (shown["stores"], shown["size"]) == ("web", len(BODY))
    assert shown["os_hash_value"] == hashlib.sha512(BODY).hexdigest()
    assert shown["checksum"] == hashlib.md5(BODY).hexdigest()
    task = gold.task(image)
    assert (task["type"], task["status"], task["input"]["loc_url"]) == ("location_import", "success", url)
    assert [stage["name"] for stage in task["stages"]] == ["inspect"]
    assert gold.file(image).content == BODY


def test_a_digest_is_demanded_of_the_bytes(place: Place, gold: User) -> None:
    image, url = gold.create(), place.put("demanded", BODY)
    assert add(gold, image, url, **DIGEST).status_code == 202
    shown = gold.reaches(image, "active")
    assert {name: shown[name] for name in DIGEST} == DIGEST


def test_other_bytes_than_demanded_are_never_readable(place: Place, gold: User, nova: User) -> None:
    """The refused location stays listed in `stores`, as the API has it."""
    image, url = gold.create(), place.put("other", BODY)
    assert add(gold, image, url, os_hash_algo="sha512", os_hash_value="beefdead" * 16).status_code == 202
    assert gold.ended(image)["code"] == "checksum-mismatch"
    shown = gold.show(image)
    assert (shown["status"], shown["checksum"], shown["os_hash_value"]) == ("queued", None, None)
    assert (shown["stores"], shown["locations"]) == ("web", [])
    assert gold.file(image).status_code == 204
    # It is gone with the next try, whatever that is.
    assert add(gold, image, url).status_code == 202
    assert gold.reaches(image, "active")["stores"] == "web"
    assert len(gold.show(image)["locations"]) == 1


@pytest.mark.parametrize("again", ["save", "stage"])
def test_a_refused_location_gives_way_to_an_upload(place: Place, gold: User, again: str) -> None:
    image = gold.create()
    add(gold, image, place.put("gives-way", BODY), os_hash_algo="sha512", os_hash_value="0" * 128)
    gold.ended(image)
    if again == "save":
        gold.save(image, b"uploaded").raise_for_status()
    else:
        gold.stage(image, b"uploaded").raise_for_status()
        start(gold, image).raise_for_status()
    shown = gold.reaches(image, "active")
    assert shown["stores"] == "fast"
    assert gold.file(image).content == b"uploaded"


def test_hostile_bytes_are_refused_where_they_are(place: Place, gold: User) -> None:
    image = gold.create(disk_format="qcow2")
    add(gold, image, place.put("hostile", backed_qcow2())).raise_for_status()
    assert gold.ended(image)["code"] == "backing-file"
    assert gold.show(image)["status"] == "queued"
    assert gold.file(image).status_code == 204


def test_bytes_that_changed_at_their_source_are_not_handed_out(place: Place, gold: User) -> None:
    image, url = gold.create(), place.put("changing", BODY)
    add(gold, image, url).raise_for_status()
    gold.reaches(image, "active")
    place.put("changing", BODY[:-5] + b"other")
    with pytest.raises(httpx.RemoteProtocolError):
        gold.file(image)
    place.put("changing", BODY[:1000])
    with pytest.raises(httpx.RemoteProtocolError):
        gold.file(image)


def test_a_part_of_it_is_answered_with_all_of_it(place: Place, gold: User) -> None:
    """Only the whole can be compared with its hash."""
    image = gold.create()
    add(gold, image, place.put("whole", BODY)).raise_for_status()
    gold.reaches(image, "active")
    answer = gold.file(image, Range="bytes=0-9")
    assert (answer.status_code, answer.headers["Accept-Ranges"], answer.content) == (200, "none", BODY)


def test_a_location_can_be_copied_into_a_store(place: Place, gold: User) -> None:
    image = gold.create()
    add(gold, image, place.put("copied", BODY)).raise_for_status()
    gold.reaches(image, "active")
    start(gold, image, "copy-image", stores=["slow"]).raise_for_status()
    until(gold, image, lambda image: image["stores"] == "slow,web")
    assert from_store(gold, image, "slow") == BODY


@pytest.mark.parametrize(
    "demanded",
    [
        {"os_hash_algo": "sha512", "os_hash_value": "dbc9e0"},
        {"os_hash_value": "0" * 128},
        {"os_hash_algo": "sha512"},
        {"os_hash_algo": "sha123", "os_hash_value": "0" * 128},
        {"os_hash_algo": "md5", "os_hash_value": "0" * 32},
        {"os_hash_algo": "sha512", "os_hash_value": "0" * 64},
        {"os_hash_algo": "sha256", "os_hash_value": "z" * 64},
    ],
)
def test_a_digest_that_cannot_be_one_is_refused(gold: User, demanded: dict[str, str]) -> None:
    assert add(gold, gold.create(), "http://127.0.0.1/x", **demanded).status_code == 400


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:9/x", 400),
        ("http://169.254.169.254/latest", 400),
        ("http://user:pw@127.0.0.1/x", 400),
        ("https://", 400),
        ("", 400),
        ("rbd://fsid/pool/image/snap", 403),
        ("file:///etc/passwd", 403),
    ],
)
def test_a_url_that_is_no_source_is_refused(gold: User, url: str, status: int) -> None:
    image = gold.create()
    answer = add(gold, image, url)
    assert answer.status_code == status
    gold.error(answer)
    assert gold.show(image)["status"] == "queued"


def test_ports_that_are_closed_are_said_in_words_clients_know(gold: User) -> None:
    assert "does not pass filtering" in add(gold, gold.create(), "http://127.0.0.1:9/x").text


def test_who_may_add_and_see_locations(place: Place, gold: User, silver: User, nova: User) -> None:
    image, url = gold.create(), place.put("rights", BODY)
    assert add(silver, image, url).status_code == 404
    assert add(gold, image, url).status_code == 202
    gold.reaches(image, "active")
    assert add(gold, image, url).status_code == 409
    path = f"/v2/images/{image}/locations"
    assert gold.http.get(path).status_code == 403
    gold.http.patch(path.removesuffix("/locations"), **patch("replace", "/visibility", "community")).raise_for_status()
    assert nova.http.get(path).json() == [{"url": url, "metadata": {"store": "web"}}]
    assert "locations" not in silver.show(image)


def test_a_query_never_stands_in_the_records(place: Place, gold: User, nova: User) -> None:
    image, url = gold.create(), place.put("secret", BODY)
    add(gold, image, f"{url}?signature=verysecret").raise_for_status()
    gold.reaches(image, "active")
    assert "verysecret" not in gold.http.get(f"/v2/images/{image}/tasks").text
    assert gold.file(image).content == BODY


# The older way: PATCH


def patch(op: str, path: str, value: Any = None) -> dict[str, Any]:
    return {"content": json.dumps([{"op": op, "path": path, "value": value}]), "headers": {"Content-Type": V21}}


def edit(user: User, image: str, op: str, path: str, value: Any = None) -> int:
    return user.http.patch(f"/v2/images/{image}", **patch(op, path, value)).status_code


def test_a_location_is_taken_unseen_where_the_policy_asks_nothing(place: Place, silver: User) -> None:
    image, url = silver.create(), place.put("unseen", BODY)
    assert silver.show(image)["locations"] == []
    assert edit(silver, image, "add", "/locations/-", {"url": url, "metadata": {"foo": "bar"}}) == 200
    shown = silver.show(image)
    assert (shown["status"], shown["os_hash_algo"], shown["size"]) == ("active", None, len(BODY))
    assert [(one["url"], one["metadata"]["foo"]) for one in shown["locations"]] == [(url, "bar")]
    assert silver.file(image).content == BODY
    assert start(silver, image, "copy-image", stores=["slow"]).status_code == 202
    assert silver.ended(image)["code"] == "not-verified"


def test_it_is_not_taken_unseen_where_the_policy_wants_to_see_it(place: Place, gold: User) -> None:
    image = gold.create()
    answer = gold.http.patch(
        f"/v2/images/{image}", **patch("add", "/locations/-", {"url": place.put("unseen", BODY), "metadata": {}})
    )
    assert (answer.status_code, gold.error(answer)["reason"]) == (403, "bytes-unseen")
    assert gold.show(image)["status"] == "queued"


def test_places_are_edited_one_by_one(place: Place, silver: User, admin: User) -> None:
    image, url = silver.create(), place.put("edited", BODY)
    hashes = {"checksum": "1" * 32, "os_hash_algo": "sha512", "os_hash_value": "deadbeef" * 16}
    first = {"url": url, "metadata": {}, "validation_data": hashes}
    assert edit(silver, image, "add", "/locations/-", first) == 200
    shown = silver.show(image)
    assert {name: shown[name] for name in hashes} == hashes
    for name, value in {"checksum": "2" * 32, "os_hash_value": "beefdead" * 16, "os_hash_algo": "sha256"}.items():
        other = {"url": f"{url}#new", "metadata": {}, "validation_data": {**hashes, name: value}}
        assert edit(silver, image, "add", "/locations/-", other) == 409
    assert edit(silver, image, "add", "/locations/-", {**first, "url": f"{url}#new"}) == 200
    assert edit(silver, image, "add", "/locations/-", first) == 400
    places = silver.show(image)["locations"]
    assert [one["url"] for one in places] == [url, f"{url}#new"]
    places[0]["metadata"]["date"] = "2015-10-15"
    assert edit(silver, image, "replace", "/locations", places) == 200
    assert edit(silver, image, "replace", "/locations", places[:1]) == 400
    assert edit(silver, image, "replace", "/locations", [places[0], {"url": f"{url}#3", "metadata": {}}]) == 400
    assert silver.show(image)["locations"] == places
    assert edit(silver, image, "remove", "/locations/0") == 403
    assert edit(admin, image, "remove", "/locations/7") == 400
    assert edit(admin, image, "remove", "/locations/0") == 200
    assert silver.show(image)["locations"] == places[1:]
    assert edit(admin, image, "remove", "/locations/0") == 403
    # The bytes are not what was said of them, so nobody gets them.
    with pytest.raises(httpx.RemoteProtocolError):
        silver.file(image)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"url": "gopher://info.cern.ch", "metadata": {}}, 400),
        ({"url": "http://127.0.0.1:9/", "metadata": {}}, 400),
        ({"metadata": {}}, 400),
        ("http://127.0.0.1/", 400),
        ({"url": "http://127.0.0.1/", "metadata": []}, 400),
        ({"url": "http://127.0.0.1/", "metadata": {}, "validation_data": {"os_hash_algo": "md5"}}, 400),
    ],
)
def test_a_bad_place_is_refused(silver: User, value: Any, status: int) -> None:
    image = silver.create()
    assert edit(silver, image, "add", "/locations/-", value) == status
    assert silver.show(image)["status"] == "queued"


@on_disk
def test_uploaded_images_show_where_they_are(silver: User) -> None:
    (location,) = silver.show(saved(silver, b"here"))["locations"]
    assert Path(location["url"].removeprefix("file://")).read_bytes() == b"here"


def test_stores_are_all_there(silver: User) -> None:
    assert [store["id"] for store in silver.http.get("/v2/info/stores").json()["stores"]] == [
        str(store["name"]) for store in PLACES
    ]
    assert eventually(lambda: silver.http.get("/versions").json()["versions"][0]["id"]) == "v2.17"
