"""A real Keystone on loopback: fernet tokens, one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.databases import Database, file
from tests.interop.installed import run
from tests.interop.running import served

REGION = "RegionOne"
ADMIN_PASSWORD = "interop-admin"

# Cheap password hashes: tempest makes some hundred users, and nothing here is worth protecting.
SETTINGS = """\
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = {database}
[identity]
password_hash_rounds = 4
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/keys
[fernet_receipts]
key_repository = {folder}/keys
[cache]
enabled = true
backend = dogpile.cache.memory
[oslo_policy]
policy_file = {policy}
"""

# Keystone reads the arguments of whatever program it runs in, so the port is taken away before it is imported.
SERVER = """\
import sys
threads, port = int(sys.argv.pop()), int(sys.argv.pop())
from keystone.wsgi.api import application
from waitress import serve
serve(application, host="127.0.0.1", port=port, threads=threads)
"""


@contextmanager
def keystone(
    programs: Path, folder: Path, port: int, policy: Path | None = None, database: Database = file
) -> Iterator[str]:
    """A new Keystone with its user `admin`; gives the URL of its v3 API. `programs` is a virtual environment's bin.

    `policy` is a file of policies that differ from Keystone's own.
    """
    folder.mkdir()
    url = f"http://127.0.0.1:{port}/v3"
    log = folder / "output.log"
    settings = SETTINGS.format(
        folder=folder, policy=policy or folder / "policy.yaml", database=database(folder / "keystone.db")
    )
    (folder / "keystone.conf").write_text(settings)
    _bootstrap(programs, folder, url, log)
    # SQLite takes one writer at a time, and a second one would only wait for its lock.
    threads = 1 if database is file else 4
    command: list[str | Path] = [programs / "python", "-W", "ignore", "-c", SERVER, str(port), str(threads)]
    with served(command, url, log, _environment(folder)):
        yield url


def _bootstrap(programs: Path, folder: Path, url: str, log: Path) -> None:
    manage: list[str | Path] = [programs / "keystone-manage", "--config-file", folder / "keystone.conf"]
    owner = [f"--keystone-user={os.getuid()}", f"--keystone-group={os.getgid()}"]
    run([*manage, "db_sync"], log)
    run([*manage, "fernet_setup", *owner], log)
    place = [f"--bootstrap-{interface}-url={url}" for interface in ("public", "internal", "admin")]
    admin = [f"--bootstrap-password={ADMIN_PASSWORD}", f"--bootstrap-region-id={REGION}"]
    run([*manage, "bootstrap", *admin, *place], log)


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "OS_KEYSTONE_CONFIG_DIR": str(folder)}
