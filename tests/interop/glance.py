"""A real Glance on loopback: SQLite, two file stores and a read-only one, served by uwsgi under Keystone's tokens."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.interop.cloud import PASSWORD, SERVICE_PROJECT
from tests.interop.databases import Database, file
from tests.interop.installed import run
from tests.interop.keystone import REGION
from tests.interop.running import served

GLANCE_USER = "glance"
"""Glance's own user in Keystone, beside the gateway's."""

SETTINGS = """\
[DEFAULT]
log_file = {folder}/glance.log
enabled_backends = fast:file, slow:file, web:http
enabled_import_methods = [glance-direct,web-download,copy-image,glance-download]
show_multiple_locations = true
show_image_direct_url = true
worker_self_reference_url = {url}
transport_url = fake://
[database]
connection = {database}
[glance_store]
default_backend = fast
[fast]
description = first
filesystem_store_datadir = {folder}/fast
weight = 20
[slow]
description = second
filesystem_store_datadir = {folder}/slow
weight = 10
[web]
description = read-only
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[oslo_policy]
policy_file = {policy}
[oslo_concurrency]
lock_path = {folder}/lock
[paste_deploy]
config_file = {folder}/glance-api-paste.ini
flavor = keystone
[keystone_authtoken]
www_authenticate_uri = {identity}
auth_url = {identity}
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = {project}
username = {user}
password = {password}
region_name = {region}
service_token_roles_required = true
service_type = image
token_cache_time = 5
[wsgi]
python_interpreter = {programs}/python
[import_filtering_opts]
allowed_hosts = [127.0.0.1]
allowed_ports = [{ports}]
"""

SERVER = """\
[uwsgi]
http-socket = 127.0.0.1:{port}
module = glance.wsgi.api:application
processes = {processes}
threads = 1
master = true
enable-threads = true
lazy-apps = true
single-interpreter = true
thunder-lock = true
buffer-size = 65535
add-header = Connection: close
chunked-input-limit = 67108864
die-on-term = true
disable-logging = true
"""

FOLDERS = ("fast", "slow", "staging", "tasks", "lock")


@contextmanager
def glance(
    programs: Path,
    folder: Path,
    port: int,
    identity: str,
    *,
    fetched: Sequence[int] = (),
    processes: int = 1,
    policy: Path | None = None,
    database: Database = file,
) -> Iterator[str]:
    """A new Glance that trusts the Keystone at `identity`; gives its URL. `programs` is a virtual environment's bin.

    Its imports may fetch from the ports `fetched`. `policy` is a file of policies that differ from its own.
    """
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    url = f"http://127.0.0.1:{port}"
    shutil.copy(programs.parent / "etc" / "glance" / "glance-api-paste.ini", folder)
    ports = ",".join(map(str, (80, 443, *fetched)))
    settings = SETTINGS.format(
        folder=folder, url=url, identity=identity, programs=programs, ports=ports, region=REGION,
        user=GLANCE_USER, password=PASSWORD, project=SERVICE_PROJECT, policy=policy or folder / "policy.yaml",
        database=database(folder / "glance.db"),
    )  # fmt: skip
    (folder / "glance-api.conf").write_text(settings)
    (folder / "uwsgi.ini").write_text(SERVER.format(port=port, processes=processes))
    manage: list[str | Path] = [programs / "glance-manage", "--config-file", folder / "glance-api.conf"]
    run([*manage, "db_sync"], folder / "output.log")
    if database is file:
        with closing(sqlite3.connect(folder / "glance.db")) as records:
            records.execute("PRAGMA journal_mode=WAL")  # its importing threads would lock each other out
    run([*manage, "db_load_metadefs", programs.parent / "etc" / "glance" / "metadefs"], folder / "output.log")
    server: list[str | Path] = [programs / "uwsgi", "--ini", folder / "uwsgi.ini", "--virtualenv", programs.parent]
    env = {**os.environ, "OS_GLANCE_CONFIG_DIR": str(folder)}
    with served(server, f"{url}/versions", folder / "output.log", env):
        yield url
