"""Images from buckets and registries, with the operator's credentials: granted by name, kept and shown nowhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tests.cli.running import process
from tests.cli.service import eventually
from tests.clients.site import PASSWORD, User
from tests.faults.audit import audit
from tests.faults.service import Service, service
from tests.images.sound import qcow2
from tests.methods.artifacts import NAME, digest, kept, layer, manifest
from tests.methods.conftest import Source
from tests.methods.scripted import Reply, field, reply, scripted
from tests.serving.backing import on_sqlite
from tests.serving.servers import S3, server
from tests.stores.servers.bucket import Server, auditor

DISK = qcow2()
ONE = manifest(layer(DISK, "disk.qcow2"))
SECRET, TOKEN = "a-pulling-secret", "a.bearer.token"
BASIC = "Basic " + base64.b64encode(f"puller:{SECRET}".encode()).decode()
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "ours", "allow": "all", "for": {"projects": ["demo-gold"]}, "within": {"credentials": ["pull", "read"]}},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
)


@dataclass(frozen=True)
class Site:
    """A gateway, a bucket and a registry; `heard` are the answers that users got."""

    running: Service
    bucket: Server
    registry: Source
    replies: dict[str, Reply]
    users: dict[str, User]
    heard: list[bytes]

    def user(self, name: str = "gold") -> User:
        return self.users[name]

    def oci(self, reference: str = ":12", **more: str) -> dict[str, str]:
        return {"uri": f"oci://127.0.0.1:{self.registry.port}/{NAME}{reference}", **more}


def closed(found: Reply) -> Reply:
    """Only for who shows the operator's password."""
    denied = reply(status="401 Unauthorized", WWW_Authenticate='Basic realm="r"')
    assert isinstance(found, bytes)
    return lambda head: found if field(head, "Authorization") == BASIC else denied


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, replies, sources = tmp_path_factory.mktemp("gateway"), dict[str, Reply](), list[Source]()

    def start(answer: Any, host: str = "127.0.0.1", wrap: Any = None) -> Source:
        sources.append(Source(answer, host, wrap))
        return sources[-1]

    with ExitStack() as stack:
        bucket: Server = replace(server(S3), bucket="kept-sources")
        auditor(bucket).client.create_bucket(Bucket=bucket.bucket)
        registry = scripted(start, replies)
        stack.callback(registry.close)
        (home / "pull.secret").write_text(f"{SECRET}\n")
        settings = {
            "credentials": {
                "pull": {
                    "type": "basic", "username": "puller", "secret_file": "pull.secret", "plain_http": True,
                    "hosts": ["127.0.0.1"],
                },
                "read": {
                    "type": "s3", "access_key": bucket.access_key, "secret_key": bucket.secret_key,
                    "hosts": ["127.0.0.1"],
                },
            },
            "sources": {
                "near": {
                    "allowed_networks": ["127.0.0.0/8"], "ports": [registry.port], "plain_http": True,
                    "s3": {"endpoint": bucket.endpoint, "region": bucket.region},
                }
            },
            "fetch": {"dns_timeout": "100ms", "connect_timeout": "100ms"},
            "imports": {"retries": 0},
        }  # fmt: skip
        running = stack.enter_context(service(home, settings, RULES))
        heard: list[bytes] = []
        users = {name: stack.enter_context(listening(running, name, heard)) for name in ("gold", "silver")}
        yield Site(running, bucket, registry, replies, users, heard)


@contextmanager
def listening(running: Service, name: str, heard: list[bytes]) -> Iterator[User]:
    def hear(answer: httpx.Response) -> None:
        heard.append(answer.read() + str(answer.headers).encode())

    with running.user(name) as user:
        user.http.event_hooks = {"response": [hear]}
        yield user


