"""Lists of 20 in a small cloud and in a large one: what a page costs must not depend on what is not on it."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from gateway.catalog import open_catalog
from gateway.catalog.tables import image_members, image_properties, image_tags, images
from tests.bench.client import KeptAlive, request
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.requests import ask, load
from tests.bench.service import RECORD, served

COUNTS = (1_000, 100_000, 1_000_000)
PROJECTS = 100
GROWTH = 2.0
"""A list in the largest cloud may take this many times what it takes in the smallest, but for NOT_HELD."""

NOT_HELD = ("list, by name", "list, public", "list, large ones")
"""What grows with the images that a caller owns, or that are public: here both are a share of the whole cloud."""

LEAST = 5
CALLERS = {"a member": ["member", "reader"], "an admin": ["admin", "member", "reader"]}
VISIBILITIES = ("private",) * 14 + ("shared",) * 4 + ("public", "community")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = (image_tags, image_properties, image_members)
SHARED = 250
"""Every fifth of the first so many images of each project is shared with another one; others stay unshared."""
SELDOM = 30
"""So many images have the seldom tag and the seldom property, all of the caller's project, in every cloud."""

GLANCE = {"list": "60", "show": "180", "create": "31", "discovery": "714"}


def measure(folder: Path, counts: Sequence[int], seconds: float) -> list[Figure]:
    """Waits over one connection, and requests a second over several, for a member of one project and for an admin."""
    found: list[Figure] = []
    waits: dict[tuple[str, str], list[float]] = {}
    for count_ in counts:
        place = folder / str(count_)
        fill(place / "records" / "records.sqlite", count_)
        for who, roles in CALLERS.items():
            samples = Samples(list)
            _measure_one(place, count_, roles, seconds, samples)
            found += figures(f"{count_:,} images, {who}", samples, _kinds(samples))
            for name, values in samples.items():
                if name.endswith(" p10"):
                    waits.setdefault((who, name.removesuffix(" p10")), []).append(min(values))
    return found + _growth(waits, counts)


def _measure_one(place: Path, count_: int, roles: list[str], seconds: float, samples: Samples) -> None:
    everyone = {"project": {"id": project(0)}, "roles": roles}
    with served(place, more={"identity": {"type": "none", "everyone": everyone}}) as service:
        for name, asked in _asked(count_).items():
            connection = KeptAlive(service.client.address)
            connection.ask(asked)
            connection.close()
            waits = ask(service.client.address, asked, _going_on(seconds))
            samples[f"{name} p50"].append(statistics.median(waits) * 1000)
            samples[f"{name} p10"].append(statistics.quantiles(waits, n=10)[0] * 1000)
            if name in GLANCE:
                samples[name].append(len(load(service.client.address, asked, seconds)) / seconds)


def _going_on(seconds: float) -> Callable[[], bool]:
    """For `seconds`, but `LEAST` requests at least."""
    until, asked = time.perf_counter() + seconds, count()
    return lambda: next(asked) < LEAST or time.perf_counter() < until


def _asked(count_: int) -> dict[str, bytes]:
    """`deep` is the middle of what the caller owns; all ids are known from their numbers."""
    own, some = image_id(count_ // 2 // PROJECTS * PROJECTS), image_id(0)
    lists = {
        "list": "",
        "list, deep": f"&marker={own}",
        "list, by name": "&sort=name:asc",
        "list, one name": f"&name={name(0)}",
        "list, a tag": "&tag=often",
        "list, a rare tag": "&tag=seldom",
        "list, a rare property": "&os_distro=seldom",
        "list, public": "&visibility=public",
        "list, large ones": "&size_min=1000&sort=size:asc",
    }
    return {
        **{name: request("GET", f"/v2/images?limit=20{query}") for name, query in lists.items()},
        "show": request("GET", f"/v2/images/{some}"),
        "discovery": request("GET", "/v2/info/import"),
        "create": request("POST", "/v2/images", json.dumps(RECORD).encode()),
    }


def _kinds(samples: Samples) -> Mapping[str, Kind]:
    return {
        name: Kind("ms") if name.endswith(("p10", "p50")) else Kind("a second", more=True, glance=GLANCE[name])
        for name in samples
    }


def _growth(waits: Mapping[tuple[str, str], list[float]], counts: Sequence[int]) -> list[Figure]:
    """How many times longer each request takes in the largest cloud. What else runs here only adds, so p10 is held."""
    part = f"{counts[-1]:,} images against {counts[0]:,}"
    return [
        Figure(part, f"{name}, {who}", _times(name), (values[-1] / values[0],)) for (who, name), values in waits.items()
    ]


def _times(name: str) -> Kind:
    return Kind("times", target=None if name in NOT_HELD else GROWTH)


def fill(path: Path, count_: int) -> None:
    """A catalog of `count_` images, written past the service: through it, a million would take a day."""
    asyncio.run(_made(path))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        for pragma in ("synchronous=OFF", "cache_size=-400000"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        indexes = [index for table in (images, *LABELS) for index in table.indexes]
        for index in indexes:
            index.drop(connection)
        for numbers in _batches(range(count_), 10_000):
            for table, rows in _rows(numbers, count_).items():
                if rows:
                    connection.execute(insert(table), rows)
            connection.commit()
        for index in indexes:
            index.create(connection)
        connection.commit()
    engine.dispose()


def _batches(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(numbers)
    while batch := list(islice(rest, size)):
        yield batch


async def _made(path: Path) -> None:
    async with open_catalog(path):
        pass


def _rows(numbers: Sequence[int], count_: int) -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (images, *LABELS)}
    for number in numbers:
        image = _image(number, count_)
        rows[images].append(image)
        rows[image_tags] += [{"tag": tag, "image_id": image["id"]} for tag in image["tags"]]
        rows[image_properties] += [
            {"image_id": image["id"], "name": name_, "value": value} for name_, value in image["properties"].items()
        ]
        if image["visibility"] == "shared" and number < SHARED * PROJECTS:
            answered = {"status": "accepted", "created_at": BEGAN, "updated_at": BEGAN}
            rows[image_members].append({"image_id": image["id"], "member_id": project(number // PROJECTS), **answered})
    return rows


def _image(number: int, count_: int) -> dict[str, Any]:
    at = BEGAN + timedelta(seconds=number)
    seldom = number % PROJECTS == 0 and number // PROJECTS % max(1, count_ // PROJECTS // SELDOM) == 0
    return {
        "id": image_id(number),
        "owner": project(number),
        "status": "active",
        "name": name(number),
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": VISIBILITIES[number // 7 % len(VISIBILITIES)],
        "size": number,
        "protected": False,
        "os_hidden": False,
        "min_disk": 0,
        "min_ram": 0,
        "tags": [*(["often"] if number % 3 == 0 else []), *(["seldom"] if seldom else [])],
        "properties": {"os_distro": "seldom" if seldom else "debian"},
        "created_at": at,
        "updated_at": at,
    }


def image_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def name(number: int) -> str:
    return f"image-{number:07}"


def project(number: int) -> str:
    return f"project-{number % PROJECTS:02}"
