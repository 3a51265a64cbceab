"""A service with two stores that take bytes and one that refers to them, and what users do with many stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Place, audit
from tests.faults.service import Service, service
from tests.serving.backing import STORE, catalog_url, held
from tests.serving.held import Held, Together
from tests.serving.process import LONGEST

TRUSTING = ({"id": "everything", "allow": "all"}, {"id": "real", "require": ["glance-direct"], "stages": ["inspect"]})
PLACES: list[dict[str, Any]] = [
    {"name": "fast", "default": True, "weight": 20, "description": "quick disks"},
    {"name": "slow", "weight": 10},
    {"name": "web", "type": "http"},
]


def settings(port: int, **more: Any) -> dict[str, Any]:
    return {
        "stores": PLACES,
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port], "resumes": 2},
        "imports": {"reaper_interval": "1s", "progress_interval": "50ms", "retries": 1},
        "images": {"show_locations": True},
        **more,
    }


@contextmanager
def placed(home: Path, port: int, **more: Any) -> Iterator[Service]:
    with service(home, settings(port, **more), TRUSTING) as started:
        yield started


def start(user: User, image: str, method: str = "glance-direct", *, header: str = "", **body: Any) -> httpx.Response:
    """`POST import` with whatever stands beside `method`; `uri` belongs into it."""
    options = {key: body.pop(key) for key in ("uri",) if key in body}
    headers = {"X-Image-Meta-Store": header} if header else {}
    sent = {"method": {"name": method, **options}, **body}
    return user.http.post(f"/v2/images/{image}/import", json=sent, headers=headers)


def staged(user: User, body: bytes) -> str:
    image = user.create()
    user.stage(image, body).raise_for_status()
    return image


def saved(user: User, body: bytes, store: str = "fast") -> str:
    image = user.create()
    headers = {"Content-Type": "application/octet-stream", "X-Image-Meta-Store": store}
    user.http.put(f"/v2/images/{image}/file", content=body, headers=headers).raise_for_status()
    return image


def from_store(user: User, image: str, store: str) -> bytes:
    answer = user.http.get(f"/v2/images/{image}/file", params={"prefer": store})
    return answer.raise_for_status().content


def holding(service: Service, store: str) -> Held:
    return held(service.data, store)


@contextmanager
def broken(service: Service, store: str) -> Iterator[None]:
    """The store's folder is gone meanwhile, as an unmounted disk's is."""
    if STORE != "filesystem":
        pytest.skip("only a folder can be taken away")
    folder = service.data / "blobs" / store
    away = folder.with_name(f"{store}-away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


def sound(service: Service) -> None:
    """The auditor finds nothing wrong in any store, within the seconds an interrupted thing may take to end."""
    stores = Together(tuple(held(service.data, str(store["name"])) for store in PLACES if "type" not in store))
    place = Place(catalog_url(service.data), stores, service.data / "decisions.jsonl")
    found: list[str] = []

    def clean() -> bool:
        try:
            found[:] = audit(place)
        except KeyError:
            return False  # the reaper took a blob while it was looked at
        return not found

    try:
        eventually(clean)
    except AssertionError:
        raise AssertionError(found) from None


def until(
    user: User, image: str, holds: Callable[[Mapping[str, Any]], Any], seconds: float = LONGEST
) -> dict[str, Any]:
    """The image, once `holds` is true of it."""
    found: dict[str, Any] = eventually(lambda: now if holds(now := user.show(image)) else None, seconds)
    return found
