"""What imports are proven by, as callers meet it: a real service, a publisher's web server, keys made for the test."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.clients.site import User
from tests.faults.service import Service, service
from tests.images.sound import qcow2
from tests.tools import gnupg
from tests.tools.certified import Folder, properties
from tests.tools.gnupg import Publisher

DATA = qcow2()
NAME = "debian 12.qcow2"
LINE = f"{hashlib.sha256(DATA).hexdigest()}  {NAME}\n".encode()
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {
        "id": "expected",
        "require": "all",
        "for": {"projects": ["demo-silver"]},
        "stages": [{"checksum": {"required": True}}],
    },
    {
        "id": "signed",
        "require": "all",
        "for": {"projects": ["demo-stranger"]},
        "stages": [{"signature": {"trust": "release"}}],
    },
    {
        "id": "packed",
        "require": ["web-download"],
        "when": 'request.path.endsWith(".gz")',
        "stages": ["decompress"],
        "message": "Unpacked.",
    },
    {
        "id": "late",
        "require": ["web-download"],
        "when": 'request.path.endsWith(".gz") && content.size > 5',
        "stages": [{"checksum": {"algorithm": "sha1"}}],
        "message": "Hashed once more.",
    },
    {
        "id": "away",
        "deny": ["web-download"],
        "when": 'request.path.startsWith("/closed")',
        "message": "Not from there.",
    },
)


class Web:
    """A publisher's server: `files` are answered, `moved` are redirected."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        web = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                body = web.files.get(self.path.partition("?")[0])
                place = web.moved.get(self.path)
                self.send_response(302 if place else 404 if body is None else 200)
                if place:
                    self.send_header("Location", place)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture
def web(publishing: Web) -> Web:
    publishing.files = {"/debian%2012.qcow2": DATA, "/SHA256SUMS": LINE}
    publishing.moved = {}
    publishing.asked.clear()
    return publishing


@pytest.fixture(scope="module")
def publishing() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def signer() -> Iterator[Publisher | None]:
    if gnupg.GPG is None:
        yield None
        return
    with gnupg.publisher() as made:
        made.key("release")
        made.key("stranger")
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, publishing: Web, signer: Publisher | None, folder: Folder
) -> Iterator[Service]:
    home: Path = tmp_path_factory.mktemp("site")
    (home / "release.gpg").write_bytes(signer.keyring("release") if signer else b"")
    signature = {"keyrings": {"release": "release.gpg"}, "certificates": str(folder.path)}
    fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [publishing.server.server_port]}
    settings = {"fetch": fetch, "stages": {"signature": signature}, "imports": {"retries": 0}}
    with service(home, settings, RULES) as made:
        yield made


@pytest.fixture
def user(running: Service) -> Iterator[User]:
    with running.user("gold") as made:
        yield made


@pytest.fixture
def silver(running: Service) -> Iterator[User]:
    with running.user("silver") as made:
        yield made


@pytest.fixture
def stranger(running: Service) -> Iterator[User]:
    with running.user("stranger") as made:
        yield made


def download(user: User, web: Web, **given: str) -> str:
    image = user.create(disk_format="qcow2", os_distro="debian", **given)
    user.start(image, "web-download", uri=web.url("/debian%2012.qcow2?token=1")).raise_for_status()
    return image


def failure(user: User, image: str) -> str:
    task = user.ended(image)
    assert task["status"] == "failure"
    assert user.show(image)["status"] == "queued"
    return str(task["message"])


def test_a_checksum_file_proves_the_image_and_leaves_nothing_behind(user: User, web: Web) -> None:
    image = download(user, web, import_checksum_url=web.url("/SHA256SUMS"))
    task = user.ended(image)
    assert task["status"] == "success", str(task)
    found = user.show(image)
    assert (found["status"], found["os_distro"]) == ("active", "debian")
    assert not [name for name in found if name.startswith("import_")]
    assert web.asked == ["/SHA256SUMS", "/debian%2012.qcow2?token=1"], "the sums are read first"


