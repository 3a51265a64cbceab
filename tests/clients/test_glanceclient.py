"""python-glanceclient's own program against the running service.

It knows tokens and Keystone only; a login in the service's URL makes it speak HTTP basic.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.site import NO_UPLOADS, PASSWORD, Site, User, program, relayed

FORMATS = ("--disk-format", "raw", "--container-format", "bare")


def glance(site: Site, *words: str, user: str = "gold", url: str = "") -> subprocess.CompletedProcess[str]:
    address = (url or site.url).replace("http://", f"http://{user}:{PASSWORD}@")
    done = program(site, "glance", "--os-image-url", address, "--os-auth-token", "none", *words)
    assert "Traceback" not in done.stderr
    assert "has no attribute" not in done.stderr
    return done


def made(done: subprocess.CompletedProcess[str]) -> str:
    """The id in the table of a new image."""
    assert done.returncode == 0, done.stderr
    found = re.search(r"\| id +\| (\S+)", done.stdout)
    assert found, done.stdout
    return found[1]


def test_import_info_shows_the_callers_own_methods_and_terms(site: Site) -> None:
    done = glance(site, "import-info", user="silver")
    assert done.returncode == 0
    document = re.sub(r"[\s|]", "", done.stdout)  # the client wraps it into a table
    assert '"value":["oci-download","web-download"]' in document
    assert NO_UPLOADS.replace(" ", "") in document


def test_a_file_is_imported_and_downloaded_again(site: Site, gold: User, disk: Path) -> None:
    method = ("--import-method", "glance-direct")
    image = made(glance(site, "image-create-via-import", "--file", str(disk), "--name", "gc", *FORMATS, *method))
    gold.reaches(image, "active")
    done = glance(site, "image-download", "--file", "gc.raw", image)
    assert done.returncode == 0, done.stderr
    assert (site.home / "gc.raw").read_bytes() == disk.read_bytes()


def test_an_image_is_fetched_from_the_web(site: Site, gold: User, disk: Path) -> None:
    options = ("--import-method", "web-download", "--uri", f"{site.sources}/{disk.name}")
    image = made(glance(site, "image-create-via-import", "--name", "gc web", *FORMATS, *options))
    assert gold.reaches(image, "active")["size"] == disk.stat().st_size


def test_an_upload_and_the_steps_one_by_one(site: Site, gold: User, disk: Path) -> None:
    image = gold.create(name="gc upload")
    assert glance(site, "image-upload", "--file", str(disk), image).returncode == 0
    assert gold.show(image)["status"] == "active"
    image = gold.create(name="gc steps")
    assert glance(site, "image-stage", "--file", str(disk), image).returncode == 0
    assert gold.show(image)["status"] == "uploading"
    assert glance(site, "image-import", "--import-method", "glance-direct", image).returncode == 0
    gold.reaches(image, "active")


def test_stores_and_tasks_are_shown(site: Site, gold: User, disk: Path) -> None:
    done = glance(site, "stores-info")
    assert done.returncode == 0
    assert '"local"' in done.stdout
    image = gold.create(name="gc tasks")
    gold.start(image, "web-download", uri=f"{site.sources}/{disk.name}").raise_for_status()
    gold.reaches(image, "active")
    done = glance(site, "image-tasks", image)
    assert done.returncode == 0, done.stderr
    assert "success" in done.stdout


@pytest.mark.parametrize(
    ("user", "method", "options"),
    [
        ("silver", "glance-direct", ("--file", "gateway.yaml")),
        ("stranger", "web-download", ("--uri", "https://cloud.example/disk.raw")),
    ],
)
def test_a_withheld_method_is_refused_by_the_client_before_any_upload(
    site: Site, user: str, method: str, options: tuple[str, str]
) -> None:
    with relayed(site.url) as relay:
        words = ("image-create-via-import", "--import-method", method, *options, *FORMATS)
        done = glance(site, *words, user=user, url=relay.url)
    assert done.returncode == 1
    assert f"Import method '{method}' is not valid for this cloud" in done.stderr
    assert "GET /v2/info/import" in relay.requests
    assert not [line for line in relay.requests if not line.startswith("GET")]


def test_refusals_reach_the_user_in_words(site: Site, gold: User, disk: Path) -> None:
    refused = glance(site, "image-create", "--name", "gc no", "--file", str(disk), *FORMATS, user="silver")
    assert refused.returncode == 1
    assert NO_UPLOADS in refused.stderr
    image = gold.create(name="gc qcow2", disk_format="qcow2")
    wrong = glance(site, "image-upload", "--file", str(disk), image)
    assert wrong.returncode == 1
    assert "qcow2" in wrong.stderr
    assert "convert it" in wrong.stderr
    early = glance(site, "image-import", "--import-method", "glance-direct", image)
    assert early.returncode == 1
    assert "glance-direct" in early.stderr
    taken = glance(site, "image-create", "--id", image, *FORMATS)
    assert taken.returncode == 1
    assert f"Image ID {image} already exists! Create the image with another id" in taken.stderr


def test_a_list_is_what_the_service_lists(site: Site, gold: User) -> None:
    image = gold.create(name="gc listed", tags=["gc-listed"])
    done = glance(site, "image-list", "--tag", "gc-listed")
    assert done.returncode == 0
    assert image in done.stdout
    done = glance(site, "image-update", image, "--name", "gc renamed", "--property", "note=kept")
    assert done.returncode == 0, done.stderr
    assert (gold.show(image)["name"], gold.show(image)["note"]) == ("gc renamed", "kept")
    assert glance(site, "image-delete", image).returncode == 0
    assert gold.http.get(f"/v2/images/{image}").status_code == 404
