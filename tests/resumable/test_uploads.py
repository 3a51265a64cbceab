"""Uploads that go on after they broke, as clients of either protocol see them."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Records as Audited
from tests.faults.audit import charged
from tests.faults.scenes import sound
from tests.faults.service import Service
from tests.images.hostile import backed_qcow2
from tests.resumable.speaking import (
    MIB,
    OFFSET_OCTETS,
    TUS,
    Draft,
    Tus,
    becomes,
    cut_off,
    image_bytes,
    rows,
    upload_id,
)
from tests.serving.process import LONGEST

BODY = image_bytes(3 * MIB + 12_345)


def as_user(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("user", [name], indirect=True)


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["reason"])


def test_pieces_become_the_image(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.begun(image, len(BODY))
    assert user.show(image)["status"] == "uploading"
    for start in range(0, len(BODY), 700_000):
        answer = tus.append(upload, start, BODY[start : start + 700_000])
        assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
        assert int(answer.headers["upload-offset"]) == min(start + 700_000, len(BODY))
    becomes(user, image, BODY)
    sound(running)


def test_pieces_in_the_drafts_words(running: Service, user: User, draft: Draft) -> None:
    image = user.create()
    begun = draft.create(image, BODY[:MIB], **{"Upload-Length": str(len(BODY))})
    assert (begun.status_code, begun.headers["upload-complete"], begun.headers["upload-offset"]) == (
        201,
        "?0",
        f"{MIB}",
    )
    upload = begun.headers["location"]
    more = draft.append(upload, MIB, BODY[MIB:])
    assert (more.status_code, more.headers["upload-complete"]) == (204, "?0")
    there = user.http.head(upload)
    assert (there.status_code, there.headers["upload-length"]) == (204, str(len(BODY)))
    assert (there.headers["cache-control"], there.headers["upload-complete"]) == ("no-store", "?0")
    assert "max-age=" in there.headers["upload-limit"]
    assert rows(running, image) == ["part"] * 4
    last = draft.append(upload, len(BODY), b"", last=True)
    assert (last.status_code, last.headers["upload-complete"]) == (204, "?1")
    becomes(user, image, BODY)


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_all_of_it_with_the_request_that_begins(user: User, draft: Draft, verb: str) -> None:
    image = user.create()
    assert draft.create(image, BODY, last=True, verb=verb).status_code == 204
    becomes(user, image, BODY)


def test_put_begins_one_too_and_its_length_comes_at_the_end(user: User, draft: Draft) -> None:
    image = user.create()
    upload = draft.create(image, verb="PUT").headers["location"]
    assert "upload-length" not in user.http.head(upload).headers
    assert draft.append(upload, 0, iter([BODY[:99], BODY[99:]]), last=True).status_code == 204
    becomes(user, image, BODY)


def test_the_first_bytes_may_come_with_the_request_that_begins(user: User, tus: Tus) -> None:
    image = user.create()
    begun = tus.create(image, len(BODY), BODY[:1000])
    assert (begun.status_code, begun.headers["upload-offset"]) == (201, "1000")
    assert tus.append(begun.headers["location"], 1000, BODY[1000:]).status_code == 204
    becomes(user, image, BODY)


def test_a_length_said_later(user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.create(image, None).headers["location"]
    assert tus.head(upload).headers["upload-defer-length"] == "1"
    assert tus.append(upload, 0, BODY[:MIB]).status_code == 204
    assert tus.append(upload, MIB, BODY[MIB:], **{"Upload-Length": str(len(BODY))}).status_code == 204
    becomes(user, image, BODY)


def test_what_came_before_the_connection_broke_is_kept(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.begun(image, len(BODY))
    cut_off(running, user, upload, 0, BODY[:1_234_567], len(BODY))
    assert tus.offset(upload) == 1_234_567
    cut_off(running, user, upload, 1_234_567, BODY[1_234_567:2_000_001], len(BODY) - 1_234_567)
    assert tus.offset(upload) == 2_000_001
    sound(running)
    assert tus.append(upload, 2_000_001, BODY[2_000_001:]).status_code == 204
    becomes(user, image, BODY)


def test_the_verdict_can_be_asked_for_again(user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.create(image, len(BODY), BODY).headers["location"]
    for _ in range(2):
        again = tus.append(upload, len(BODY), b"")
        assert (again.status_code, again.headers["upload-complete"]) == (204, "?1")
    assert reason(tus.append(upload, len(BODY), b"more")) == "completed-upload"
    becomes(user, image, BODY)
    assert tus.append(upload, len(BODY), b"").status_code == 204


# Refusals


def test_a_wrong_offset_is_told_the_right_one(user: User, tus: Tus) -> None:
    upload = tus.create(user.create(), len(BODY), BODY[:500]).headers["location"]
    for wrong in (0, 499, 501, len(BODY)):
        answer = tus.append(upload, wrong, b"x")
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "500")
        assert answer.headers["content-type"] == "application/problem+json"
        said = answer.json()
        assert said["type"].endswith("#mismatching-upload-offset")
        assert (said["expected-offset"], said["provided-offset"]) == (500, wrong)
        assert reason(answer) == "mismatching-upload-offset"
    assert tus.offset(upload) == 500


def test_more_than_the_length_is_not_taken(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.begun(image, 1000)
    answer = tus.append(upload, 0, b"x" * 1001)
    assert (answer.status_code, reason(answer)) == (413, "upload-too-long")
    assert tus.offset(upload) == 0
    answer = tus.append(upload, 0, iter([b"x" * 900, b"y" * 101]))
    assert (answer.status_code, reason(answer)) == (413, "upload-too-long")
    assert tus.head(upload).status_code == 413
    assert user.show(image)["status"] == "queued"
    sound(running)


def test_lengths_that_differ_are_refused(user: User, draft: Draft) -> None:
    image = user.create()
    answer = draft.create(image, b"x" * 10, last=True, **{"Upload-Length": "11"})
    assert (answer.status_code, reason(answer)) == (400, "inconsistent-upload-length")
    upload = draft.create(image, **{"Upload-Length": "11"}).headers["location"]
    for answer in (
        draft.append(upload, 0, b"x" * 10, last=True),
        draft.append(upload, 0, b"x", **{"Upload-Length": "12"}),
        draft.append(upload, 0, iter([b"x" * 10]), last=True),
    ):
        assert (answer.status_code, reason(answer)) == (400, "inconsistent-upload-length")
        assert answer.json()["type"].endswith("#inconsistent-upload-length")


@pytest.mark.parametrize(
    ("user", "length", "said"),
    [("gold", 17 * MIB, "over-limit"), ("stranger", 1, "denied")],
    indirect=["user"],
)
def test_what_the_policy_refuses_is_refused_before_a_byte(user: User, tus: Tus, length: int, said: str) -> None:
    image = user.create()
    answer = tus.create(image, length)
    assert (answer.status_code, reason(answer)) == (403, said)
    assert answer.headers["tus-resumable"] == "1.0.0"
    plain = user.http.put(
        f"/v2/images/{image}/stage",
        headers={"Content-Type": "application/octet-stream", "x-openstack-image-size": str(length)},
    )
    assert (plain.status_code, reason(plain)) == (403, said)
    assert user.show(image)["status"] == "queued"


def test_an_upload_of_unknown_length_ends_at_the_limit(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.create(image, None).headers["location"]
    answer = tus.append(upload, 0, (bytes(MIB) for _ in range(17)))
    assert (answer.status_code, reason(answer)) == (413, "over-limit")
    assert user.show(image)["status"] == "queued"
    sound(running)


def test_hostile_bytes_are_refused_by_their_head(running: Service, user: User, tus: Tus) -> None:
    image = user.create(disk_format="qcow2")
    hostile = backed_qcow2().ljust(12 * MIB, b"\0")
    upload = tus.begun(image, len(hostile))
    answer = tus.append(upload, 0, hostile)
    assert (answer.status_code, reason(answer)) == (415, "backing-file")
    assert int(answer.headers["upload-offset"]) == MIB
    assert answer.headers["upload-complete"] == "?0"
    assert tus.head(upload).status_code == 415
    again = tus.append(upload, 0, b"")
    assert (again.status_code, reason(again)) == (415, "backing-file")
    assert user.show(image)["status"] == "queued"
    sound(running)


def test_small_hostile_bytes_are_refused_by_the_verdict(running: Service, user: User, draft: Draft) -> None:
    image, hostile = user.create(disk_format="qcow2"), backed_qcow2()
    upload = draft.create(image).headers["location"]
    answer = draft.append(upload, 0, hostile, last=True)
    assert (answer.status_code, reason(answer), answer.headers["upload-complete"]) == (415, "backing-file", "?1")
    assert user.show(image)["status"] == "queued"
    assert draft.create(image, BODY, last=True).status_code == 415  # raw bytes are no qcow2
    sound(running)


@as_user("silver")
def test_quotas_hold_and_count_each_byte_once(running: Service, user: User, tus: Tus) -> None:
    image, other = user.create(), user.create()
    assert reason(tus.create(image, 5 * MIB)) == "over-quota"
    upload = tus.begun(image, len(BODY))
    assert reason(tus.create(other, 1)) == "over-quota"  # one import at a time
    assert tus.append(upload, 0, BODY[: 2 * MIB]).status_code == 204
    assert list(charged(Audited(running.place), {"demo-silver": 4 * MIB})) == []
    usage = user.http.get("/v2/info/usage").json()["usage"]
    assert usage["image_stage_total"]["usage"] == 2
    assert tus.append(upload, 2 * MIB, BODY[2 * MIB :]).status_code == 204
    becomes(user, image, BODY)
    sound(running)


@pytest.mark.parametrize("name", ["silver", "stranger"])
def test_other_projects_see_no_upload(running: Service, user: User, tus: Tus, name: str) -> None:
    upload = tus.begun(user.create(), 10)
    with running.user(name) as other:
        theirs = Tus(other)
        answers = (theirs.head(upload), theirs.append(upload, 0, b"x" * 10), theirs.delete(upload))
        assert [answer.status_code for answer in answers] == [404] * 3
    assert tus.offset(upload) == 0


def test_an_upload_belongs_to_its_image(user: User, tus: Tus) -> None:
    upload, other = tus.begun(user.create(), 10), user.create()
    moved = f"/v2/images/{other}/stage/{upload_id(upload)}"
    assert tus.append(moved, 0, b"x" * 10).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "1"}, 412),
        ({}, 400),
        ({"Upload-Complete": "yes"}, 400),
        ({**TUS}, 400),
        ({**TUS, "Upload-Length": "-1"}, 400),
        ({**TUS, "Upload-Length": "1" * 30}, 400),
        ({**TUS, "Upload-Length": "1", "Upload-Defer-Length": "1"}, 400),
        ({**TUS, "Upload-Length": "1", "Upload-Metadata": "name ###"}, 400),
        ({**TUS, "Upload-Length": "1", "Upload-Metadata": f"name {'A' * 4096}"}, 400),
    ],
)
def test_what_is_said_wrongly_begins_nothing(user: User, headers: dict[str, str], status: int) -> None:
    image = user.create()
    assert user.http.post(f"/v2/images/{image}/stage", headers=headers).status_code == status
    assert user.show(image)["status"] == "queued"


def test_a_body_has_to_say_that_it_is_a_part(user: User, tus: Tus, draft: Draft) -> None:
    upload = tus.begun(user.create(), 10)
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/partial-upload"}):
        assert tus.append(upload, 0, b"x", **headers).status_code == 415
    assert draft.append(upload, 0, b"x", **OFFSET_OCTETS).status_code == 415
    assert user.http.patch(upload, content=b"", headers={**TUS}).status_code == 400


def test_metadata_is_told_again(user: User, tus: Tus) -> None:
    said = f"filename {b64encode(b'disk.raw').decode()},secret"
    upload = tus.create(user.create(), 10, **{"Upload-Metadata": said}).headers["location"]
    assert tus.head(upload).headers["upload-metadata"] == said


# Others


def test_an_open_upload_keeps_its_image(user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.begun(image, 10)
    second = tus.create(image, 10)
    assert (second.status_code, reason(second), second.headers["location"]) == (409, "upload-open", upload)
    assert user.stage(image, b"x").status_code == 409
    assert user.save(image, b"x").status_code == 409
    assert reason(user.start(image)) == "still-staging"


def test_an_upload_can_be_given_up(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.create(image, len(BODY), BODY[: 2 * MIB]).headers["location"]
    assert tus.delete(upload).status_code == 204
    assert user.show(image)["status"] == "queued"
    assert tus.head(upload).status_code == 410
    assert tus.append(upload, 2 * MIB, b"x").status_code == 410
    eventually(lambda: rows(running, image) == [])
    assert user.stage(image, BODY).status_code == 204
    becomes(user, image, BODY)


def test_a_deleted_image_takes_its_upload_along(running: Service, user: User, tus: Tus) -> None:
    image = user.create()
    upload = tus.create(image, len(BODY), BODY[: 2 * MIB]).headers["location"]
    user.http.delete(f"/v2/images/{image}").raise_for_status()
    assert tus.head(upload).status_code == 404
    assert tus.append(upload, 2 * MIB, BODY[2 * MIB :]).status_code == 404
    eventually(lambda: rows(running, image) == [])
    sound(running)


def slowly(body: bytes, go_on: threading.Event) -> Iterator[bytes]:
    yield body
    go_on.wait(LONGEST)
    yield body


def test_of_two_requests_at_once_one_sends(running: Service, user: User, tus: Tus) -> None:
    """The one that came first; and asking for the offset ends it, with what it has brought."""
    image, go_on = user.create(), threading.Event()
    upload, answers = tus.begun(image, len(BODY)), list[httpx.Response]()
    with running.user("gold") as twin:
        first = threading.Thread(
            target=lambda: answers.append(Tus(twin).append(upload, 0, slowly(BODY[: MIB + 99], go_on)))
        )
        first.start()
        eventually(partial(sent, running, image))
        second = tus.append(upload, MIB, BODY[MIB:])
        assert (second.status_code, reason(second)) == (409, "upload-busy")
        assert tus.offset(upload) == MIB + 99
        go_on.set()
        first.join()
    assert (answers[0].status_code, reason(answers[0])) == (409, "upload-taken-over")
    assert tus.append(upload, MIB + 99, BODY[MIB + 99 :]).status_code == 204
    becomes(user, image, BODY)


def sent(running: Service, image: str) -> bool:
    return "part" in rows(running, image)


def test_what_is_offered(running: Service, user: User) -> None:
    path = f"/v2/images/{user.create()}/stage"
    mine = user.http.options(path)
    assert (mine.status_code, mine.headers["tus-version"]) == (200, "1.0.0")
    assert mine.headers["tus-max-size"] == str(16 * MIB)
    assert f"max-size={16 * MIB}" in mine.headers["upload-limit"]
    assert "application/partial-upload" in mine.headers["accept-patch"]
    assert "tus-max-size" not in httpx.options(running.url + path, trust_env=False).headers
    assert user.http.get("/v2/info/import").json()["resumable-upload"]["value"][0] == "tus-1.0.0"
    with running.user("stranger") as closed:
        assert "resumable-upload" not in closed.http.get("/v2/info/import").json()


def test_an_emergency_stop_ends_the_request_and_keeps_the_upload(running: Service, user: User, tus: Tus) -> None:
    image, go_on, answers = user.create(), threading.Event(), list[httpx.Response]()
    upload = tus.begun(image, len(BODY))
    with running.user("gold") as twin, running.user("admin") as admin:
        sending = threading.Thread(
            target=lambda: answers.append(Tus(twin).append(upload, 0, slowly(BODY[: MIB + 9], go_on)))
        )
        sending.start()
        eventually(partial(sent, running, image))
        wanted = {"project": "demo-gold", "message": "Stopped for now.", "reason": "a test"}
        stop = admin.http.post("/v2/info/import/stops", json=wanted).raise_for_status().json()
        go_on.set()
        sending.join()
        try:
            assert (answers[0].status_code, reason(answers[0])) == (403, "stopped"), answers[0].text
            at = tus.offset(upload)
            assert reason(tus.append(upload, at, BODY[at:])) == "stopped"
        finally:
            admin.http.delete(f"/v2/info/import/stops/{stop['id']}", params={"reason": "over"}).raise_for_status()
    assert tus.append(upload, at, BODY[at:]).status_code == 204
    becomes(user, image, BODY)
