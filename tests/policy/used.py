"""A real service that has been used for a while, by several projects: what its records hold is material for tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cli.service import web
from tests.clients.site import User
from tests.faults.service import Service, service

KIB = 1 << 10
BYTES = b"\1" * 64 * KIB
RULES = (
    {"id": "everything", "allow": "all"},
    {"id": "size", "limit": "all", "within": {"max_size": "128KiB"}},
    {"id": "real-images", "require": "all", "stages": ["inspect"]},
    {"id": "no-web", "deny": ["web-download"], "for": {"projects": ["demo-stranger"]}, "message": "No downloads."},
    {
        "id": "marked",
        "deny": "all",
        "when": "request.properties.exists(p, p == 'mark' && request.properties[p] == 'no')",
        "message": "Marked.",
    },
    {
        "id": "public",
        "deny": "all",
        "when": "request.visibility == 'public' && content.size > 999999",
        "message": "No.",
    },
)


def written(folder: Path, *rules: dict[str, Any]) -> Path:
    """A tree with these rules in the place of the service's, under the same name."""
    folder.mkdir(exist_ok=True)
    tree = {"version": 1, "policy": "faults", "rules": list(rules)}
    (folder / "faults.yaml").write_text(json.dumps(tree, indent=2))
    return folder


def edited(**changes: dict[str, Any] | None) -> list[dict[str, Any]]:
    """RULES with some rules' keys replaced, by id; None takes a rule away."""
    changes = {name.replace("_", "-"): change for name, change in changes.items()}
    kept = [rule for rule in RULES if changes.get(str(rule["id"]), rule) is not None]
    return [{**rule, **(changes.get(str(rule["id"])) or {})} for rule in kept]


@contextmanager
def used(home: Path) -> Iterator[tuple[Service, dict[str, str]]]:
    """The running service, and its active images by what became of them."""
    (home / "web").mkdir()
    (home / "web" / "disk.raw").write_bytes(BYTES)
    with web(home / "web") as port:
        fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [port]}
        with service(home, {"fetch": fetch}, RULES) as running:
            yield running, dict(_images(running, f"http://127.0.0.1:{port}/disk.raw"))


def _images(running: Service, url: str) -> Iterator[tuple[str, str]]:
    with running.user("gold") as gold:
        yield "saved", _saved(gold, BYTES, name="saved")
        yield "marked", _saved(gold, BYTES, name="marked", mark="yes", other="x")
        yield "large", _saved(gold, BYTES * 2, name="large")
        yield "staged", _imported(gold, None)
        yield "fetched", _imported(gold, url)
        assert gold.save(gold.create(), BYTES * 3).status_code in (403, 413)
        assert gold.save(gold.create(mark="no"), BYTES).status_code == 403
    with running.user("stranger") as stranger:
        refused = stranger.start(stranger.create(), "web-download", uri=url)
        assert refused.status_code == 403
        yield "strange", _saved(stranger, BYTES, name="strange")


def _saved(user: User, content: bytes, **values: str) -> str:
    image = user.create(**values)
    assert user.save(image, content).status_code == 204
    return image


def _imported(user: User, url: str | None) -> str:
    image = user.create()
    if url is None:
        assert user.stage(image, BYTES).status_code == 204
    started: httpx.Response = user.start(image, "web-download", uri=url) if url else user.start(image)
    assert started.status_code == 202, started.text
    user.reaches(image, "active")
    return image
