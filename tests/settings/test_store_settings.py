"""Stores that are servers, as gateway.yaml describes them, and what is told about mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.settings import Settings, settings_from
from gateway.settings.credentials import Credential

CREDENTIALS = """
credentials:
  s3: {type: s3, access_key: AK, secret_file: s3.secret}
  azure: {type: basic, username: account, password: a2V5}
  google: {type: google, secret_file: google.json}
  keystone: {type: keystone, auth_url: "https://keystone.example/v3", username: gateway, password: p, project: service}
"""


def read(stores: str) -> Settings:
    return settings_from(Source("gateway.yaml", (stores + CREDENTIALS).encode()), Path("/etc/gateway"))


def problems(stores: str) -> list[tuple[str, int, int]]:
    with pytest.raises(Problems) as caught:
        read(stores)
    return [(problem.code, problem.place.line, problem.place.column) for problem in caught.value.problems]


def test_all_kinds_of_stores_are_read() -> None:
    settings = read("""\
stores:
  - {name: a, type: s3, bucket: images, endpoint: "https://s3.example", region: eu, addressing: virtual, prefix: cloud,
     credentials: s3, ca_file: ca.pem, part_size: 16MiB, timeout: 30s, at_once: 7}
  - {name: b, type: gcs, bucket: images, credentials: google}
  - {name: c, type: azure, container: images, credentials: azure}
  - {name: d, type: swift, container: images, credentials: keystone}
""")
    a, b, c, d = settings.stores
    assert (a.bucket, a.prefix, a.addressing, a.part_size, a.timeout, a.at_once) == (
        "images", "cloud", "virtual", 16 << 20, 30.0, 7,
    )  # fmt: skip
    assert a.ca_file == Path("/etc/gateway/ca.pem")
    assert [store.bucket or store.container for store in (b, c, d)] == ["images"] * 3
    assert "a2V5" not in repr(settings)


def test_a_secret_that_is_no_text_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(OSError, match="no text"):
        _ = Credential(type="s3", access_key="AK", secret_file=tmp_path / "secret").secret


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("{name: a, type: s3}", ("incomplete-store", 2, 5)),
        ("{name: a, type: gcs}", ("incomplete-store", 2, 5)),
        ("{name: a, type: azure, credentials: azure}", ("incomplete-store", 2, 5)),
        ("{name: a, type: s3, container: images, bucket: b}", ("no-container", 2, 36)),
        ("{name: a, type: s3, bucket: b, path: /srv}", ("no-path", 2, 42)),
        ("{name: a, bucket: images}", ("no-bucket", 2, 23)),
        ("{name: a, endpoint: 'https://s3.example'}", ("no-endpoint", 2, 25)),
        ("{name: a, type: s3, bucket: b, credentials: s4}", ("unknown-credentials", 2, 49)),
        ("{name: a, type: s3, bucket: b, credentials: azure}", ("wrong-credentials", 2, 49)),
        ("{name: a, type: swift, container: b, credentials: s3}", ("wrong-credentials", 2, 55)),
        ("{name: a, type: s3, bucket: b, part_size: 1MiB}", ("bad-part", 2, 47)),
        ("{name: a, type: s3, bucket: b, part_size: 2GiB}", ("bad-part", 2, 47)),
    ],
)
def test_a_mistake_is_told_with_its_place(store: str, problem: tuple[str, int, int]) -> None:
    assert problem in problems(f"stores:\n  - {store}\n")


def test_both_that_swift_needs_are_asked_for() -> None:
    assert [code for code, *_ in problems("stores:\n  - {name: a, type: swift}\n")] == ["incomplete-store"] * 2


@pytest.mark.parametrize("values", [{"endpoint": "s3.example"}, {"prefix": "a b"}, {"addressing": "host"}])
def test_values_have_a_form(values: dict[str, Any]) -> None:
    store = {"name": "a", "type": "s3", "bucket": "b", **values}
    assert len(problems(f"stores: {json.dumps([store])}\n")) == 1
