"""examples/many: what compose.yaml starts, started here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import yaml

from tests.catalog import postgres
from tests.examples.layout import BODY, EXAMPLES, HAPROXY, balanced, imported, moved, read, secrets, serving
from tests.interop.running import free_ports
from tests.serving import servers
from tests.serving.process import Process

FOLDER = EXAMPLES / "many"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
GATEWAYS = [name for name in COMPOSE["services"] if name.startswith("gateway-")]

pytestmark = [
    postgres.needed,
    pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed: sudo apt-get install haproxy"),
]


@dataclass(frozen=True)
class Many:
    url: str
    gateways: list[Process]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    home, bucket, (port,) = tmp_path_factory.mktemp("many"), servers.server("moto"), free_ports(1)
    secrets(home / "secrets", bucket, {name: Path(one["file"]).name for name, one in COMPOSE["secrets"].items()})
    (home / "keys").mkdir()
    places = {
        "postgresql://gateway@db/gateway": postgres.fresh(),
        "http://objects:9000": bucket.endpoint,
        "http://localhost:9292": f"http://127.0.0.1:{port}",
    }
    gateways = [container(home, name, places) for name in GATEWAYS]
    with serving(gateways):
        hosts = {f"{name}:9292": one.url.removeprefix("http://") for name, one in zip(GATEWAYS, gateways, strict=True)}
        text = moved((FOLDER / "haproxy.cfg").read_text(), {"bind :9292": f"bind 127.0.0.1:{port}", **hosts})
        with balanced(home, text, port) as url:
            yield Many(url, gateways)


def container(home: Path, name: str, places: dict[str, str]) -> Process:
    """The service with its volumes and secrets as folders of this machine; 0.0.0.0 is loopback here."""
    service, folder = COMPOSE["services"][name], home / name
    folder.mkdir()
    mounts = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    assert mounts.pop("/etc/import-gateway/gateway.yaml") == "./gateway.yaml"
    folders = {inside: str(home / volume) for inside, volume in mounts.items()}
    assert set(service["secrets"]) == {"db", "s3", "users"}
    settings = moved(
        (FOLDER / "gateway.yaml").read_text(), {**places, **folders, "/run/secrets": str(home / "secrets")}
    )
    (folder / "gateway.yaml").write_text(settings)
    program, *words = service["command"]
    assert program == "serve"
    here = {"/etc/import-gateway/gateway.yaml": "gateway.yaml", "0.0.0.0": "127.0.0.1"}
    return Process(folder, *[here.get(word, word) for word in words])


def test_what_one_gateway_takes_all_others_give(many: Many) -> None:
    image = imported(many.gateways[0].url)
    assert [read(one.url, image) == BODY for one in many.gateways[1:]] == [True, True]


def test_users_behind_the_balancer_do_not_notice_that_a_gateway_is_killed(many: Many) -> None:
    before = imported(many.url)
    many.gateways[1].kill(SIGKILL)
    try:
        assert read(many.url, before) == BODY
        assert read(many.url, imported(many.url)) == BODY
    finally:
        many.gateways[1].start()


def test_each_has_a_data_folder_of_its_own_and_all_have_the_same_keys() -> None:
    volumes = [COMPOSE["services"][name]["volumes"] for name in GATEWAYS]
    own = [volume for mounted in volumes for volume in mounted if volume.endswith("/data")]
    assert len(set(own)) == len(GATEWAYS) == 3
    shared = set.intersection(*(set(mounted) for mounted in volumes))
    assert {volume.partition(":")[0] for volume in shared} == {"./gateway.yaml", "keys"}
    assert set(COMPOSE["volumes"]) >= {volume.partition(":")[0] for volume in (*own, "keys")}
