"""Tempest's image suite against the gateway: its settings, its runs, and how each test ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from tests.interop.keystone import ADMIN_PASSWORD, REGION
from tests.interop.report import Outcome
from tests.interop.running import stop

# What the service has, as tempest asks for it. The gateway enforces no formats here: its policies are open.
FEATURES = """\
[DEFAULT]
log_file = {folder}/tempest.log
[oslo_concurrency]
lock_path = {folder}/lock
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
uri_v3 = {auth_url}
auth_version = v3
region = {region}
[service_available]
glance = true
nova = {nova}
neutron = false
cinder = false
swift = false
horizon = false
[enforce_scope]
glance = true
[image]
region = {image_region}
http_image = {web_image}
http_qcow2_image = {web_image}
build_timeout = {patience}
alternate_image_endpoint = image_remote
images_manifest_file = {manifest}
image_caching_enabled = false
[image-feature-enabled]
import_image = true
os_glance_reserved = true
manage_locations = {locations}
image_conversion = true
image_format_enforcement = {enforced}
do_secure_hash = true
http_store_enabled = {locations}
store_weight_enabled = true
"""

STESTR = """\
[DEFAULT]
test_path={package}/test_discover
top_dir={top}
group_regex=([^\\.]*\\.)*
"""

READER = Path(__file__).with_name("outcomes.py")
FORMATS = "tempest.api.image.v2.test_images_formats.ImagesFormatTest.test_accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempest:
    """A prepared workspace. `programs` is the bin of tempest's virtual environment."""

    programs: Path
    folder: Path
    concurrency: int
    seconds: float

    def run(self, pattern: str) -> Iterator[Outcome]:
        """The whole suite, or its tests that match; outcomes come as they happen.

        ImagesFormatTest is a test of images and of servers, so it is skipped whole unless Nova is said to be there:
        its image half runs apart, under settings that say so.
        """
        yield from self._run("tempest.conf", pattern, without="ImagesFormatTest")
        if re.search(pattern, FORMATS):
            yield from self._run("formats.conf", FORMATS)

    def _run(self, settings: str, pattern: str, without: str = "") -> Iterator[Outcome]:
        command: list[str | Path] = [
            self.programs / "tempest",
            "run",
            "--subunit",
            "--config-file",
            self.folder / settings,
        ]
        command += ["--concurrency", str(self.concurrency), "--regex", pattern]
        command += ["--exclude-regex", without] if without else []
        with self._started(command) as lines:
            for line in lines:
                yield Outcome(**json.loads(line))

    @contextmanager
    def _started(self, command: list[str | Path]) -> Iterator[Any]:
        """The lines of `outcomes` over the suite's stream. A suite that takes too long is stopped."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        with (self.folder / "output.log").open("ab") as log:
            suite = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            reader = subprocess.Popen(
                [self.programs / "python", READER], stdin=suite.stdout, stdout=subprocess.PIPE, stderr=log
            )
        late = Timer(self.seconds, stop, [suite])
        late.start()
        try:
            yield reader.stdout
        finally:
            late.cancel()
            stop(suite)
            reader.wait()


def prepared(
    programs: Path,
    folder: Path,
    *,
    auth_url: str,
    web_image: str,
    manifest: Path,
    concurrency: int,
    seconds: float,
    region: str = REGION,
    locations: bool = True,
    enforced: bool = False,
    patience: int = 30,
) -> Tempest:
    """A workspace in `folder`; each run ends after `seconds`. The image service is the one of `region`.

    Without `locations`, images of that service are not added from places, nor changed to be at some. It takes only
    what has the format it says where that is `enforced`. An image may need `patience` seconds to get where it should.
    """
    folder.mkdir()
    for name, nova in (("tempest.conf", "false"), ("formats.conf", "true")):
        content = FEATURES.format(
            folder=folder, password=ADMIN_PASSWORD, auth_url=auth_url, region=REGION, nova=nova,
            web_image=web_image, manifest=manifest, image_region=region, locations=str(locations).lower(),
            enforced=str(enforced).lower(), patience=patience,
        )  # fmt: skip
        (folder / name).write_text(content)
    package = _package(programs)
    (folder / ".stestr.conf").write_text(STESTR.format(package=package, top=package.parent))
    return Tempest(programs=programs, folder=folder, concurrency=concurrency, seconds=seconds)


def _package(programs: Path) -> Path:
    command: list[str | Path] = [programs / "python", "-c", "import tempest; print(tempest.__path__[0])"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
