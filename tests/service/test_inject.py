"""inject as owners meet it: properties that come with the bytes, by rule, whichever way the bytes came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.governing.running import Service, service, write

CONTENT = b"an image" * 1000
RULES: list[dict[str, Any]] = [
    {"id": "everything", "allow": "all"},
    {
        "id": "medical", "require": "all", "for": {"projects": ["demo-silver"]},
        "stages": ["inspect", {"inject": {"compliance": "medical", "hw_rng": "virtio"}}],
    },
    {"id": "wrong", "require": "all", "for": {"projects": ["demo-stranger"]}, "stages": [{"inject": {"owner": "me"}}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("site")
    write(home / "policies", {"rules": RULES})
    images = {"max_properties": 3}
    with service(home, images=images, imports={"retries": 0, "progress_interval": "50ms"}) as site:
        site.start()
        yield site


def imported(site: Service, user: str, **values: Any) -> tuple[str, dict[str, Any]]:
    """An image's id and its ended task."""
    one = site.user(user)
    image = one.create(**values)
    one.stage(image, CONTENT).raise_for_status()
    one.start(image).raise_for_status()
    return image, one.ended(image)


def test_an_import_sets_properties_by_rule_over_the_owners(site: Service) -> None:
    image, task = imported(site, "silver", compliance="none", mine="kept")
    assert task["status"] == "success"
    shown = site.user("silver").show(image)
    assert (shown["compliance"], shown["hw_rng"], shown["mine"]) == ("medical", "virtio", "kept")
    (report,) = [stage for stage in task["stages"] if stage["name"] == "inject"]
    assert (report["verdict"], report["bytes"]) == ("passed", len(CONTENT))
    assert [finding["message"] for finding in report["findings"]] == ["compliance = medical", "hw_rng = virtio"]
    assert [stage["name"] for stage in task["stages"]] == ["inspect", "inject"]


def test_an_upload_gets_them_too(site: Service) -> None:
    silver = site.user("silver")
    image = silver.create()
    silver.save(image, CONTENT).raise_for_status()
    assert silver.show(image)["compliance"] == "medical"


def test_staged_bytes_get_nothing_before_they_are_imported(site: Service) -> None:
    silver = site.user("silver")
    image = silver.create()
    silver.stage(image, CONTENT).raise_for_status()
    assert "compliance" not in silver.show(image)


def test_the_limit_of_properties_holds(site: Service) -> None:
    image, task = imported(site, "silver", one="1", two="2")
    assert task["status"] == "failure"
    assert "4 properties, and 3 are allowed" in task["message"]
    assert site.user("silver").show(image)["status"] == "queued"
    assert "compliance" not in site.user("silver").show(image)
    assert task["stages"][-1]["verdict"] == "refused"


def test_attributes_are_no_properties(site: Service) -> None:
    image, task = imported(site, "stranger")
    assert "sets 'owner'" in task["message"]
    stranger = site.user("stranger")
    owner = stranger.show(image)["owner"]
    assert stranger.save(image, CONTENT).status_code == 400
    assert (stranger.show(image)["status"], stranger.show(image)["owner"]) == ("queued", owner)
