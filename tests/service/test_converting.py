"""convert and the second opinion as users and operators meet them: the whole service with a real qemu-img."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha512
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.cli.service import eventually, web
from tests.clients.site import User
from tests.faults.audit import Records
from tests.faults.scenes import sound
from tests.faults.service import Service, service
from tests.images.archives import ova
from tests.images.made import converted
from tests.images.sound import MIB, iso, qcow2
from tests.serving.rows import rows
from tests.tools.sandboxed import needs_converter, script

pytestmark = needs_converter

CAP = "16MiB"
SETTINGS = {
    "imports": {"retries": 0, "progress_interval": "50ms", "reaper_interval": "10m"},
    "server": {"shutdown_timeout": "1s"},
}


def rule(project: str, *stages: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": project, "require": "all", "for": {"projects": [f"demo-{project}"]}, "stages": list(stages)}


RULES: Sequence[Mapping[str, Any]] = (
    {"id": "everything", "allow": "all"},
    {"id": "cap", "limit": "all", "within": {"max_size": CAP}},
    rule("gold", {"convert": {"target": "raw"}}),
    rule("silver", {"convert": {"target": "qcow2", "compress": True}}),
    rule("stranger", {"inspect": {"second_opinion": "qemu-img"}}),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("site"), SETTINGS, RULES) as site:
        yield site


@pytest.fixture
def user(site: Service) -> Iterator[dict[str, User]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(site.user(name)) for name in ("gold", "silver", "stranger", "admin")}


def disk(folder: Path, disk_format: str = "vmdk", options: str = "") -> bytes:
    folder.mkdir(exist_ok=True)
    return converted(folder, disk_format, options).read_bytes()


def imported(user: User, content: bytes, disk_format: str, **more: Any) -> tuple[str, dict[str, Any]]:
    image = user.create(disk_format=disk_format, **more)
    user.stage(image, content).raise_for_status()
    user.start(image).raise_for_status()
    return image, user.ended(image)


def stage(task: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [stage for stage in task["stages"] if stage["name"] == name]
    return dict(found)


def codes(task: Mapping[str, Any], name: str) -> list[str]:
    return [finding["code"] for finding in stage(task, name)["findings"]]


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "ploop"])
def test_the_image_becomes_what_the_policy_wants(
    site: Service, user: dict[str, User], tmp_path: Path, disk_format: str
) -> None:
    content = disk(tmp_path, disk_format)
    plain = disk(tmp_path / "plain", "raw")
    gold = user["gold"]
    image, task = imported(gold, content, disk_format)
    assert task["status"] == "success", task["message"]
    shown, sent = gold.show(image), gold.file(image).content
    assert (shown["status"], shown["disk_format"]) == ("active", "raw")
    assert sent.rstrip(b"\0") == plain.rstrip(b"\0")
    assert (shown["size"], shown["virtual_size"]) == (len(sent), len(sent))
    assert shown["os_hash_value"] == sha512(sent).hexdigest()
    report = stage(task, "convert")
    assert (report["verdict"], report["bytes"], report["options"]) == ("passed", len(content), {"target": "raw"})
    said = " ".join(finding["message"] for finding in report["findings"])
    assert f"made raw of {disk_format}: {len(content)} bytes became {len(sent)}" in said
    assert sha512(content).hexdigest() in said
    eventually(lambda: len(Records(site.place).of(image)) == 1)
    sound(site)


def test_a_conversion_brings_inspect_with_it(user: dict[str, User], tmp_path: Path) -> None:
    _, task = imported(user["gold"], disk(tmp_path), "vmdk")
    assert [one["name"] for one in task["stages"]] == ["inspect", "convert"]
    assert stage(task, "inspect")["verdict"] == "passed"


def test_what_is_wanted_compressed_is_compressed(user: dict[str, User], tmp_path: Path) -> None:
    content = bytes(3 * MIB) + b"words again and again. " * 200_000
    image, task = imported(user["silver"], content + bytes(-len(content) % 512), "raw")
    assert task["status"] == "success", task["message"]
    shown = user["silver"].show(image)
    assert shown["disk_format"] == "qcow2"
    assert shown["size"] < MIB


def test_what_has_the_format_already_is_left_alone(user: dict[str, User]) -> None:
    image, task = imported(user["silver"], qcow2(), "qcow2")
    assert codes(task, "convert") == ["nothing-to-do"]
    assert user["silver"].file(image).content == qcow2()


def test_an_iso_stays_an_iso(user: dict[str, User]) -> None:
    image, task = imported(user["silver"], iso(), "iso")
    assert codes(task, "convert") == ["not-converted"]
    assert user["silver"].show(image)["disk_format"] == "iso"
    assert user["silver"].file(image).content == iso()


def test_an_archive_is_refused_by_name(user: dict[str, User]) -> None:
    image, task = imported(user["gold"], ova(), "vmdk", container_format="ova")
    assert task["status"] == "failure"
    assert codes(task, "convert") == ["not-convertible"]
    assert "plain disk" in task["message"] or "cannot be" in task["message"]
    assert user["gold"].show(image)["status"] == "queued"


def test_a_disk_that_would_be_too_large_is_refused_before_any_work(site: Service, user: dict[str, User]) -> None:
    gold = user["gold"]
    image, task = imported(gold, qcow2(64 * MIB), "qcow2")
    assert task["status"] == "failure"
    assert codes(task, "convert") == ["over-limit"]
    assert f"{64 * MIB} bytes" in task["message"]
    assert (gold.show(image)["status"], gold.show(image)["disk_format"]) == ("queued", "qcow2")
    eventually(lambda: not Records(site.place).of(image))
    sound(site)


def test_a_result_that_is_too_large_is_refused(site: Service, user: dict[str, User]) -> None:
    """Within its limit as it comes, beyond it as qcow2."""
    content = Random(1).randbytes(16 * MIB)
    image, task = imported(user["silver"], content, "raw")
    assert task["status"] == "failure"
    assert codes(task, "convert") == ["over-limit"]
    assert user["silver"].show(image)["status"] == "queued"
    eventually(lambda: not Records(site.place).of(image))


def test_an_upload_is_told_to_stage(user: dict[str, User]) -> None:
    answer = user["gold"].save(user["gold"].create(disk_format="qcow2"), qcow2())
    assert answer.status_code == 409
    assert "the stage 'convert'" in user["gold"].error(answer)["message"]


def test_hostile_bytes_never_come_to_a_conversion(user: dict[str, User]) -> None:
    gold = user["gold"]
    answer = gold.stage(gold.create(disk_format="vmdk"), qcow2())
    assert answer.status_code == 415


def test_a_second_opinion_is_on_record(user: dict[str, User], tmp_path: Path) -> None:
    stranger = user["stranger"]
    image, task = imported(stranger, disk(tmp_path, "vhdx"), "vhdx")
    assert task["status"] == "success", task["message"]
    assert "sees the same: vhdx" in stage(task, "second-opinion")["findings"][0]["message"]
    assert stranger.show(image)["disk_format"] == "vhdx"
    _, task = imported(stranger, ova(), "vmdk", container_format="ova")
    assert "no word" in stage(task, "second-opinion")["findings"][0]["message"]


def test_an_upload_is_looked_at_twice_as_well(user: dict[str, User]) -> None:
    stranger = user["stranger"]
    image = stranger.create(disk_format="qcow2")
    stranger.save(image, qcow2()).raise_for_status()
    assert stranger.show(image)["status"] == "active"


def faked(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """bwrap as the service finds it: a script that has the real one in $REAL."""
    real = shutil.which("bwrap")
    script(folder, f"REAL={real}\n{text}")
    (folder / "wrapper").rename(folder / "bwrap")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


VERSION = 'case "$*" in *--version*) exec $REAL "$@";; esac'


def test_another_opinion_refuses_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(tmp_path, monkeypatch, f"{VERSION}\necho '{{\"virtual-size\": 512}}'")
    with service(tmp_path, SETTINGS, RULES) as site, site.user("stranger") as stranger:
        image = stranger.create(disk_format="qcow2")
        answer = stranger.save(image, qcow2())
        assert answer.status_code == 415
        assert "sees a disk of 512 bytes" in stranger.error(answer)["message"]
        assert stranger.show(image)["status"] == "queued"
        with site.user("gold") as gold:
            _, task = imported(gold, qcow2(), "qcow2")
            assert codes(task, "convert") == ["second-opinion"]


@pytest.mark.parametrize(
    "text", ["exec /bin/sleep 60", "echo nonsense", "while echo y; do :; done", "exit 1", "kill -9 $$"]
)
def test_a_tool_that_fails_fails_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    faked(tmp_path, monkeypatch, f'{VERSION}\ncase "$*" in *" info "*) exec $REAL "$@";; esac\n{text}')
    settings = {**SETTINGS, "stages": {"convert": {"timeout": "1s"}}}
    with service(tmp_path, settings, RULES) as site, site.user("gold") as gold:
        image, task = imported(gold, qcow2(), "qcow2")
        assert task["status"] == "failure"
        assert codes(task, "convert")[0] in {"stage-unavailable", "unreadable"}
        assert gold.show(image)["status"] == "queued"
        eventually(lambda: not Records(site.place).of(image))
        assert not list((site.data / "spool").iterdir())


def test_a_machine_without_namespaces_withholds_what_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(tmp_path, monkeypatch, "echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    with service(tmp_path, SETTINGS, RULES) as site:
        for name, offered in (("gold", False), ("stranger", False), ("admin", True)):
            with site.user(name) as one:
                found = one.http.get("/v2/info/import").raise_for_status().json()["import-methods"]["value"]
                assert ("glance-direct" in found) == offered, name
        log = (tmp_path / "serve.log").read_text()
        assert log.count("No permissions to create new namespace") == 1


def slow(size: int = 32) -> bytes:
    """Mebibytes that take some seconds to compress."""
    return Random(2).randbytes(MIB) * size


BIG = ({"id": "everything", "allow": "all"}, rule("silver", {"convert": {"target": "qcow2", "compress": True}}))


def at_work(user: User, image: str, site: Service) -> None:
    """Until qemu-img has written something."""
    eventually(lambda: any(path.stat().st_size for path in made(site)))
    assert user.task(image)["status"] == "processing"


def made(site: Service) -> list[Path]:
    return list((site.data / "spool").glob("room-*/made/*"))


def converters(site: Service) -> list[str]:
    """The processes that work in the service's spool."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "qemu-img" in words and str(site.data) in words:
            found.append(words)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_stop_it_starts_anew_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    content = slow()
    with service(tmp_path, SETTINGS, BIG) as site:
        with site.user("silver") as silver:
            image = silver.create(disk_format="raw")
            silver.stage(image, content).raise_for_status()
            silver.start(image).raise_for_status()
            at_work(silver, image, site)
            assert converters(site)
            eventually(lambda: len(content) < silver.task(image)["progress"]["bytes"])
        site.signal(number)
        site.wait()
        eventually(lambda: not converters(site))
        assert bool(made(site)) == (number is signal.SIGKILL)
        site.start()
        with site.user("silver") as silver:
            task = silver.ended(image, 120)
            assert task["status"] == "success", task["message"]
            shown = silver.show(image)
            assert shown["disk_format"] == "qcow2"
            assert shown["virtual_size"] == len(content)
            assert shown["os_hash_value"] == sha512(silver.file(image).content).hexdigest()
        eventually(lambda: len(site.files()) == 1)
        assert not list((site.data / "spool").iterdir())
        sound(site)


