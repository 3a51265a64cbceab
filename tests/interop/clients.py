"""The stock clients under Keystone's tokens: what their users do, run as they run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import openstack

from tests.cli.running import environment
from tests.images.hostile import backed_qcow2
from tests.interop.cloud import PASSWORD, USERS
from tests.interop.keystone import REGION
from tests.interop.report import Outcome

QCOW2 = ("--disk-format", "qcow2", "--container-format", "bare")
PATIENCE = 30


class Failed(Exception):
    """A client did not do what it was asked; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Users of one cloud. `web_image` is the URL of an image that imports may fetch, `image` the same as a file."""

    folder: Path
    auth_url: str
    image_url: str
    web_image: str
    image: Path

    def run(self) -> Iterator[Outcome]:
        self.folder.mkdir()
        for check in CHECKS:
            name = check.__name__.replace("_", " ")
            try:
                check(self)
            except Exception as error:  # noqa: BLE001 - clients raise whatever they like; a check ends with its reason
                yield Outcome(name, "failed", f"{type(error).__name__}: {error}"[:500])
            else:
                yield Outcome(name, "passed")

    def openstack(self, *words: str, user: str = "alice") -> str:
        return self._program("openstack", *words, user=user)

    def answer(self, *words: str, user: str = "alice") -> Any:
        """What a command of `openstack` prints as JSON."""
        return json.loads(self.openstack(*words, "-f", "json", user=user))

    def glance(self, *words: str, user: str = "alice") -> str:
        return self._program("glance", *words, user=user)

    def made(self, *words: str) -> str:
        """The id in the table glance prints of a new image."""
        found = re.search(r"\| id +\| (\S+)", said := self.glance(*words))
        if not found:
            raise Failed(said)
        return found[1]

    def sdk(self, user: str = "alice") -> Any:
        """A Connection; its type knows neither which version of an API was found nor what is signed in."""
        return openstack.connect(load_yaml_config=False, load_envvars=False, **self._login(user))

    def until(self, wanted: Callable[[], bool]) -> None:
        """Ask until it is so. Raises TimeoutError."""
        end = monotonic() + PATIENCE
        while not wanted():
            if monotonic() > end:
                raise TimeoutError(f"not so after {PATIENCE} s")
            sleep(0.2)

    def reaches(self, image: str, status: str) -> None:
        """Until the image has the status."""
        self.until(lambda: self.sdk().image.get_image(image).status == status)

    def _login(self, user: str) -> dict[str, Any]:
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        auth = {"auth_url": self.auth_url, "username": user, "password": PASSWORD, "project_name": USERS[user]}
        return {"auth": {**auth, **domains}, "region_name": REGION, "api_timeout": PATIENCE}

    def _program(self, program: str, *words: str, user: str) -> str:
        """A client's own program, as installed. Its input is a terminal, as a user's is."""
        login = {f"OS_{name.upper()}": value for name, value in self._login(user)["auth"].items()}
        env = environment(self.folder, **login, OS_REGION_NAME=REGION, OS_IDENTITY_API_VERSION="3")
        command = [str(Path(sys.executable).with_name(program)), *words]
        terminal, end = os.openpty()
        try:
            run = partial(subprocess.run, cwd=self.folder, env=env, stdin=end, capture_output=True, text=True)
            done = run(command, timeout=60, check=False)
        finally:
            os.close(terminal)
            os.close(end)
        if done.returncode:
            raise Failed(f"{program} {' '.join(words)}: {(done.stderr or done.stdout).strip()[-400:]}")
        return str(done.stdout)


def openstack_uploads_and_saves_the_same_bytes(ask: Clients) -> None:
    made = ask.answer("image", "create", "--file", str(ask.image), *QCOW2, "osc-file")
    ask.openstack("image", "save", "--file", "saved.qcow2", made["id"])
    _same(ask.folder / "saved.qcow2", ask.image)
    ask.openstack("image", "delete", made["id"])


def openstack_imports_a_file(ask: Clients) -> None:
    made = ask.answer("image", "create", "--import", "--file", str(ask.image), *QCOW2, "osc-import")
    ask.reaches(made["id"], "active")


def openstack_is_told_why_an_unsound_image_is_refused(ask: Clients) -> None:
    (ask.folder / "backed.qcow2").write_bytes(backed_qcow2())
    try:
        ask.openstack("image", "create", "--file", "backed.qcow2", *QCOW2, "osc-backed")
    except Failed as refused:
        if "backing file" not in str(refused):
            raise
    else:
        raise Failed("an image with a backing file was accepted")


def openstack_imports_from_the_web_and_shows_the_task(ask: Clients) -> None:
    image = ask.sdk().image.create_image("osc-web", disk_format="qcow2", container_format="bare", allow_duplicates=True)
    ask.openstack("image", "import", "--method", "web-download", "--uri", ask.web_image, image.id)
    ask.reaches(image.id, "active")
    tasks = ask.sdk().image.get(f"/images/{image.id}/tasks").json()["tasks"]
    _expect(ask.answer("image", "task", "show", tasks[0]["id"])["status"], "success")


def openstack_shares_an_image(ask: Clients) -> None:
    made = ask.answer("image", "create", "--file", str(ask.image), "--shared", *QCOW2, "osc-shared")
    project = ask.sdk("bob").current_project_id
    ask.openstack("image", "add", "project", made["id"], project)
    ask.openstack("image", "set", "--accept", made["id"], user="bob")
    listed = ask.answer("image", "list", "--shared", user="bob")
    _expect([image["ID"] for image in listed], [made["id"]])
    ask.openstack("image", "remove", "project", made["id"], project)
    _expect(ask.answer("image", "list", "--shared", user="bob"), [])


def openstack_sets_properties_and_tags(ask: Clients) -> None:
    made = ask.answer("image", "create", *QCOW2, "osc-set")
    ask.openstack("image", "set", "--property", "os_distro=debian", "--tag", "lts", "--min-disk", "3", made["id"])
    shown = ask.answer("image", "show", made["id"])
    _expect((shown["properties"]["os_distro"], shown["tags"], shown["min_disk"]), ("debian", ["lts"], 3))
    ask.openstack("image", "unset", "--property", "os_distro", "--tag", "lts", made["id"])
    _expect(ask.answer("image", "show", made["id"])["tags"], [])


def openstack_deactivates_and_activates(ask: Clients) -> None:
    made = ask.answer("image", "create", "--file", str(ask.image), *QCOW2, "osc-deactivated")
    ask.openstack("image", "set", "--deactivate", made["id"])
    ask.reaches(made["id"], "deactivated")
    ask.openstack("image", "set", "--activate", made["id"])
    ask.reaches(made["id"], "active")


def openstack_shows_methods_stores_and_namespaces(ask: Clients) -> None:
    if "web-download" not in ask.answer("image", "import", "info")["import-methods"]:
        raise Failed("web-download is not among the methods")
    _expect([store["ID"] for store in ask.answer("image", "stores", "list")], ["fast", "slow", "web"])
    ask.answer("image", "metadef", "namespace", "list")


def glance_imports_a_file_and_downloads_it_again(ask: Clients) -> None:
    method = ("--import-method", "glance-direct", "--file", str(ask.image))
    image = ask.made("image-create-via-import", "--name", "gc", *QCOW2, *method)
    ask.reaches(image, "active")
    ask.glance("image-download", "--file", "gc.qcow2", image)
    _same(ask.folder / "gc.qcow2", ask.image)


def glance_imports_from_the_web_into_every_store(ask: Clients) -> None:
    method = ("--import-method", "web-download", "--uri", ask.web_image, "--all-stores", "True")
    image = ask.made("image-create-via-import", "--name", "gc-web", *QCOW2, *method)
    ask.reaches(image, "active")
    _expect(ask.sdk().image.get(f"/images/{image}").json()["stores"], "fast,slow")


def glance_shows_stores_and_usage(ask: Clients) -> None:
    ask.glance("stores-info")
    ask.glance("usage")


def openstacksdk_imports_and_downloads(ask: Clients) -> None:
    cloud = ask.sdk()
    image = cloud.image.create_image(
        "sdk", filename=str(ask.image), disk_format="qcow2", container_format="bare", use_import=True
    )
    ask.reaches(image.id, "active")
    got = cloud.image.download_image(image, stream=False).content
    if got != ask.image.read_bytes():
        raise Failed("the downloaded bytes differ")
    cloud.image.delete_image(image)


def another_project_sees_nothing_of_a_private_image(ask: Clients) -> None:
    image = ask.sdk().image.create_image("private", visibility="private", allow_duplicates=True)
    if ask.sdk("bob").image.find_image(image.id, ignore_missing=True):
        raise Failed("another project finds it")


def an_application_credential_does_what_its_rules_allow(ask: Clients) -> None:
    owner = ask.sdk()
    rules = [{"service": "image", "method": "GET", "path": "/v2/images"}]
    made = owner.identity.create_application_credential(owner.current_user_id, "lister", access_rules=rules)
    login = {"application_credential_id": made.id, "application_credential_secret": made.secret}
    auth = {"auth_url": ask.auth_url, **login}
    lister = openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="v3applicationcredential", auth=auth, region_name=REGION
    )
    list(lister.image.images(limit=1, paginated=False))
    answer = lister.image.post("/images", json={"name": "no"})
    _expect(answer.status_code, 401)


def a_revoked_token_is_refused(ask: Clients) -> None:
    cloud = ask.sdk()
    token = {"X-Auth-Token": cloud.auth_token}
    with httpx.Client(base_url=ask.image_url, headers=token, trust_env=False) as http:
        _expect(http.get("/v2/images").status_code, 200)
        cloud.session.delete(f"{ask.auth_url}/auth/tokens", headers={"X-Subject-Token": cloud.auth_token})
        ask.until(lambda: http.get("/v2/images").status_code == 401)


CHECKS: tuple[Callable[[Clients], None], ...] = (
    openstack_uploads_and_saves_the_same_bytes,
    openstack_imports_a_file,
    openstack_is_told_why_an_unsound_image_is_refused,
    openstack_imports_from_the_web_and_shows_the_task,
    openstack_shares_an_image,
    openstack_sets_properties_and_tags,
    openstack_deactivates_and_activates,
    openstack_shows_methods_stores_and_namespaces,
    glance_imports_a_file_and_downloads_it_again,
    glance_imports_from_the_web_into_every_store,
    glance_shows_stores_and_usage,
    openstacksdk_imports_and_downloads,
    another_project_sees_nothing_of_a_private_image,
    an_application_credential_does_what_its_rules_allow,
    a_revoked_token_is_refused,
)


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise Failed(f"{found!r} instead of {wanted!r}")


def _same(found: Path, wanted: Path) -> None:
    if found.read_bytes() != wanted.read_bytes():
        raise Failed(f"{found.name} has other bytes than what was sent")
