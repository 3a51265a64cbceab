"""One service for the whole folder: it takes seconds to start, and every test works with images of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.service import web
from tests.clients.gate import Gate, gated
from tests.clients.site import Site, User, clouds, settings
from tests.served import served


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    folder = home / "web"
    folder.mkdir()
    with web(folder) as port, gated("127.0.0.1") as gate:
        fetch = {"allowed_networks": ["127.0.0.0/8"], "ports": [port, gate.port]}
        file = settings(home, fetch, imports={"progress_interval": "50ms", "reaper_interval": "10m"})
        with served(home, "--demo", "--config", str(file), "--data", str(home / "data")) as url:
            clouds(home, url)
            yield Site(url, home, folder, f"http://127.0.0.1:{port}", gate)


@pytest.fixture(scope="session")
def disk(site: Site) -> Path:
    """A raw disk of 2.3 MiB that nothing mistakes for a format; the web server has it as disk.raw."""
    file = site.web / "disk.raw"
    file.write_bytes(b"".join(hashlib.sha512(number.to_bytes(4, "big")).digest() for number in range(38_000)))
    return file


@pytest.fixture
def gold(site: Site) -> Iterator[User]:
    user = site.user()
    with user.http:
        yield user


@pytest.fixture
def gate(site: Site) -> Iterator[Gate]:
    """The source that waits, closed at the beginning."""
    site.gate.close()
    yield site.gate
    site.gate.open()
