"""The Azure store on a server that speaks its API: Azurite, Microsoft's own. `make stores` installs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model.errors import ContentRefused, NotFound, Unavailable
from gateway.ports import Store
from gateway.stores import STORES, Login
from tests.cli.service import eventually
from tests.faults.service import service
from tests.stores.conformance import StoreSuite, blocks_of, key, large, read, refusing
from tests.stores.places import place
from tests.stores.servers import azurite
from tests.stores.servers.azurite import Account, Container, fresh

pytestmark = pytest.mark.skipif(not azurite.is_ready(), reason="Azurite is not installed: `make stores` does that")
MIB = 1 << 20
PREFIX = "cloud/images"
RULES = ({"id": "everything", "allow": "all"}, {"id": "real-images", "require": "all", "stages": ["inspect"]})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with azurite.server(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture
def container(account: Account) -> Iterator[Container]:
    with fresh(account) as made:
        yield made


@pytest.fixture
def store(container: Container) -> Iterator[Store]:
    opened = _opened(container)
    yield opened
    opened.close()


def _opened(container: Container, secret: str | None = None, **more: object) -> Store:
    account = container.account
    login = Login(name="azure", kind="basic", user=account.name, secret=lambda: secret or account.key)
    chosen = {"prefix": PREFIX, "part_size": 5 * MIB, **more}
    at = replace(place(Path()), name="remote", bucket=container.name, endpoint=account.endpoint, login=login, **chosen)  # type: ignore[arg-type]
    return STORES["azure"](at)


class TestAzure(StoreSuite):
    @pytest.fixture
    def store(self, container: Container) -> Iterator[Store]:
        opened = _opened(container)
        yield opened
        opened.close()

    @pytest.fixture
    def left(self, container: Container) -> Callable[[], list[str]]:
        """Blocks that nobody has made a blob of cannot be taken away; the service drops them after a week."""
        return lambda: container.listed(unfinished=False)


def test_a_refusal_leaves_nothing_that_can_be_read(store: Store, container: Container) -> None:
    name = key()
    with pytest.raises(ContentRefused):
        store.put(name, refusing(*blocks_of(bytes(large(store)))))
    assert container.listed(unfinished=False) == []
    with pytest.raises(NotFound):
        store.size(name)


def test_blocks_that_a_crash_left_are_in_nobodys_way(store: Store, container: Container) -> None:
    name, content = key(), os.urandom(large(store))
    container.begin(f"{PREFIX}/{name}")
    assert container.listed() == [f"{PREFIX}/{name}"]
    assert list(store.keys()) == []
    store.put(name, blocks_of(content))
    assert read(store, name) == content


def test_only_its_own_prefix_is_the_stores(store: Store, container: Container) -> None:
    name = key()
    others = [f"cloud/{key()}", f"{PREFIX}2/{key()}", f"{PREFIX}/folder/{key()}", f"{PREFIX}/README"]
    for other in others:
        container.put(other, b"not ours")
    store.put(name, [b"ours"])
    assert list(store.keys()) == [name]
    store.delete(name)
    assert container.listed() == sorted(others)


def test_a_wrong_key_and_a_missing_container_are_told_at_the_opening(container: Container) -> None:
    with pytest.raises(Unavailable, match="refuses credentials 'azure'"):
        _opened(container, secret="bm9uZQ==")
    missing = replace(container, name="none-of-these")
    with pytest.raises(Unavailable, match="has no bucket 'none-of-these'"):
        _opened(missing)


def test_images_go_in_and_come_out_by_the_whole_service(container: Container, tmp_path: Path) -> None:
    """And what is refused, or deleted, leaves no blob."""
    account, size = container.account, 11 * MIB + 512
    (tmp_path / "azure.secret").write_text(account.key)
    there = {"type": "azure", "container": container.name, "endpoint": account.endpoint, "part_size": "5MiB"}
    settings = {
        "stores": [{"name": "remote", "prefix": PREFIX, "credentials": "azure", **there}],
        "credentials": {"azure": {"type": "basic", "username": account.name, "secret_file": "azure.secret"}},
        "imports": {"retries": 0, "reaper_interval": "1s"},
    }
    with service(tmp_path, settings, RULES) as site, site.user() as user:
        image, content = user.create(), os.urandom(size)
        assert user.save(image, content).status_code == 204
        assert user.file(image).content == content
        assert user.file(image, Range=f"bytes={size - 9}-").content == content[-9:]
        refused = user.save(user.create(disk_format="qcow2"), content)
        assert (refused.status_code, user.error(refused)["reason"]) == (415, "format-mismatch")
        assert len(container.listed(unfinished=False)) == 1
        user.http.delete(f"/v2/images/{image}").raise_for_status()
        eventually(lambda: not container.listed(unfinished=False))
