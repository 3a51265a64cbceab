"""Against a registry that others made: Debian's docker-registry."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.methods.artifacts import LAYER, digest, index, layer, manifest
from tests.methods.conftest import Source
from tests.methods.registry import ISSUER, SERVICE, Issuer, Registry, needed, registry
from tests.methods.scripted import field, reply
from tests.methods.test_oci_download import SECRET, fetched, method, refused

pytestmark = needed
NAME = "images/debian"
ONE = manifest(layer(LAYER, "disk.qcow2"), layer(b"{}", "notes.json", "application/json"))
TWO = manifest(layer(b"arm", "disk.qcow2"))
INDEX = index({"linux/amd64": ONE, "linux/arm64": TWO})


def filled(made: Registry) -> Registry:
    made.push(NAME, "12", ONE, LAYER, b"{}")
    made.push(NAME, "arm", TWO, b"arm", b"{}")
    made.push(NAME, "all", INDEX)
    return made


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("public")) as made:
        yield filled(made)


def asked(made: Registry, reference: str, **more: str) -> dict[str, str]:
    return {"name": "oci-download", "uri": f"oci://127.0.0.1:{made.port}/{NAME}{reference}", **more}


@pytest.mark.parametrize(
    ("reference", "more"),
    [
        (":12", {}),
        (f"@{digest(ONE)}", {}),
        (":all", {"platform": "linux/amd64"}),
        (f":all@{digest(INDEX)}", {"platform": "linux/amd64"}),
    ],
)
def test_a_layer(public: Registry, reference: str, more: dict[str, str]) -> None:
    one = method(ports=(public.port,))
    assert fetched(one, asked(public, reference, title="disk.qcow2", **more)) == LAYER


def test_what_is_not_there(public: Registry) -> None:
    one = method(ports=(public.port,))
    assert refused(one, asked(public, ":none")) == "source-missing"
    assert refused(one, asked(public, f"@{digest(b'none')}")) == "source-missing"


def test_tokens_for_anybody_and_for_who_shows_a_password(serve: Any, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    right = "Basic " + base64.b64encode(f"puller:{SECRET}".encode()).decode()
    made: list[Source] = []

    def answer(connection: Any, line: str) -> None:
        """To anybody, and to who shows the right password, a token; only the latter may pull."""
        scope = parse_qs(urlsplit(line.split(" ")[1]).query)["scope"][0]
        actions = ("pull",) if field(made[0].heads[-1], "Authorization") == right else ()
        connection.sendall(reply(b'{"token": "%s"}' % issuer.token(scope.split(":")[1], *actions).encode()))

    made.append(serve(answer))
    auth = {
        "realm": f"http://127.0.0.1:{made[0].port}/token",
        "service": SERVICE,
        "issuer": ISSUER,
        "rootcertbundle": str(issuer.bundle),
    }
    ours = f"Bearer {issuer.token(NAME, 'push', 'pull')}"
    with registry(tmp_path, {"token": auth}, Authorization=ours) as running:
        filled(running)
        one = method(made[0], ports=(running.port, made[0].port))
        said = asked(running, ":12", title="disk.qcow2")
        assert refused(one, said) == "source-forbidden"
        assert fetched(one, {**said, "credential": "ours"}) == LAYER
