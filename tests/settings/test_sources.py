"""Credentials and sources as an operator writes them, and what the fetch makes of them."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.methods import offered
from gateway.methods.sources import ORDINARY, Tunnel
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.settings import Settings, settings_from
from gateway.sourcing import fetch_rules

WHOLE = """\
credentials:
  mirror: {type: basic, username: u, password: p-secret, hosts: ["*.Corp.example"]}
  buckets: {type: s3, access_key: AK, secret_file: s3.secret, hosts: [s3.corp.example]}
  proxy: {type: basic, username: gateway, password: x-secret}
sources:
  corp:
    hosts: ["*.corp.example", mirror.example]
    ca_file: corp.pem
    allowed_networks: [10.1.0.0/16]
    ports: [8443]
    s3: {endpoint: "https://S3.corp.example:9000/base", region: eu}
  outside:
    hosts: ["*.example"]
    proxy: "http://proxy.corp.example:3128"
    proxy_credentials: proxy
"""


def read(text: str, folder: Path = Path("/etc/gateway")) -> Settings:
    return settings_from(Source("gateway.yaml", text.encode()), folder)


def test_what_the_fetch_is_told(tmp_path: Path) -> None:
    rules = fetch_rules(read(WHOLE, tmp_path))
    corp, outside = rules.source("a.b.corp.example"), rules.source("other.example")
    assert (corp.ca_file, corp.ports, corp.allowed_networks) == (
        tmp_path / "corp.pem", (8443,), (ip_network("10.1.0.0/16"),),
    )  # fmt: skip
    assert corp == rules.source("mirror.example") == rules.source("s3.corp.example")
    assert outside.tunnel == Tunnel(host="proxy.corp.example", port=3128, authorization="proxy")
    assert rules.source("elsewhere.test") is ORDINARY
    assert (rules.buckets["corp"].endpoint.url, rules.buckets["corp"].region) == (
        "https://s3.corp.example:9000/base",
        "eu",
    )
    assert rules.credentials["mirror"].hosts == ("*.corp.example",)
    assert (rules.credentials["mirror"].secret(), rules.credentials["buckets"].user) == ("p-secret", "AK")
    (tmp_path / "s3.secret").write_text("one\n")
    assert rules.credentials["buckets"].secret() == "one"
    (tmp_path / "s3.secret").write_text("two\n")
    assert rules.credentials["buckets"].secret() == "two"


def test_no_secret_is_in_a_representation(tmp_path: Path) -> None:
    settings = read(WHOLE, tmp_path)
    assert "-secret" not in f"{settings!r} {fetch_rules(settings)!r} {fetch_rules(settings).credentials!r}"


def test_buckets_are_offered_where_a_source_has_some() -> None:
    assert "s3-download" not in offered(fetch_rules(Settings()))
    assert {"s3-download", "oci-download"} <= offered(fetch_rules(read(WHOLE))).keys()


WRONG = {
    "no-hosts": "sources: {a: {ca_file: x}}",
    "bad-host": "sources: {a: {hosts: ['cloud-*.example']}}",
    "duplicate-host": "sources: {a: {hosts: [x.example]}, b: {hosts: [x.example]}}",
    "bad-network": "sources: {a: {hosts: [x.example], allowed_networks: [10.0.0.1/8]}}",
    "unknown-credentials": "sources: {a: {hosts: [x.example], proxy: 'http://p:1', proxy_credentials: b}}",
    "unfit-credentials": "credentials: {b: {type: s3}}\nsources: {a: {hosts: [x.example], proxy_credentials: b}}",
    "bad-value": "sources: {a: {hosts: [x.example], proxy: 'https://user:word@proxy.example'}}",
    "unknown-key": "sources: {a: {host: [x.example], hosts: [y.example]}}",
    "missing-key": "sources: {a: {s3: {region: x}}}",
}


@pytest.mark.parametrize(("code", "text"), WRONG.items(), ids=WRONG)
def test_mistakes_are_told_with_their_place(code: str, text: str) -> None:
    with pytest.raises(Problems) as caught:
        read(text)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_hosts_of_credentials_are_checked_too() -> None:
    with pytest.raises(Problems) as caught:
        read("credentials: {a: {type: bearer, hosts: ['*']}}")
    assert [problem.code for problem in caught.value.problems] == ["bad-host"]
