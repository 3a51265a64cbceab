"""Of a Swift store, by plain requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

NAME = "tests"


@dataclass(frozen=True)
class Container:
    """What stands below `prefix`. Segments count as the blob they are of, and only where its manifest is missing."""

    url: str
    token: str
    prefix: str

    def _listed(self) -> Iterator[tuple[str, int]]:
        """Names below the prefix with their bytes, page by page."""
        marker = ""
        while page := self._page(marker):
            yield from ((entry["name"].removeprefix(f"{self.prefix}/"), entry["bytes"]) for entry in page)
            marker = page[-1]["name"]

    def _page(self, marker: str) -> list[dict[str, Any]]:
        asked = {"format": "json", "prefix": f"{self.prefix}/", "marker": marker}
        found: list[dict[str, Any]] = self._ask("GET", params=asked).raise_for_status().json()
        return found

    def sizes(self) -> dict[str, int]:
        listed = dict(self._listed())
        found = {name: size for name, size in listed.items() if "/" not in name}
        for name, size in listed.items():
            key, segment, _ = name.partition("/")
            if segment and key not in listed:
                found[key] = found.get(key, 0) + size
        return found

    def read(self, name: str) -> bytes:
        answer = self._ask("GET", name)
        if answer.status_code == 404:
            raise KeyError(name)
        return answer.raise_for_status().content

    def replace(self, name: str, content: bytes) -> None:
        self._ask("PUT", name, content=content).raise_for_status()

    def remove(self, name: str) -> None:
        self._ask("DELETE", name, params={"multipart-manifest": "delete"}).raise_for_status()

    def _ask(self, verb: str, name: str = "", **more: Any) -> httpx.Response:
        """About one blob, or about the container."""
        url = f"{self.url}/{quote(f'{self.prefix}/{name}')}" if name else self.url
        headers = {"X-Auth-Token": self.token}
        return httpx.request(verb, url, headers=headers, trust_env=False, timeout=30, **more)


def held(server: Any, prefix: str) -> Container:
    who = {"X-Auth-User": server.username, "X-Auth-Key": server.password}
    answer = httpx.get(server.auth_url, headers=who, trust_env=False).raise_for_status()
    return Container(f"{answer.headers['X-Storage-Url']}/{server.container}", answer.headers["X-Auth-Token"], prefix)


def credentials(server: Any) -> Mapping[str, Any]:
    login = {"auth_url": server.auth_url, "username": server.username, "password": server.password}
    return {NAME: {"type": "tempauth", **login}}


def settings(server: Any, prefix: str) -> Mapping[str, Any]:
    return {
        "type": "swift",
        "container": server.container,
        "prefix": prefix,
        "segment_size": "1MiB",
        "credentials": NAME,
    }
