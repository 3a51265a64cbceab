"""python-openstackclient's own program, with a clouds.yaml, against the running service."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.site import NO_UPLOADS, Site, User, program

FORMATS = ("--disk-format", "raw", "--container-format", "bare")


def openstack(site: Site, *words: str, cloud: str = "gold") -> subprocess.CompletedProcess[str]:
    return program(site, "openstack", "--os-cloud", cloud, *words)


def answer(site: Site, *words: str, cloud: str = "gold") -> Any:
    """What a command prints as JSON; it must succeed."""
    done = openstack(site, *words, "-f", "json", cloud=cloud)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_is_imported_and_saved_again(site: Site, gold: User, disk: Path) -> None:
    made = answer(site, "image", "create", "--import", "--file", str(disk), *FORMATS, "osc import")
    gold.reaches(made["id"], "active")
    saved = openstack(site, "image", "save", "--file", "saved.raw", "osc import")
    assert saved.returncode == 0, saved.stderr
    assert (site.home / "saved.raw").read_bytes() == disk.read_bytes()


def test_a_file_is_uploaded_the_older_way(site: Site, disk: Path) -> None:
    made = answer(site, "image", "create", "--file", str(disk), "--property", "os_distro=debian", *FORMATS, "osc file")
    assert (made["status"], made["size"], made["properties"]["os_distro"]) == ("active", disk.stat().st_size, "debian")


def test_a_record_is_imported_from_the_web_and_its_task_shown(site: Site, gold: User, disk: Path) -> None:
    image = gold.create(name="osc web")
    uri = f"{site.sources}/{disk.name}"
    done = openstack(site, "image", "import", "--method", "web-download", "--uri", uri, image)
    assert done.returncode == 0, done.stderr
    assert gold.reaches(image, "active")["size"] == disk.stat().st_size
    task = gold.task(image)["id"]
    shown = answer(site, "image", "task", "show", task)
    assert (shown["id"], shown["status"], shown["type"]) == (task, "success", "api_image_import")


def test_discovery_is_shown(site: Site) -> None:
    downloads = ["oci-download", "web-download"]
    assert answer(site, "image", "import", "info") == {"import-methods": ["glance-direct", *downloads]}
    assert answer(site, "image", "import", "info", cloud="silver") == {"import-methods": downloads}
    (store,) = answer(site, "image", "stores", "list")
    assert (store["ID"], str(store["Default"]).lower()) == ("local", "true")


def test_an_administrator_lists_open_tasks_and_a_user_is_told_where_his_are(site: Site) -> None:
    assert isinstance(answer(site, "image", "task", "list", cloud="admin"), list)
    refused = openstack(site, "image", "task", "list")
    assert refused.returncode == 1
    assert "GET /v2/images/{id}/tasks lists an image's own" in refused.stderr


def test_records_are_listed_shown_changed_and_deleted(site: Site, gold: User) -> None:
    image = gold.create(name="osc record", os_version="12")
    done = openstack(site, "image", "set", "--tag", "lts", "--property", "os_distro=debian", "--name", "osc two", image)
    assert done.returncode == 0, done.stderr
    assert {"ID": image, "Name": "osc two", "Status": "queued"} in answer(site, "image", "list")
    shown = answer(site, "image", "show", "osc two")
    assert (shown["tags"], shown["properties"]["os_distro"]) == (["lts"], "debian")
    assert openstack(site, "image", "unset", "--property", "os_version", image).returncode == 0
    assert "os_version" not in gold.show(image)
    assert openstack(site, "image", "delete", image).returncode == 0
    assert gold.http.get(f"/v2/images/{image}").status_code == 404


def test_a_withheld_method_is_explained(site: Site, disk: Path) -> None:
    refused = openstack(site, "image", "create", "--file", str(disk), *FORMATS, "osc no", cloud="silver")
    assert refused.returncode == 1
    assert NO_UPLOADS in refused.stderr
    assert "Traceback" not in refused.stderr
