"""gateway.yaml as an operator meets it: defaults, every key, and every mistake at once."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.model.caller import Caller
from gateway.model.errors import NotFound
from gateway.policy.problems import Problems
from gateway.policy.reader import Source
from gateway.settings import Settings, overridden, read_settings, settings_from
from gateway.shipped_files import shipped

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((shipped("schemas") / "settings.schema.json").read_text())


def read(text: str) -> Settings:
    return settings_from(Source("gateway.yaml", text.encode()), Path("/etc/gateway"))


def problems(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(Problems) as caught:
        read(text)
    return [(problem.code, problem.place.line, problem.place.column) for problem in caught.value.problems]


def keys(schema: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, entry in schema.get("properties", {}).items():
        found |= {prefix + name} | keys(entry.get("items", entry), f"{prefix}{name}.")
    return found


def tree(value: Any, prefix: str = "") -> set[str]:
    found = set()
    for field in fields(value):
        inner = getattr(value, field.name)
        inner = inner[0] if field.name == "stores" else inner
        found.add(prefix + field.name)
        if is_dataclass(inner) and not isinstance(inner, Caller):
            found |= tree(inner, f"{prefix}{field.name}.")
    return found


def test_the_example_shows_every_key_with_its_default() -> None:
    example = read_settings(ROOT / "examples" / "gateway.yaml")
    assert example == replace(Settings(), data=ROOT / "examples" / "data")


def test_the_schema_and_the_tree_have_the_same_keys() -> None:
    assert keys(SCHEMA) == tree(Settings())


def test_the_example_leaves_no_key_of_the_schema_out() -> None:
    text = (ROOT / "examples" / "gateway.yaml").read_text()
    assert [key for key in keys(SCHEMA) if f"{key.rpartition('.')[2]}:" not in text] == []


def test_defaults_the_schema_tells_an_editor_are_the_real_ones() -> None:
    written = {section: entry["properties"] for section, entry in SCHEMA["properties"].items() if "properties" in entry}
    for section, entries in written.items():
        for name, entry in entries.items():
            if "default" in entry:
                said = read(json.dumps({section: {name: entry["default"]}}))
                assert getattr(getattr(said, section), name) == getattr(getattr(Settings(), section), name), name


def test_every_field_has_a_default() -> None:
    assert all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(Settings))


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}"])
def test_a_file_that_says_nothing_is_the_default(text: str) -> None:
    assert read(text) == replace(Settings(), data=Path("/etc/gateway/data"))


def test_values_are_read_in_their_units_and_paths_from_the_files_folder() -> None:
    settings = read(
        """
        data: /srv/images
        server: {idle_timeout: 5m, minimum_rate: 64KiB, max_header_size: 16KiB}
        imports: {abandoned_after: 7d, progress_interval: 500ms}
        policy: {directory: policies, decision_log: {path: log/decisions.jsonl}}
        stores: [{name: fast, path: ../blobs}]
        fetch: {allowed_networks: [10.0.0.0/8, "fd00::/8"], ports: [8080]}
        """
    )
    assert settings.server.idle_timeout == 300
    assert settings.server.minimum_rate == 65536
    assert settings.imports.abandoned_after == 7 * 86400
    assert settings.imports.progress_interval == 0.5
    assert settings.policy_directory == Path("/etc/gateway/policies")
    assert settings.decision_log_path == Path("/etc/gateway/log/decisions.jsonl")
    assert settings.folder_of(settings.default_store) == Path("/etc/gateway/../blobs")
    assert [str(network) for network in settings.fetch.allowed_networks] == ["10.0.0.0/8", "fd00::/8"]
    assert settings.fetch.ports == (8080,)
    assert settings.catalog_url == "sqlite+aiosqlite:////srv/images/records.sqlite"


def test_users_become_callers() -> None:
    settings = read(
        """
        identity:
          type: basic
          htpasswd: users.htpasswd
          users:
            ann: {project: {id: p1, name: lab, domain: corp, tags: ["tier:gold"]}, roles: [admin]}
            bob: {project: {id: p2}}
        """
    )
    ann, bob = settings.identity.users["ann"], settings.identity.users["bob"]
    assert ann == Caller(
        project_id="p1", project_name="lab", project_domain="corp", project_tags=("tier:gold",),
        user_id="ann", user_name="ann", roles=("admin",),
    )  # fmt: skip
    assert (bob.project_name, bob.project_domain, bob.roles) == ("p2", "default", ("member", "reader"))


def test_every_mistake_is_told_at_once_with_its_place() -> None:
    text = """\
servr: {port: 1}
server:
  port: 70000
  idle_timeout: soon
stores:
  - name: fast
    default: true
  - name: fast
    default: true
  - type: filesystem
identity:
  type: basic
fetch:
  allowed_networks: [10.0.0.1/8]
