"""An image that has its data in the service behind the gateway is shown without a look at the gateway's own records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.service.settled import MOST, SECONDS, Settled
from tests.catalog import postgres
from tests.clients.site import User
from tests.fronting.site import Fronted, fronted

pytestmark = postgres.needed


def test_images_that_have_their_data_are_shown_while_the_database_is_away(tmp_path: Path) -> None:
    with postgres.server() as database:

        def change(settings: dict[str, Any]) -> None:
            settings["catalog"] = {"url": database.database()}

        with fronted(tmp_path, change) as site, site.user() as alice:
            known, unknown, empty = _active(alice), _active(alice), alice.create()
            assert [alice.show(image)["status"] for image in (known, empty)] == ["active", "queued"]
            database.stop()
            assert alice.show(known)["status"] == "active"
            for other in (unknown, empty):
                answer = alice.http.get(f"/v2/images/{other}")
                assert (answer.status_code, alice.error(answer)["reason"][:8]) == (503, "catalog-")


def test_what_is_deleted_there_is_gone_here(site: Fronted, alice: User, alone: User) -> None:
    images = [_active(alice), _active(alice)]
    for image in images:
        assert alice.show(image)["status"] == "active"
    for user, image in zip((alice, alone), images, strict=True):
        user.http.delete(f"/v2/images/{image}").raise_for_status()
    assert [alice.http.get(f"/v2/images/{image}").status_code for image in images] == [404, 404]


def test_what_was_filled_there_is_not_imported_here(alice: User, alone: User) -> None:
    """Not even where a row is kept of it here, from a try that was refused."""
    image = alice.create()
    assert alice.start(image).status_code == 409  # nothing is staged
    assert alone.save(image, b"data").status_code == 204
    assert alice.show(image)["status"] == "active"
    assert alice.start(image, "web-download", uri="https://example.com/image").status_code == 409
    assert alice.show(image)["status"] == "active"


def _active(alice: User) -> str:
    image = alice.create()
    assert alice.save(image, b"data").status_code == 204
    return image


def test_what_is_known_is_known_for_a_while() -> None:
    """Counted from the first of them: none is known longer, however many more come."""
    settled = Settled()
    settled.add("first", 100.0)
    settled.add("second", 100.0 + SECONDS - 1)
    assert [settled.has(name, 100.0 + SECONDS - 1) for name in ("first", "second", "other")] == [True, True, False]
    assert not any(settled.has(name, 100.0 + SECONDS) for name in ("first", "second"))
    settled.add("third", 100.0 + SECONDS)
    assert [settled.has(name, 100.0 + SECONDS) for name in ("first", "third")] == [False, True]
    settled.forget("third")
    assert not settled.has("third", 100.0 + SECONDS)


def test_no_more_is_known_than_memory_is_for() -> None:
    settled = Settled()
    for number in range(MOST + 1):
        settled.add(str(number), 0.0)
    assert [settled.has(str(number), 0.0) for number in (0, MOST)] == [False, True]