def failed(site: Site, method: str, **said: str) -> str:
    """The code an import fails with; nothing of it is left."""
    user, before = site.user(), site.running.files()
    image = user.create(disk_format="qcow2")
    assert user.start(image, method, **said).status_code == 202
    task = user.ended(image)
    assert (task["status"], user.show(image)["status"]) == ("failure", "queued")
    assert task["remedy"]
    eventually(lambda: site.running.files() == before)
    return str(task["code"])


def imported(user: User, method: str, **said: str) -> str:
    image = user.create(disk_format="qcow2")
    answer = user.start(image, method, **said)
    assert answer.status_code == 202, answer.text
    user.reaches(image, "active")
    assert user.file(image).content == DISK
    return image


def test_an_object_of_a_bucket(site: Site) -> None:
    auditor(site.bucket).client.put_object(Bucket=site.bucket.bucket, Key="a b/disk+1.qcow2", Body=DISK)
    user, said = site.user(), {"uri": f"s3://{site.bucket.bucket}/a b/disk+1.qcow2", "credential": "read"}
    image = imported(user, "s3-download", **said)
    shown = user.task(image)["input"]["import_req"]["method"]
    assert shown == {"name": "s3-download", "source": "near", **said}
    assert failed(site, "s3-download", uri=f"s3://{site.bucket.bucket}/none", credential="read") == "source-missing"
    if S3 == "rgw":  # moto lets everybody in
        assert failed(site, "s3-download", uri=said["uri"]) == "source-forbidden"
    eventually(lambda: audit(site.running.place) == [])


def test_a_layer_of_an_artifact(site: Site) -> None:
    site.replies.update({path: closed(found) for path, found in kept(tag=ONE, blobs=(DISK,)).items()})
    user = site.user()
    image = imported(user, "oci-download", **site.oci(credential="pull"))
    reports = user.task(image)["stages"]
    assert any(digest(DISK).partition(":")[2] in json.dumps(report) for report in reports), reports
    imported(user, "oci-download", **site.oci(f"@{digest(ONE)}", credential="pull", title="disk.qcow2"))
    assert failed(site, "oci-download", **site.oci()) == "source-forbidden"
    eventually(lambda: audit(site.running.place) == [])


def test_a_web_download_with_a_credential(site: Site) -> None:
    site.replies["/disk.qcow2"] = closed(reply(DISK))
    url = f"http://127.0.0.1:{site.registry.port}/disk.qcow2"
    imported(site.user(), "web-download", uri=url, credential="pull")
    assert failed(site, "web-download", uri=url) == "source-failed"


@pytest.mark.parametrize("method", ["s3-download", "oci-download", "web-download"])
def test_who_is_granted_none_may_use_none(site: Site, method: str) -> None:
    uri = {"s3-download": "s3://images/a", "web-download": f"http://127.0.0.1:{site.registry.port}/disk.qcow2"}
    said = {"uri": uri.get(method, site.oci()["uri"])}
    user = site.user("silver")
    for name in ("pull", "read", "there-is-none"):
        answer = user.start(user.create(disk_format="qcow2"), method, **said, credential=name)
        assert (answer.status_code, user.error(answer)["reason"]) == (403, "not-granted")
        assert f"It asks for credential {name}." in user.error(answer)["message"]
    answer = site.user().start(site.user().create(disk_format="qcow2"), method, **said, credential="there-is-none")
    assert answer.status_code == 403


def test_discovery_and_the_schema_tell_the_names_alone(site: Site) -> None:
    offers = {name: site.user(name).http.get("/v2/info/import").json() for name in ("gold", "silver")}
    ways = {name: one["import-policy"]["value"]["methods"]["oci-download"]["within"] for name, one in offers.items()}
    assert ways == {"gold": [{"credentials": ["pull", "read"]}], "silver": [{}]}
    assert "s3-download" in offers["silver"]["import-methods"]["value"]
    schema = json.dumps(site.user().http.get("/v2/schemas/import").json())
    assert '"enum": ["pull", "read"]' in schema
    asked = {"method": {"name": "oci-download", **site.oci(credential="pull")}}
    answer = site.user("silver").http.post("/v2/info/import/what-if", json=asked).json()
    assert (answer["decision"], answer["smallest_change"]["change"]) == ("deny", {"credential": ""})
    assert "ask for no credential" in answer["smallest_change"]["message"]