"""
    assert problems(text) == [
        ("unknown-key", 1, 1),
        ("out-of-range", 3, 9),
        ("bad-value", 4, 17),
        ("duplicate-store", 8, 11),
        ("two-defaults", 9, 14),
        ("missing-key", 10, 5),
        ("incomplete-identity", 12, 9),
        ("incomplete-identity", 12, 9),
        ("bad-network", 14, 22),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- a list", "wrong-type"),
        ("stores: [1, fast]", "wrong-type"),
        ("stores: []", "empty"),
        ("identity: {users: {ann: 5}}", "wrong-type"),
        ("fetch: {allowed_networks: [5]}", "wrong-type"),
        ("server: {idle_timeout: 0s}", "bad-value"),
        ("server: {minimum_rate: 9999999TiB}", "bad-value"),
        ("catalog: {url: 'mysql://host/db'}", "bad-value"),
        ("log: {level: loud}", "unknown-value"),
        ("images: {md5: yes}", "wrong-type"),
        ("data: *here", "yaml-anchor"),
        ("server: {port: 1, port: 2}", "yaml-duplicate-key"),
    ],
)
def test_what_is_no_setting_is_a_problem_and_not_a_crash(text: str, code: str) -> None:
    assert code in [found for found, _, _ in problems(text)]


def test_the_message_shows_the_line_a_caret_and_a_suggestion() -> None:
    with pytest.raises(Problems) as caught:
        read("server:\n  prot: 1\n")
    assert str(caught.value) == (
        "gateway.yaml:2:3: error[unknown-key]: 'prot' is not a key here\n"
        "   2 |   prot: 1\n"
        "     |   ^^^^ did you mean 'port'?"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gateway\.yaml cannot be read: No such file"):
        read_settings(tmp_path / "gateway.yaml")


def test_the_command_line_wins_and_what_it_leaves_out_stays() -> None:
    settings = read("server: {host: 10.0.0.1, port: 80}")
    assert overridden(settings, host=None, port=None, data=None) == settings
    changed = overridden(settings, host="::1", port=0, data=Path("/d"))
    assert (changed.server.host, changed.server.port, changed.data) == ("::1", 0, Path("/d"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_hosts_only_this_machine_can_reach(host: str) -> None:
    assert overridden(Settings(), host=host, port=None, data=None).server.is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "127.0.0.1.example"])
def test_hosts_others_may_reach(host: str) -> None:
    assert not overridden(Settings(), host=host, port=None, data=None).server.is_loopback


def test_the_default_store_is_the_one_that_says_so_else_the_first() -> None:
    assert read("stores: [{name: a}, {name: b, default: true}]").default_store.name == "b"
    assert read("stores: [{name: a}, {name: b}]").default_store.name == "a"


def test_two_stores_without_a_path_do_not_share_a_folder() -> None:
    settings = read("stores: [{name: a}, {name: b}]")
    assert len({settings.folder_of(store) for store in settings.stores}) == 2


def test_a_scanner_has_one_address() -> None:
    path = "stages:\n  malware_scan:\n    socket: clamd.ctl\n"
    assert read(path).stages.malware_scan.socket == Path("/etc/gateway/clamd.ctl")
    assert problems(path + "    host: localhost\n") == [("two-scanners", 4, 11)]
    assert read(path + "    host: null\n").stages.malware_scan.host is None


def test_parts_of_uploads_have_a_size_that_fits() -> None:
    assert read("imports:\n  upload_part: 1MiB\n").imports.upload_part == 1 << 20
    for size in ("1023KiB", "1025MiB"):
        assert problems(f"imports:\n  upload_part: {size}\n") == [("bad-part", 2, 16)]


KEYSTONE = "identity:\n  type: keystone\n  keystone:\n    "
SECRETS = {
    "in a URL": 'catalog: {url: "postgresql://gateway:hun@ter22@db/gateway", pol: 1}',
    "in a URL that is told": "catalog: {url: mysql://gateway:hunter22@db/gateway}",
    "a password": "identity: {type: keystone, keystone: {password: hunter22, pol: 1}}",
    "in double quotes": 'identity: {type: keystone, keystone: {password: "hun \\" ter,22}", pol: 1}}',
    "in single quotes": "identity: {type: keystone, keystone: {'password': 'hun '' ter,22}', pol: 1}}",
    "of several words": f"{KEYSTONE}password: hunter22, ter #22\n    password: again",
    "a number": f"{KEYSTONE}password: 22122122",
    "a list": f"{KEYSTONE}password: [hunter22]",
    "in a block": f"{KEYSTONE}password: |\n      hunter22\n     ter",
    "two keys in one": f"{KEYSTONE}password: hunter22: ter",
    "a tag": "credentials: {a: {type: s3, secret_key: !hunter22 ter}}",
    "a misspelt key": "credentials: {a: {type: s3, secret: hunter22}}",
    "a token": "credentials: {a: {type: s3, session_token: hunter22, pol: 1}}",
    "no YAML": "credentials: {a: {type: bearer, token: hunter22, : ]",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_problem_tells_no_secret(text: str) -> None:
    with pytest.raises(Problems) as refused:
        read(text)
    said = str(refused.value)
    assert not [part for part in ("hun", "ter22", "22", "ter ", "ter,") if part in said]


def test_carets_stay_where_they_are() -> None:
    with pytest.raises(Problems) as refused:
        read("credentials: {a: {type: bearer, token: hunter22, pol: 1}}")
    _, line, carets = str(refused.value).splitlines()
    assert "token: ********, pol" in line
    assert line.index("pol") == carets.index("^^^")


def test_what_names_a_secret_is_quoted() -> None:
    with pytest.raises(Problems) as refused:
        read("credentials: {a: {type: bearer, secret_file: /etc/gateway/token, pol: 1}}")
    assert "secret_file: /etc/gateway/token" in str(refused.value)
