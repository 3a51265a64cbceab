"""`import-gateway methods` and `import-gateway import` against the real service, as a user sees them."""

from __future__ import annotations

import hashlib
import json
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import cli, environment, process, unignored
from tests.cli.service import Gateway, eventually, gateway, settings_for, web
from tests.serving.process import LONGEST

QCOW2 = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 20, 0, 1, 65536, 131072, 1, 0, 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    (home / "web").mkdir()
    with web(home / "web") as port:
        yield port


@pytest.fixture(scope="module")
def url(home: Path, port: int) -> Iterator[str]:
    with gateway(home, "--config", str(settings_for(home, port)), "--data", "kept") as url:
        yield url


@pytest.fixture
def gold(url: str) -> Iterator[Gateway]:
    service = Gateway(url, "gold")
    with service.http:
        yield service
        for image in service.images():
            service.http.delete(f"/v2/images/{image['id']}")


@pytest.fixture
def stranger(url: str) -> Iterator[Gateway]:
    service = Gateway(url, "stranger")
    with service.http:
        yield service


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk of 3 MiB and a bit."""
    file = tmp_path / "disk.raw"
    file.write_bytes(b"".join(hashlib.sha256(bytes([number])).digest() * 4096 for number in range(25)))
    return file


@pytest.fixture
def backed(tmp_path: Path) -> Path:
    """A qcow2 that says its content is partly in another file."""
    header = bytearray(QCOW2.ljust(262144, b"\0"))
    header[8:20] = struct.pack(">QI", 512, 11)
    header[512:523] = b"/etc/passwd"
    file = tmp_path / "backed.qcow2"
    file.write_bytes(header)
    return file


def test_methods_tells_what_and_why_not(home: Path, stranger: Gateway) -> None:
    done = cli(home, "methods", *stranger.options())
    assert (done.returncode, done.stderr) == (0, "")
    offered, withheld = done.stdout.split("Not offered")
    assert "at most 1MiB" in offered
    assert "inspect" in offered
    assert "No web." in withheld
    assert "(denied)" in withheld


def test_methods_as_json_is_the_services_own_document(home: Path, gold: Gateway) -> None:
    done = cli(home, "methods", "--json", *gold.options())
    assert json.loads(done.stdout) == gold.http.get("/v2/info/import").json()


def test_a_file_becomes_an_active_image_with_the_same_bytes(home: Path, gold: Gateway, disk: Path) -> None:
    options = ("--property", "os_distro=debian", "--property", "note=a=b", "--visibility", "private", "--name", "mine")
    done = process(home, "import", str(disk), *options, *gold.options())
    assert done.returncode == 0, done.stderr
    (image,) = gold.images()
    wanted = {"status": "active", "name": "mine", "os_distro": "debian", "note": "a=b", "visibility": "private"}
    assert {key: image[key] for key in wanted} == wanted
    assert gold.http.get(f"/v2/images/{image['id']}/file").content == disk.read_bytes()
    assert f"Image {image['id']} (mine) is active: 3.1MiB, raw." in done.stdout
    assert "is the same here and there" in done.stdout
    assert "inspect" in done.stdout
    assert "passed" in done.stdout
    assert "uploading" in done.stderr
    assert "100%" in done.stderr


def test_quiet_prints_the_id_alone(home: Path, gold: Gateway, disk: Path) -> None:
    done = cli(home, "import", "-q", str(disk), *gold.options())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == gold.images()[0]["id"]


def test_json_holds_image_task_and_hash(home: Path, gold: Gateway, disk: Path) -> None:
    done = cli(home, "import", "--json", str(disk), *gold.options())
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["image"]["status"] == "active"
    assert said["task"]["status"] == "success"
    assert said["file"] == {"hash_algo": "sha512", "hash_value": hashlib.sha512(disk.read_bytes()).hexdigest()}
    assert said["identical"] is True


def test_an_empty_file_is_an_image_or_a_clear_refusal(home: Path, gold: Gateway, tmp_path: Path) -> None:
    (tmp_path / "empty.raw").touch()
    done = cli(home, "import", str(tmp_path / "empty.raw"), *gold.options())
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr


def test_a_url_is_fetched_by_the_service(home: Path, gold: Gateway, port: int, disk: Path) -> None:
    (home / "web" / "disk.raw").write_bytes(disk.read_bytes())
    done = cli(home, "import", f"http://127.0.0.1:{port}/disk.raw", *gold.options())
    assert done.returncode == 0, done.stderr
    (image,) = gold.images()
    assert (image["name"], image["disk_format"]) == ("disk.raw", "raw")
    assert image["os_hash_value"] == hashlib.sha512(disk.read_bytes()).hexdigest()


def test_a_source_that_fails_ends_with_its_reason_and_leaves_nothing(home: Path, gold: Gateway, port: int) -> None:
    done = cli(home, "import", f"http://127.0.0.1:{port}/none.qcow2?token=s3cret", *gold.options())
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "404" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert gold.images() == []


def test_refused_content_says_what_and_what_to_do_and_leaves_nothing(home: Path, gold: Gateway, backed: Path) -> None:
    done = cli(home, "import", str(backed), *gold.options())
    assert done.returncode == 1
    assert "backing file" in done.stderr
    assert "qemu-img convert" in done.stderr
    assert "deleted again" in done.stderr
    assert gold.images() == []


def test_refused_content_as_json_for_scripts(home: Path, gold: Gateway, backed: Path) -> None:
    done = cli(home, "import", "--json", str(backed), *gold.options())
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "backing-file"
    assert error["remedy"]


def test_kept_on_request(home: Path, gold: Gateway, backed: Path) -> None:
    done = cli(home, "import", "--keep", str(backed), *gold.options())
    assert done.returncode == 1
    (image,) = gold.images()
    assert image["status"] == "queued"
    assert f"Image {image['id']} is kept." in done.stderr


def test_what_discovery_rules_out_is_refused_before_a_record_exists(
    home: Path, stranger: Gateway, disk: Path, port: int
) -> None:
    for source, said in ((str(disk), "at most 1MiB"), (f"http://127.0.0.1:{port}/disk.raw", "No web.")):
        done = cli(home, "import", source, *stranger.options())
        assert done.returncode == 1
        assert said in done.stderr
        assert "uploading" not in done.stderr
    assert stranger.images() == []


@pytest.mark.parametrize("method", ["copy-image", "zork"])
def test_a_method_the_service_lacks_is_refused_by_name(home: Path, gold: Gateway, disk: Path, method: str) -> None:
    done = cli(home, "import", f"http://127.0.0.1/{disk.name}", "--method", method, *gold.options())
    assert done.returncode == 1
    assert method in done.stderr
    assert gold.images() == []


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_upload_leaves_nothing_unless_kept(
    home: Path, gold: Gateway, tmp_path: Path, number: signal.Signals, keep: bool
) -> None:
    huge = tmp_path / "huge.raw"
    with huge.open("wb") as file:
        file.truncate(30 << 30)
    command = [sys.executable, "-m", "gateway", "import", str(huge), *gold.options(), *(["--keep"] if keep else [])]
    with subprocess.Popen(
        command,
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=unignored,  # noqa: PLW1509 - it only sets a signal
    ) as running:
        eventually(lambda: [image for image in gold.images() if image["status"] == "uploading"])
        running.send_signal(number)
        _, said = running.communicate(timeout=LONGEST)
    assert running.returncode == 130
    assert "Stopped." in said
    assert "Traceback" not in said
    left = gold.images()
    assert len(left) == keep
    if keep:
        assert left[0]["status"] == "uploading"
        assert "the same command goes on with it" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "missing.raw"),
        ("import", "."),
        ("import", "ftp://host/disk.raw"),
        ("import", "http://host:port/disk.raw"),
        ("import", "http:///disk.raw"),
        ("import", "https://host/cloudimg.img"),
        ("import", "https://host/disk.raw", "--property", "novalue"),
        ("import", "kept/demo.htpasswd", "--method", "web-download"),
        ("methods", "extra"),
    ],
)
def test_wrong_use_is_exit_code_2(home: Path, gold: Gateway, arguments: tuple[str, ...]) -> None:
    done = cli(home, *arguments, *gold.options())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert gold.images() == []


def test_wrong_credentials_are_said(home: Path, url: str) -> None:
    done = cli(home, "methods", "--url", url, "--user", "gold", "--password", "nonesuch")
    assert done.returncode == 1
    assert "nonesuch" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