def test_an_image_deleted_meanwhile_ends_the_conversion(tmp_path: Path) -> None:
    with service(tmp_path, SETTINGS, BIG) as site, site.user("silver") as silver:
        image = silver.create(disk_format="raw")
        silver.stage(image, slow(256)).raise_for_status()
        silver.start(image).raise_for_status()
        at_work(silver, image, site)
        silver.http.delete(f"/v2/images/{image}").raise_for_status()
        eventually(lambda: not converters(site))
        eventually(lambda: not site.files())
        eventually(lambda: not list((site.data / "spool").iterdir()))
        sound(site)


def test_what_was_converted_is_not_converted_again(tmp_path: Path) -> None:
    """The second store fails at first: the next try finds the result of the conversion."""
    stores = [{"name": "local", "default": True}, {"name": "other", "path": str(tmp_path / "other")}]
    imports = {**SETTINGS["imports"], "retries": 5}
    with service(tmp_path, {**SETTINGS, "stores": stores, "imports": imports}, RULES) as site, site.user() as gold:
        shutil.rmtree(tmp_path / "other")
        (tmp_path / "other").write_text("no folder")
        image = gold.create(disk_format="qcow2")
        gold.stage(image, qcow2()).raise_for_status()
        body = {"method": {"name": "glance-direct"}, "stores": ["local", "other"]}
        gold.http.post(f"/v2/images/{image}/import", json=body).raise_for_status()
        eventually(lambda: attempts(site, image) > 1)
        (first,) = converted_blobs(site, image)
        (tmp_path / "other").unlink()
        (tmp_path / "other").mkdir()
        task = gold.ended(image)
        assert task["status"] == "success", task["message"]
        assert codes(task, "convert")[0] == "converted"
        assert gold.show(image)["disk_format"] == "raw"
        assert gold.show(image)["stores"] == "local,other"
        assert gold.file(image).content == bytes(MIB)
        assert first in converted_blobs(site, image)


