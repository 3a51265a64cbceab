"""A store that takes some blocks and then no more, and bytes that are damaged before they are copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.disks import may_mount, small_disk
from tests.faults.service import Service, service
from tests.faults.sources import Sources, content
from tests.placement.site import TRUSTING, from_store, holding, settings, start, until
from tests.serving.backing import on_disk

MIB = 1 << 20
SIZE = 4 * MIB
BODY = content(31, SIZE)
pytestmark = on_disk


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk with room for one image, and no more."""
    folder = tmp_path_factory.mktemp("disks")
    if not may_mount(folder / "tried"):
        pytest.skip("a small disk needs the right to mount a tmpfs: run as root")
    with small_disk(folder / "tiny", "5M") as disk:
        yield disk


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory, tiny: Path, fetched_from: Sources) -> Iterator[Service]:
    stores = [{"name": "fast", "default": True}, {"name": "slow"}, {"name": "tiny", "path": str(tiny / "blobs")}]
    once = {"reaper_interval": "1s", "progress_interval": "50ms", "retries": 0}
    wanted = settings(fetched_from.port, stores=stores, imports=once)
    with service(tmp_path_factory.mktemp("partial"), wanted, TRUSTING) as started:
        yield started


@pytest.fixture
def gold(partial: Service) -> Iterator[User]:
    with partial.user("gold") as user:
        yield user


@pytest.fixture(params=range(4))
def filled(request: pytest.FixtureRequest, tiny: Path) -> Iterator[int]:
    """The disk has room for so many blocks of the image, and not for one more."""
    ballast = tiny / "ballast"
    ballast.write_bytes(bytes(5 * MIB - request.param * MIB - MIB // 2))
    yield request.param
    ballast.unlink()


def nothing_left(tiny: Path) -> None:
    eventually(lambda: not [path for path in (tiny / "blobs").rglob("*") if path.is_file()])


def test_the_other_stores_take_it(gold: User, fetched_from: Sources, tiny: Path, filled: int) -> None:
    image = gold.create()
    uri = fetched_from.paced(31, SIZE, 0)
    start(gold, image, "web-download", uri=uri, all_stores=True, all_stores_must_succeed=False).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], task["stores"]["left"]) == ("success", [])
    assert task["stores"]["failed"] == {"tiny": "Store tiny is full"}
    shown = gold.show(image)
    assert (shown["status"], shown["stores"]) == ("active", "fast,slow")
    assert (shown["os_glance_failed_import"], shown["os_glance_importing_to_stores"]) == ("tiny", "")
    assert from_store(gold, image, "slow") == from_store(gold, image, "fast") == BODY
    nothing_left(tiny)


def test_all_must_succeed_or_nothing_is_kept(gold: User, fetched_from: Sources, tiny: Path, filled: int) -> None:
    image = gold.create()
    start(gold, image, "web-download", uri=fetched_from.paced(31, SIZE, 0), all_stores=True).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", "store-full")
    shown = gold.show(image)
    assert (shown["status"], "stores" in shown, shown["os_glance_failed_import"]) == ("queued", False, "fast,slow,tiny")
    nothing_left(tiny)


def test_copies_go_where_there_is_room(gold: User, tiny: Path, filled: int) -> None:
    image = gold.create()
    gold.save(image, BODY).raise_for_status()
    start(gold, image, "copy-image", all_stores=True, all_stores_must_succeed=False).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], list(task["stores"]["failed"])) == ("success", ["tiny"])
    shown = until(gold, image, lambda shown: shown.get("os_glance_importing_to_stores") == "")
    assert (shown["stores"], shown["os_glance_failed_import"]) == ("fast,slow", "tiny")
    nothing_left(tiny)


def test_with_room_again_the_copy_is_made(gold: User, tiny: Path) -> None:
    image = gold.create()
    gold.save(image, BODY).raise_for_status()
    start(gold, image, "copy-image", stores=["tiny"]).raise_for_status()
    assert gold.ended(image)["status"] == "success"
    assert from_store(gold, image, "tiny") == BODY
    gold.http.delete(f"/v2/images/{image}").raise_for_status()
    nothing_left(tiny)


@pytest.mark.parametrize("all_must", [True, False])
@pytest.mark.parametrize("at", [0, MIB, SIZE - 1])
def test_a_bit_that_flips_before_the_copies_fails_the_import(
    partial: Service, gold: User, at: int, all_must: bool
) -> None:
    image, place = gold.create(), holding(partial, "fast")
    before = set(place.sizes())
    gold.stage(image, BODY).raise_for_status()
    (key,) = set(place.sizes()) - before
    place.replace(key, BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :])
    start(gold, image, stores=["fast", "slow"], all_stores_must_succeed=all_must).raise_for_status()
    task = gold.ended(image)
    assert (task["status"], task["code"]) == ("failure", "blob-damaged")
    assert "store fast" in task["message"]
    assert gold.show(image)["status"] == "queued"
