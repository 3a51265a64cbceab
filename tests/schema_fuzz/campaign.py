"""Requests made of `/openapi.json`, sound and broken ones, against the running service.

Nothing may answer 5xx or hang, and every answer has to be one the document knows: its status, its headers, its body.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path

from tests.cli.running import environment
from tests.isolation.cloud import Cloud
from tests.isolation.rules import User

USERS = (User("red", "admin"), User("green", "member"), User("blue", "reader"))
PATIENCE = 10
CONFIG = """\
hooks = "tests.schema_fuzz.patches"
request-timeout = {patience}
continue-on-failure = true
warnings = false

[dictionaries.images]
values = {images}

[parameters]
"path.image_id" = {{dictionary = "images", probability = 0.8}}

[generation]
database = "none"

[checks]
# A body may be well formed and still make no sense: that is 400 as well.
positive_data_acceptance.enabled = false
negative_data_rejection.enabled = false
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of the generator: how many requests it made, and what it says."""

    cases: int
    passed: bool
    said: str


def campaign(
    cloud: Cloud, home: Path, cases: int, *, phases: str = "fuzzing", per_operation: int = 1, seed: int = 1
) -> Iterator[Round]:
    """Rounds as one user after the other, until `cases` requests were made."""
    made = 0
    for number, user in zip(count(seed), cycle(USERS), strict=False):
        if made >= cases:
            return
        options = ["--phases", phases, "--max-examples", str(per_operation), "--seed", str(number)]
        done = _round(cloud, home, user, options)
        made += done.cases
        yield done


def _round(cloud: Cloud, home: Path, user: User, options: Sequence[str]) -> Round:
    config, report = home / "schemathesis.toml", home / "report.json"
    config.write_text(CONFIG.format(patience=PATIENCE, images=json.dumps(images(cloud))))
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config), "run"]
    address = [f"{cloud.clients[user].base_url}/openapi.json", "--auth", f"{user}:secret"]
    written = ["--report", "json", "--report-json-path", str(report)]
    done = subprocess.run(
        [*command, *address, *options, *written],
        cwd=home,
        env=environment(home, PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"the generator did not run: {done.stdout}{done.stderr}")
    return Round(json.loads(report.read_text())["test_cases"]["generated"], done.returncode == 0, done.stdout)


def images(cloud: Cloud) -> list[str]:
    """New images of two projects, in every status and visibility: ids that lead somewhere."""
    made = []
    for user in USERS[:2]:
        for visibility in ("private", "shared", "community"):
            for status in ("queued", "uploading", "active", "deactivated"):
                made.append(_image(cloud, user, visibility, status))
    return made


def _image(cloud: Cloud, user: User, visibility: str, status: str) -> str:
    record = {"disk_format": "raw", "container_format": "bare", "visibility": visibility}
    image = str(cloud.ask(user, "POST", "", json=record).json()["id"])
    if visibility == "shared":
        cloud.ask(user, "POST", f"/{image}/members", json={"member": "blue"})
    if status == "uploading":
        cloud.put(user, f"/{image}/stage", b"staged")
    if status in ("active", "deactivated"):
        cloud.put(user, f"/{image}/file", b"saved")
    if status == "deactivated":
        cloud.ask(user, "POST", f"/{image}/actions/deactivate")
    return image