@pytest.mark.parametrize(
    ("sums", "said"),
    [
        (LINE.replace(LINE[:4], b"0000"), "was expected"),
        (LINE + LINE, "2 lines"),
        (LINE.replace(b"debian", b"ubuntu"), "no line for debian 12.qcow2"),
        (b"<html></html>", "cannot be read"),
        (b"# " + b"x" * (1 << 20) + b"\n" + LINE, "more than 1048576 bytes"),
        (None, "404"),
    ],
)
def test_a_checksum_file_that_does_not_say_so_fails_the_import(
    user: User, web: Web, sums: bytes | None, said: str
) -> None:
    web.files.pop("/SHA256SUMS")
    web.files |= {"/SHA256SUMS": sums} if sums is not None else {}
    assert said in failure(user, download(user, web, import_checksum_url=web.url("/SHA256SUMS")))


def test_a_redirected_checksum_file_is_followed_where_the_policy_lets_it(user: User, web: Web) -> None:
    web.moved["/SHA256SUMS"] = "/new/SHA256SUMS"
    web.files["/new/SHA256SUMS"] = LINE
    image = download(user, web, import_checksum_url=web.url("/SHA256SUMS"))
    assert user.ended(image)["status"] == "success"
    web.moved["/SHA256SUMS"] = "/closed/SHA256SUMS"
    web.files["/closed/SHA256SUMS"] = LINE
    web.asked.clear()
    assert "Not from there." in failure(user, download(user, web, import_checksum_url=web.url("/SHA256SUMS")))
    assert web.asked == ["/SHA256SUMS"]


def test_expectations_of_packed_bytes_hold_where_a_policy_asks_for_more_once_they_are_unpacked(
    user: User, web: Web
) -> None:
    packed = gzip.compress(DATA)
    web.files["/disk.gz"] = packed
    for body, status in ((packed, "success"), (DATA, "failure")):
        web.files["/SHA256SUMS"] = f"{hashlib.sha256(body).hexdigest()}  disk.gz".encode()
        image = user.create(disk_format="qcow2", import_checksum_url=web.url("/SHA256SUMS"))
        user.start(image, "web-download", uri=web.url("/disk.gz")).raise_for_status()
        task = user.ended(image)
        assert task["status"] == status, task["message"]
        assert {"algorithm": "sha1"} in [one["options"] for one in task["stages"]] or status == "failure"


def test_where_a_checksum_file_may_be_is_told_at_once(user: User, web: Web) -> None:
    for url, status, said in (
        (web.url("/closed/SHA256SUMS"), 403, "Not from there."),
        ("ftp://example.org/SHA256SUMS", 400, "http"),
        ("http://127.0.0.1:9/SHA256SUMS", 400, "port 9"),
    ):
        image = user.create(disk_format="qcow2", import_checksum_url=url)
        answer = user.start(image, "web-download", uri=web.url("/debian%2012.qcow2"))
        assert (answer.status_code, said in user.error(answer)["message"]) == (status, True)
        assert user.show(image)["status"] == "queued"
    assert web.asked == []


def test_a_digest_of_the_owners_own_is_held_to_on_every_way(user: User, web: Web) -> None:
    right, wrong = hashlib.sha512(DATA).hexdigest(), hashlib.sha512(b"").hexdigest()
    assert user.ended(download(user, web, import_expected_sha512=right))["status"] == "success"
    assert "was expected" in failure(user, download(user, web, import_expected_sha512=wrong))
    for way in (user.stage, user.save):
        image = user.create(disk_format="qcow2", import_expected_sha512=wrong)
        answer = way(image, DATA)
        assert (answer.status_code, user.show(image)["status"]) == (415, "queued")
        image = user.create(disk_format="qcow2", import_expected_sha512=right)
        assert way(image, DATA).status_code == 204


def test_an_expectation_that_comes_after_the_bytes_is_held_to_as_well(user: User) -> None:
    for digest, status in ((hashlib.sha256(DATA).hexdigest(), "success"), ("0" * 64, "failure")):
        image = user.create(disk_format="qcow2")
        user.stage(image, DATA).raise_for_status()
        patch = [{"op": "add", "path": "/import_expected_sha256", "value": digest}]
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        user.http.patch(f"/v2/images/{image}", json=patch, headers=kind).raise_for_status()
        user.start(image).raise_for_status()
        assert user.ended(image)["status"] == status