def attempts(site: Service, image: str) -> int:
    (found,) = rows(site.place.database, "SELECT attempt FROM imports WHERE image_id = :image", image=image)
    return int(found["attempt"])


def converted_blobs(site: Service, image: str) -> list[str]:
    return [row["id"] for row in Records(site.place).of(image) if "made_of" in str(row["verdict"])]


def test_bytes_that_stay_elsewhere_are_looked_at_twice_and_never_converted(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "disk").write_bytes(disk(tmp_path / "made", "qcow2"))
    stores = [{"name": "local", "default": True}, {"name": "web", "type": "http"}]
    with web(tmp_path / "www") as port:
        fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [port]}
        with service(tmp_path, {**SETTINGS, "stores": stores, "fetch": fetch}, RULES) as site:
            for name, ended in (("stranger", "success"), ("gold", "failure")):
                with site.user(name) as user:
                    image = user.create(disk_format="qcow2")
                    place = {"url": f"http://127.0.0.1:{port}/disk"}
                    user.http.post(f"/v2/images/{image}/locations", json=place).raise_for_status()
                    task = user.ended(image)
                    assert task["status"] == ended, task["message"]
                    if ended == "success":
                        assert "sees the same: qcow2" in stage(task, "second-opinion")["findings"][0]["message"]
                    else:
                        assert codes(task, "convert") == ["bytes-changed"]
            assert not list((site.data / "spool").iterdir())
