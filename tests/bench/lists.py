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
from tests.bench.client import Address, request
from tests.bench.report import Figure, Kind, Samples, figures
from tests.bench.requests import CONNECTIONS, ask, load
from tests.bench.service import RECORD, served

COUNTS = (1_000, 100_000, 1_000_000)
PROJECTS = 100
GROWTH = 2.0
"""Any request in the largest cloud may take this many times what it takes in the smallest."""

LEAST = 3
"""So many requests at least are asked in each round."""

CALLERS = {"a member": ["member", "reader"], "an admin": ["admin", "member", "reader"]}
VISIBILITIES = ("private",) * 14 + ("shared",) * 4 + ("public", "community")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = (image_tags, image_properties, image_members)
SHARED = 250
"""Every fifth of the first so many images of each project is shared with another one; others stay unshared."""
SELDOM = 30
"""So many images have the seldom tag and the seldom property, all of the caller's project, in every cloud."""


def measure(folder: Path, counts: Sequence[int], seconds: float, rounds: int) -> list[Figure]:
    """Waits over one connection, for a member of one project and for an admin; a sample is the median of a round.

    Each request is asked for `seconds` in each round, and the first list over several connections, too.
    """
    found: list[Figure] = []
    for count_ in counts:
        place = folder / str(count_)
        fill(place / "records" / "records.sqlite", count_)
        for who, roles in CALLERS.items():
            everyone = {"project": {"id": project(0)}, "roles": roles}
            with served(place, more={"identity": {"type": "none", "everyone": everyone}}) as service:
                found += _measured(service.client.address, _part(count_, who), _asked(count_), seconds, rounds)
    return found + list(_growth(found, counts))


def _measured(address: Address, part: str, asked: Mapping[str, bytes], seconds: float, rounds: int) -> Iterator[Figure]:
    rates = [len(load(address, asked["list"], seconds)) / seconds for _ in range(rounds)]
    yield Figure(part, f"list, {CONNECTIONS} connections", Kind("a second", more=True), tuple(rates))
    # Rounds of all reads, so that a busy moment of the machine hits one of them once; new images only when all is read.
    for some in ([name for name in asked if name != "create"], ["create"]):
        samples = Samples(list)
        for name in some * rounds:
            ask(address, asked[name], _going_on(0))
            samples[name].append(statistics.median(ask(address, asked[name], _going_on(seconds))) * 1000)
        yield from figures(part, samples, dict.fromkeys(some, Kind("ms")))


def _part(count_: int, who: str) -> str:
    return f"{count_:,} images, {who}"


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
        "list, large ones": "&size_min=100&sort=size:asc",
    }
    return {
        **{name: request("GET", f"/v2/images?limit=20{query}") for name, query in lists.items()},
        "show": request("GET", f"/v2/images/{some}"),
        "discovery": request("GET", "/v2/info/import"),
        "create": request("POST", "/v2/images", json.dumps(RECORD).encode()),
    }


def _growth(found: Iterable[Figure], counts: Sequence[int]) -> Iterator[Figure]:
    """How many times longer each request takes in the largest cloud. What else runs here only adds: the best counts."""
    best = {(figure.part, figure.name): figure.best for figure in found}
    part = f"{counts[-1]:,} images against {counts[0]:,}"
    for who in CALLERS:
        for name in _asked(counts[0]):
            times = best[_part(counts[-1], who), name] / best[_part(counts[0], who), name]
            yield Figure(part, f"{name}, {who}", Kind("times", target=GROWTH), (times,))


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