HOSTILE = {
    "a layer that leads to metadata": ("blob", reply(status="302 Found", Location="http://169.254.169.254/latest/")),
    "a layer with other bytes": ("blob", reply(DISK[:-1] + b"x")),
    "a layer that is longer": ("blob", reply(DISK + b"x")),
    "a layer that ends early": ("blob", reply(DISK)[:-1]),
    "a manifest that never ends": ("manifest", reply(b" " * (5 << 20))),
    "a manifest of another digest": ("manifest", reply(ONE + b" ")),
    "tokens at metadata": (
        "manifest",
        reply(status="401 Unauthorized", WWW_Authenticate='Bearer realm="http://169.254.169.254/latest/api/token"'),
    ),
    "tokens at another host": (
        "manifest",
        reply(status="401 Unauthorized", WWW_Authenticate='Bearer realm="http://127.0.0.2/token"'),
    ),
}
CODES = ("source-unreachable", "checksum-mismatch", "source-size", "source-truncated", "bad-manifest")
CODES += ("digest-mismatch", "credential-misplaced", "credential-misplaced")


@pytest.mark.parametrize(("code", "what"), [*zip(CODES, HOSTILE.values(), strict=True)], ids=HOSTILE)
def test_a_hostile_registry(site: Site, code: str, what: tuple[str, bytes]) -> None:
    part, answer = what
    site.replies.clear()
    site.replies.update(kept(tag=ONE, blobs=(DISK,)))
    path = f"blobs/{digest(DISK)}" if part == "blob" else f"manifests/{digest(ONE)}"
    site.replies[f"/v2/{NAME}/{path}"] = answer
    heads = len(site.registry.heads)
    assert failed(site, "oci-download", **site.oci(f"@{digest(ONE)}", credential="pull")) == code
    assert not any(field(head, "Authorization") for head in site.registry.heads[heads:])


def test_the_command_line(site: Site) -> None:
    site.replies.update({path: closed(found) for path, found in kept(tag=ONE, blobs=(DISK,)).items()})
    login = {"IMPORT_GATEWAY_PASSWORD": PASSWORD}
    words = (
        "import",
        site.oci()["uri"],
        "--url",
        site.running.url,
        "--user",
        "gold",
        "--method-option",
        "title=disk.qcow2",
        "--quiet",
    )
    done = process(site.running.home, *words, "--credential", "pull", **login)
    assert done.returncode == 0, done.stderr
    assert site.user().file(done.stdout.strip()).content == DISK
    done = process(site.running.home, *words, "--credential", "other", **login)
    assert (done.returncode, "It asks for credential other" in done.stderr) == (1, True), done.stderr


@on_sqlite
def test_no_secret_is_kept_or_shown_anywhere(site: Site) -> None:
    """In no file but the operator's own two, and in no answer, after imports that went well and others that did not."""
    test_an_object_of_a_bucket(site)
    test_a_layer_of_an_artifact(site)
    test_a_web_download_with_a_credential(site)
    site.replies.clear()
    assert failed(site, "oci-download", **site.oci(credential="pull")) == "source-missing"
    secrets = [SECRET.encode(), BASIC.encode(), site.bucket.secret_key.encode(), b"X-Amz-Signature"]
    own = {site.running.home / "gateway.yaml", site.running.home / "pull.secret"}
    files = [path for path in site.running.home.rglob("*") if path.is_file() and path not in own]
    assert {"records.sqlite", "decisions.jsonl", "serve.log"} <= {path.name for path in files}
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []
    assert len(site.heard) > 20
    assert not any(secret in answer for answer in site.heard for secret in secrets)
    decisions = (site.running.data / "decisions.jsonl").read_text()
    assert '"request.credential":"pull"' in decisions.replace('": "', '":"')
