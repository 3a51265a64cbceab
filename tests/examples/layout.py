"""The layouts of `examples` with many gateways, started as processes of this machine: same commands, same files.

Only where things are is another: hosts become loopback's ports, folders are below the test's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM
from time import monotonic, sleep

import bcrypt
import httpx

from tests.clients.site import PASSWORD, User, user_of
from tests.faults.sources import content
from tests.serving.process import LONGEST, Process
from tests.stores.servers.bucket import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
HAPROXY = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
BODY = content(7, 6 << 20)


def moved(text: str, places: Mapping[str, str]) -> str:
    """The text with other places; the longest first, as one may be part of another. Each has to be in it."""
    for place in sorted(places, key=len, reverse=True):
        assert place in text, f"{place} is not in the layout any more"
        text = text.replace(place, places[place])
    return text


def secrets(folder: Path, of: Server, names: Mapping[str, str]) -> None:
    """What operators put there: `names` says which file is what (db, s3, users)."""
    folder.mkdir(parents=True, exist_ok=True)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    held = {"db": "unused: this server trusts", "s3": of.secret_key, "users": f"ann:{hashed}\nbob:{hashed}\n"}
    for what, name in names.items():
        (folder / name).write_text(held[what])


@contextmanager
def serving(processes: Sequence[Process]) -> Iterator[None]:
    """All started at the same moment, as an orchestrator does."""
    try:
        for process in processes:
            process.launch()
        for process in processes:
            process.wait_ready()
        yield
    finally:
        for process in processes:
            process.signal(SIGTERM)
        for process in processes:
            process.wait(30)


def imported(at: str) -> str:
    """An image that a user has uploaded and imported; its id."""
    with user(at) as bob:
        image = bob.create()
        assert bob.stage(image, BODY).status_code == 204
        assert bob.start(image).status_code == 202
        bob.reaches(image, "active")
    return image


def read(at: str, image: str) -> bytes:
    with user(at) as bob:
        return bob.file(image).content


@contextmanager
def user(at: str) -> Iterator[User]:
    made = user_of(at, "bob")
    with made.http:
        yield made


@contextmanager
def balanced(folder: Path, text: str, port: int) -> Iterator[str]:
    """HAProxy with this configuration; gives its URL once it passes requests on."""
    file, url = folder / "haproxy.cfg", f"http://127.0.0.1:{port}"
    file.write_text(text)
    with ExitStack() as stack:
        assert HAPROXY is not None
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stdout=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        end = monotonic() + LONGEST
        while not _answers(url):
            assert process.poll() is None
            assert monotonic() < end, "HAProxy passes nothing on"
            sleep(0.05)
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthcheck", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
