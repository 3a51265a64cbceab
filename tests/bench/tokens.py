"""Small requests of a member whose tokens come from a real Keystone and are checked by it, as in production."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.bench.client import Client, KeptAlive, request
from tests.bench.report import Figure, Kind, Samples, Skipped, figures
from tests.bench.requests import load, measured
from tests.bench.service import RECORD, served
from tests.interop.cloud import DOMAIN, PASSWORD, SERVICE_PROJECT, SERVICE_USER, USERS, administered, seed
from tests.interop.installed import SetupFailed, installed
from tests.interop.keystone import keystone
from tests.interop.running import NotServing, free_ports

IMAGES = 1_000
FRESH = 20
USER, PROJECT = next(iter(USERS.items()))
ENDPOINT = "http://127.0.0.1:9292"
"""Where Keystone's catalog says the gateway is; nobody here looks there."""

KINDS = {
    "list": Kind("a second", more=True, glance="60"),
    "list p50": Kind("ms"),
    "list p99": Kind("ms"),
    "show": Kind("a second", more=True, glance="180"),
    "show p50": Kind("ms"),
    "show p99": Kind("ms"),
    "discovery": Kind("a second", more=True, glance="714"),
    "discovery p50": Kind("ms"),
    "discovery p99": Kind("ms"),
    "create": Kind("a second", more=True, glance="31"),
    "create p50": Kind("ms"),
    "create p99": Kind("ms"),
    "first call with a new token": Kind("ms"),
    "first call of a new process": Kind("ms"),
}


def programs(venv: Path, log: Path, *, install: bool) -> Path:
    """The `bin` of a virtual environment that has Keystone. Raises Skipped where there is none and none may be made."""
    if (venv / "bin" / "keystone-manage").exists():
        return venv / "bin"
    if venv.exists() or not install:
        raise Skipped(
            f"{venv} has no Keystone; `make interop` installs one, and so does `python -m tests.bench --only keystone` "
            "where that folder does not exist yet"
        )
    return installed(venv, log)


def measure(folder: Path, venv: Path, seconds: float, rounds: int, *, install: bool) -> list[Figure]:
    """Requests over 8 kept connections with one token, which is what a busy service sends.

    Each round is a new process of the gateway, which knows no token yet. Raises Skipped where Keystone fails.
    """
    folder.mkdir()
    samples = Samples(list)
    try:
        found = programs(venv, folder / "install.log", install=install).absolute()
        with keystone(found, folder / "keystone", *free_ports(1)) as auth_url:
            seed(administered(auth_url), ENDPOINT, ENDPOINT)
            for number in range(rounds):
                _round(folder / f"gateway-{number}", auth_url, seconds, samples)
    except (SetupFailed, NotServing) as error:
        raise Skipped(str(error)) from error
    return figures(f"{IMAGES:,} images, Keystone tokens, one process", samples, KINDS)


def _round(folder: Path, auth_url: str, seconds: float, samples: Samples) -> None:
    """`create` comes last: the images it leaves would make the lists longer."""
    tokens = [token(auth_url) for _ in range(1 + FRESH)]
    with served(folder, more={"identity": _identity(auth_url)}) as service:
        first, *others = (_discovery_seconds(service.client, one) * 1000 for one in tokens)
        samples["first call of a new process"].append(first)
        samples["first call with a new token"] += others
        member = replace(service.client, headers={"X-Auth-Token": tokens[0]})
        images = [str(member.ask("POST", "/v2/images", RECORD)["id"]) for _ in range(IMAGES)]
        for name, asked in _asked(images[0], member.headers).items():
            load(member.address, asked, seconds / 5)
            measured(member.address, name, asked, seconds, samples)


def _asked(image_id: str, headers: Mapping[str, str]) -> dict[str, bytes]:
    return {
        "list": request("GET", "/v2/images?limit=20", headers=headers),
        "show": request("GET", f"/v2/images/{image_id}", headers=headers),
        "discovery": request("GET", "/v2/info/import", headers=headers),
        "create": request("POST", "/v2/images", json.dumps(RECORD).encode(), headers=headers),
    }


def _discovery_seconds(client: Client, of: str) -> float:
    """Over a connection that is there already: what is new is the token alone."""
    connection = KeptAlive(client.address)
    began = time.perf_counter()
    connection.ask(request("GET", "/v2/info/import", headers={"X-Auth-Token": of}))
    took = time.perf_counter() - began
    connection.close()
    return took


def token(auth_url: str) -> str:
    """A new token of the member; no two are the same. Raises httpx.HTTPStatusError."""
    domain = {"id": DOMAIN}
    user = {"name": USER, "domain": domain, "password": PASSWORD}
    identity = {"methods": ["password"], "password": {"user": user}}
    asked = {"auth": {"identity": identity, "scope": {"project": {"name": PROJECT, "domain": domain}}}}
    answer = httpx.post(f"{auth_url}/auth/tokens", json=asked, trust_env=False, timeout=60).raise_for_status()
    return answer.headers["X-Subject-Token"]


def _identity(auth_url: str) -> dict[str, Any]:
    """Everything but the login is left to its default, the memory for tokens too."""
    login = {"username": SERVICE_USER, "password": PASSWORD, "project": SERVICE_PROJECT}
    return {"type": "keystone", "keystone": {"auth_url": auth_url, **login}}
