"""Containers through the running service: looked into, and off the record once they are off the bytes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest

from tests.clients.site import User
from tests.faults.service import service
from tests.images.archives import docker, ova, zipped
from tests.images.hostile import HOSTILE
from tests.images.sound import MIB, qcow2

RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "looked-at", "require": "all", "stages": ["inspect"]},
    {"id": "unpacked", "require": "all", "for": {"projects": ["demo-gold"]}, "stages": ["decompress"]},
)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[User, User]]:
    """One whose images are unpacked, one whose images stay as they are."""
    with (
        service(tmp_path_factory.mktemp("containers"), {}, RULES) as running,
        running.user("gold") as gold,
        running.user("silver") as silver,
    ):
        yield gold, silver


def saved(user: User, content: bytes, disk_format: str, container_format: str) -> tuple[str, str]:
    """By PUT /file: the image's id, and what was wrong."""
    image = user.create(disk_format=disk_format, container_format=container_format)
    answer = user.save(image, content)
    return image, "" if answer.is_success else user.error(answer)["message"]


def imported(user: User, content: bytes, disk_format: str, container_format: str) -> tuple[str, str]:
    """By glance-direct."""
    image = user.create(disk_format=disk_format, container_format=container_format)
    answer = user.stage(image, content)
    if not answer.is_success:
        return image, str(user.error(answer)["message"])
    assert user.start(image).status_code == 202
    return image, str(user.ended(image)["message"])


Way = Callable[[User, bytes, str, str], tuple[str, str]]
WAYS = pytest.mark.parametrize("way", [saved, imported])


@WAYS
@pytest.mark.parametrize("packed", [gzip.compress(qcow2()), zipped(qcow2())], ids=["gzip", "zip"])
def test_what_is_unpacked_is_bare_on_the_record(users: tuple[User, User], way: Way, packed: bytes) -> None:
    image, fault = way(users[0], packed, "qcow2", "compressed")
    found = users[0].show(image)
    assert fault == ""
    assert (found["status"], found["disk_format"], found["container_format"]) == ("active", "qcow2", "bare")
    assert (found["size"], found["virtual_size"]) == (len(qcow2()), MIB)
    assert users[0].file(image).content == qcow2()


@WAYS
def test_what_stays_packed_stays_compressed_and_is_looked_into(users: tuple[User, User], way: Way) -> None:
    packed = gzip.compress(qcow2())
    image, fault = way(users[1], packed, "qcow2", "compressed")
    found = users[1].show(image)
    assert fault == ""
    assert (found["container_format"], found["size"], found["virtual_size"]) == ("compressed", len(packed), MIB)
    hostile = gzip.compress(HOSTILE["qcow2 backing file"][0])
    assert "backing file" in way(users[1], hostile, "qcow2", "compressed")[1]


@WAYS
def test_archives_are_looked_into(users: tuple[User, User], way: Way) -> None:
    image, fault = way(users[1], ova(), "vmdk", "ova")
    found = users[1].show(image)
    assert (fault, found["status"], found["virtual_size"]) == ("", "active", MIB)
    assert way(users[1], docker(), "raw", "docker")[1] == ""
    flat = ova(disk=HOSTILE["vmdk monolithicFlat"][0])
    assert "other files" in way(users[1], flat, "vmdk", "ova")[1]
