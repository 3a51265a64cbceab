"""Finding a cloud, and being somebody there: clouds.yaml and Keystone, seen from the sockets they lead to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.elsewhere import Service, said, serving
from tests.cli.running import cli

DISCOVERY = said(200, {"import-methods": {"description": "", "type": "array", "value": ["glance-direct"]}})
INFO = ("GET", "/v2/info/import")


@pytest.fixture
def images() -> Iterator[Service]:
    with serving(Service({INFO: [DISCOVERY]})) as service:
        yield service


@pytest.fixture
def keystone(images: Service) -> Iterator[Service]:
    def endpoints(region: str, url: str) -> list[dict[str, str]]:
        return [
            {"interface": "internal", "region_id": region, "url": "http://127.0.0.1:1"},
            {"interface": "public", "region_id": region, "url": url},
        ]

    both = endpoints("far", "http://127.0.0.1:1/far") + endpoints("near", f"{images.url}/v2/")
    catalog = [{"type": "identity", "endpoints": []}, {"type": "image", "endpoints": both}]
    tokens = [said(201, {"token": {"catalog": catalog}}, **{"X-Subject-Token": f"token-{n}"}) for n in (1, 2)]
    with serving(Service({("POST", "/v3/auth/tokens"): tokens})) as service:
        yield service


def write_clouds(file: Path, **clouds: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"clouds": clouds}))


def basic(url: str, password: str = "secret") -> dict[str, Any]:
    return {"auth_type": "http_basic", "auth": {"endpoint": url, "username": "ann", "password": password}}


def test_http_basic_sends_name_and_password(tmp_path: Path, images: Service) -> None:
    write_clouds(tmp_path / "clouds.yaml", lab=basic(images.url))
    done = cli(tmp_path, "methods", "--cloud", "lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert images.sent(*INFO)[0][0]["authorization"] == "Basic YW5uOnNlY3JldA=="
    assert "glance-direct" in done.stdout


@pytest.mark.parametrize("place", [".config/openstack/clouds.yaml", "clouds.yml", "elsewhere/mine.yaml"])
def test_every_place_is_looked_at_and_os_cloud_names_the_cloud(tmp_path: Path, images: Service, place: str) -> None:
    write_clouds(tmp_path / place, lab=basic(images.url))
    env = {"OS_CLIENT_CONFIG_FILE": str(tmp_path / place)} if place.startswith("elsewhere") else {}
    assert cli(tmp_path, "methods", OS_CLOUD="lab", **env).returncode == 0


def test_secure_yaml_holds_what_clouds_yaml_does_not(tmp_path: Path, images: Service) -> None:
    entry = basic(images.url)
    del entry["auth"]["password"]
    write_clouds(tmp_path / "clouds.yaml", lab=entry)
    write_clouds(tmp_path / "secure.yaml", lab={"auth": {"password": "secret"}})
    assert cli(tmp_path, "methods", "--cloud", "lab").returncode == 0
    assert images.sent(*INFO)[0][0]["authorization"] == "Basic YW5uOnNlY3JldA=="


def test_none_and_admin_token(tmp_path: Path, images: Service) -> None:
    token = {"auth_type": "admin_token", "auth": {"endpoint": images.url, "token": "t0"}}
    write_clouds(tmp_path / "clouds.yaml", open={"auth_type": "none", "endpoint": images.url}, admin=token)
    assert cli(tmp_path, "methods", "--cloud", "open").returncode == 0
    assert cli(tmp_path, "methods", "--cloud", "admin").returncode == 0
    (nobody, _), (admin, _) = images.sent(*INFO)
    assert "authorization" not in nobody
    assert admin["x-auth-token"] == "t0"


def test_a_url_on_the_command_line_wins_over_a_cloud_of_the_environment(tmp_path: Path, images: Service) -> None:
    done = cli(
        tmp_path, "methods", "--url", images.url, "--user", "ann", OS_CLOUD="gone", IMPORT_GATEWAY_PASSWORD="secret"
    )
    assert done.returncode == 0
    assert images.sent(*INFO)[0][0]["authorization"] == "Basic YW5uOnNlY3JldA=="


PASSWORD = {
    "auth_url": "",
    "username": "ann",
    "password": "secret",
    "project_name": "lab",
    "user_domain_name": "people",
    "project_domain_id": "d1",
}


def test_keystone_by_password_finds_the_service_of_its_region(
    tmp_path: Path, images: Service, keystone: Service
) -> None:
    entry = {"region_name": "near", "auth": {**PASSWORD, "auth_url": f"{keystone.url}/v3"}}
    write_clouds(tmp_path / "clouds.yaml", lab=entry)
    done = cli(tmp_path, "methods", "--cloud", "lab")
    assert (done.returncode, done.stderr) == (0, "")
    assert images.sent(*INFO)[0][0]["x-auth-token"] == "token-1"
    sent = json.loads(keystone.sent("POST", "/v3/auth/tokens")[0][1])["auth"]
    user = {"name": "ann", "domain": {"name": "people"}, "password": "secret"}
    assert sent["identity"] == {"methods": ["password"], "password": {"user": user}}
    assert sent["scope"] == {"project": {"name": "lab", "domain": {"id": "d1"}}}


def test_keystone_by_application_credential(tmp_path: Path, images: Service, keystone: Service) -> None:
    auth = {"auth_url": keystone.url, "application_credential_id": "c1", "application_credential_secret": "s1"}
    entry = {"auth_type": "v3applicationcredential", "region_name": "near", "auth": auth}
    write_clouds(tmp_path / "clouds.yaml", lab=entry)
    assert cli(tmp_path, "methods", "--cloud", "lab").returncode == 0
    sent = json.loads(keystone.sent("POST", "/v3/auth/tokens")[0][1])["auth"]
    assert sent["identity"]["application_credential"] == {"id": "c1", "secret": "s1"}
    assert "scope" not in sent


def test_a_token_that_ran_out_is_renewed_once(tmp_path: Path, images: Service, keystone: Service) -> None:
    images.answers[INFO] = [said(401), DISCOVERY]
    write_clouds(tmp_path / "clouds.yaml", lab={"region_name": "near", "auth": {**PASSWORD, "auth_url": keystone.url}})
    assert cli(tmp_path, "methods", "--cloud", "lab").returncode == 0
    assert [headers["x-auth-token"] for headers, _ in images.sent(*INFO)] == ["token-1", "token-2"]


def test_what_is_wrong_is_said_with_a_remedy_and_without_a_traceback(
    tmp_path: Path, images: Service, keystone: Service
) -> None:
    wrong = {"auth": {**PASSWORD, "auth_url": keystone.url}}
    write_clouds(
        tmp_path / "clouds.yaml",
        lab=basic(images.url),
        odd={"auth_type": "v3oidc", "auth": {}},
        nameless={"auth_type": "http_basic", "auth": {"endpoint": images.url}},
        region={**wrong, "region_name": "nowhere"},
        away={"auth": {**PASSWORD, "auth_url": "http://127.0.0.1:1"}},
    )
    for cloud, message in (
        ("lap", "has no cloud 'lap'"),
        ("odd", "auth_type 'v3oidc', which this client does not know"),
        ("nameless", "has no auth.username"),
        ("region", "no public image service in region nowhere"),
        ("away", "Keystone does not answer"),
    ):
        done = cli(tmp_path, "methods", "--cloud", cloud)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert "Traceback" not in done.stderr


def test_a_refused_login_names_the_cloud_and_never_the_password(tmp_path: Path, keystone: Service) -> None:
    keystone.answers[("POST", "/v3/auth/tokens")] = [said(401, {"error": {"message": "no"}})]
    write_clouds(tmp_path / "clouds.yaml", lab={"auth": {**PASSWORD, "auth_url": keystone.url}})
    done = cli(tmp_path, "methods", "--cloud", "lab")
    assert done.returncode == 1
    assert "Keystone refused the login of cloud 'lab'" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("content", ["clouds: [", "clouds: 5", "5", ""])
def test_a_broken_file_is_a_message(tmp_path: Path, content: str) -> None:
    (tmp_path / "clouds.yaml").write_text(content)
    done = cli(tmp_path, "methods", "--cloud", "lab")
    assert done.returncode == 1
    assert "clouds.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_clouds_yaml_at_all_says_where_it_looked(tmp_path: Path) -> None:
    done = cli(tmp_path, "methods", "--cloud", "lab")
    assert done.returncode == 1
    assert str(tmp_path / ".config" / "openstack" / "clouds.yaml") in done.stderr


def test_a_user_without_a_password_is_used_wrongly(tmp_path: Path) -> None:
    assert cli(tmp_path, "methods", "--user", "ann").returncode == 2