def test_a_demanded_digest_is_asked_for_before_a_byte_is_fetched_and_discovery_says_so(silver: User, web: Web) -> None:
    offered = silver.http.get("/v2/info/import").json()["import-policy"]["value"]["methods"]
    assert any("import_expected_sha256" in text for text in offered["web-download"]["refused_when"])
    image = silver.create(disk_format="qcow2")
    answer = silver.start(image, "web-download", uri=web.url("/debian%2012.qcow2"))
    assert answer.status_code == 400
    assert "import_expected_sha256" in str(answer.json())
    for way in (silver.stage, silver.save):
        assert way(image, DATA).status_code == 400
    assert (silver.show(image)["status"], web.asked) == ("queued", [])
    assert silver.ended(download(silver, web, import_checksum_url=web.url("/SHA256SUMS")))["status"] == "success"


def test_a_checksum_file_is_for_downloads_alone(user: User, web: Web) -> None:
    image = user.create(disk_format="qcow2", import_checksum_url=web.url("/SHA256SUMS"))
    assert user.stage(image, DATA).status_code == 400
    lonely = user.create(disk_format="qcow2", import_signature_url=web.url("/SHA256SUMS.gpg"))
    assert user.start(lonely, "web-download", uri=web.url("/debian%2012.qcow2")).status_code == 400


@gnupg.needed
def test_what_a_trusted_publisher_signed_is_taken_and_nothing_else(stranger: User, web: Web, signer: Publisher) -> None:
    offered = stranger.http.get("/v2/info/import").json()["import-policy"]["value"]["methods"]
    assert any("'release'" in text for text in offered["web-download"]["refused_when"])
    urls = {"import_checksum_url": web.url("/SHA256SUMS"), "import_signature_url": web.url("/SHA256SUMS.gpg")}
    web.files["/SHA256SUMS.gpg"] = signer.detached(LINE, "release")
    assert stranger.ended(download(stranger, web, **urls))["status"] == "success"
    web.files["/SHA256SUMS.gpg"] = signer.detached(LINE, "stranger")
    assert "no valid signature" in failure(stranger, download(stranger, web, **urls))
    web.files |= {"/SHA256SUMS": signer.clearsigned(LINE, "release")}
    image = download(stranger, web, import_checksum_url=urls["import_checksum_url"])
    assert stranger.ended(image)["status"] == "success"
    bare = stranger.create(disk_format="qcow2")
    assert stranger.start(bare, "web-download", uri=web.url("/debian%2012.qcow2")).status_code == 400


def test_an_openstack_signature_is_checked_on_the_way_in(user: User, folder: Folder) -> None:
    given = properties("RSA-PSS", "SHA-256", DATA, folder.add("RSA-PSS"))
    image = user.create(disk_format="qcow2", **given)
    user.save(image, DATA).raise_for_status()
    found = user.show(image)
    assert (found["status"], found["img_signature"]) == ("active", given["img_signature"]), "compute checks it again"
    other = user.create(disk_format="qcow2", **given)
    assert user.save(other, DATA + bytes(512)).status_code == 415
    assert user.show(other)["status"] == "queued"


def test_keys_a_site_does_not_have_withhold_the_methods_that_need_them(tmp_path: Path) -> None:
    rules = [*RULES[:2], {"id": "s", "require": "all", "stages": [{"signature": {"trust": "nobody"}}]}]
    settings = {"stages": {"signature": {"keyrings": {"other": "other.gpg"}}}}
    with service(tmp_path, settings, rules) as site, site.user() as user:
        answer = user.http.get("/v2/info/import").json()
        withheld = answer["import-policy"]["value"]["withheld"]
        assert answer["import-methods"]["value"] == []
        assert {one["reason"] for one in withheld.values()} == {"stage-unavailable"}
