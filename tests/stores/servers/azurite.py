"""Azurite, Microsoft's own server of the Blob Storage API for developers, on loopback; what it keeps is in memory.

`make stores` installs it with npm into .npm-azurite.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4
from xml.etree import ElementTree

import httpx

from tests.interop.installed import run
from tests.interop.running import free_ports, served

PACKAGE = "azurite@3.35.0"
FOLDER = Path(__file__).parents[3] / ".npm-azurite"
PROGRAM = FOLDER / "node_modules" / ".bin" / "azurite-blob"
VERSION = "2021-08-06"


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account: `endpoint` names it, `key` is base64."""

    endpoint: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container, and what it holds as a client sees it that shares no code with the store."""

    account: Account
    name: str

    def make(self) -> None:
        self._asked("PUT", {"restype": "container"})

    def remove(self) -> None:
        self._asked("DELETE", {"restype": "container"})

    def listed(self, *, unfinished: bool = True) -> list[str]:
        """The names of blobs; with `unfinished` also those that have blocks and no list of them."""
        more = {"include": "uncommittedblobs"} if unfinished else {}
        answer = self._asked("GET", {"restype": "container", "comp": "list", **more})
        return sorted(name.text or "" for name in ElementTree.fromstring(answer.content).iterfind(".//Blob/Name"))

    def put(self, name: str, content: bytes, query: Mapping[str, str] = MappingProxyType({})) -> None:
        self._asked("PUT", query, f"/{name}", content, {"x-ms-blob-type": "BlockBlob"})

    def begin(self, name: str) -> None:
        """What a crash leaves: a block of a blob that nobody will complete. All ids of a blob have one length."""
        self.put(name, b"x", {"comp": "block", "blockid": base64.b64encode(uuid4().hex.encode()).decode()})

    def _asked(
        self,
        verb: str,
        query: Mapping[str, str],
        path: str = "",
        content: bytes = b"",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx.Response:
        """By the account's shared key, as "Authorize with Shared Key" of the API's reference has it."""
        named = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **more}
        lines = [f"{name}:{value}" for name, value in sorted(named.items())]
        where = f"/{self.account.name}/{self.account.name}/{self.name}{path}"
        asked = [f"{name}:{value}" for name, value in sorted(query.items())]
        length = str(len(content)) if content else ""
        text = "\n".join([verb, "", "", length, *[""] * 8, *lines, where, *asked])
        digest = hmac.new(base64.b64decode(self.account.key), text.encode(), hashlib.sha256).digest()
        sign = f"SharedKey {self.account.name}:{base64.b64encode(digest).decode()}"
        url = f"{self.account.endpoint}/{self.name}{path}"
        headers = {**named, "Authorization": sign}
        answer = httpx.request(verb, url, params=query, content=content, headers=headers, trust_env=False, timeout=60)
        return answer.raise_for_status()


def is_ready() -> bool:
    return PROGRAM.exists() and shutil.which("node") is not None


def install(log: Path) -> bool:
    """Whether it is there now; where there is no npm it is left out. Raises SetupFailed."""
    if not is_ready() and (npm := shutil.which("npm")) is not None:
        print(f"Setting up {FOLDER} from npm (once)...", flush=True)
        run([npm, "install", "--no-audit", "--no-fund", "--prefix", FOLDER, PACKAGE], log)
    return is_ready()


@contextmanager
def server(folder: Path) -> Iterator[Account]:
    """A new server; its words are in `folder`."""
    account = Account("", f"account{uuid4().hex[:8]}", base64.b64encode(os.urandom(64)).decode())
    (port,) = free_ports(1)
    place = ["--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command: list[str | Path] = [PROGRAM, *place, "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{account.name}:{account.key}"}
    with served(command, f"http://127.0.0.1:{port}/", folder / "azurite.log", env):
        yield Account(f"http://127.0.0.1:{port}/{account.name}", account.name, account.key)


@contextmanager
def fresh(account: Account) -> Iterator[Container]:
    container = Container(account, f"images-{uuid4()}")
    container.make()
    try:
        yield container
    finally:
        container.remove()
