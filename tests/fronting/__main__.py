"""`python -m tests.fronting --kills N`: kill the gateway in front of a real Glance, again and again."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import httpx
import openstack

from tests.clients.site import User
from tests.fronting.kills import Scene, campaign
from tests.interop.cloud import PASSWORD, USERS
from tests.interop.front import fronted
from tests.interop.installed import SetupFailed, installed
from tests.interop.keystone import REGION
from tests.interop.running import NotServing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fronting", description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv-interop"), help="where Keystone and Glance are kept")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-gateway-fronting-")))
        site = fronted(stack, folder, installed(asked.venv.absolute(), folder / "install.log"))
        auth = {"auth_url": site.auth_url, "username": "alice", "password": PASSWORD, "project_name": USERS["alice"]}
        auth |= {"user_domain_id": "default", "project_domain_id": "default"}
        cloud = openstack.connect(load_yaml_config=False, load_envvars=False, auth=auth, region_name=REGION)
        headers = {"X-Auth-Token": str(cloud.auth_token)}

        @contextmanager
        def user(alone: bool) -> Iterator[User]:
            url = site.alone if alone else site.front
            with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as http:
                yield User(http)

        home = folder / "gateway"
        scene = Scene(site.gateway, user, home / "data" / "blobs" / "staging", folder / "web", site.source)
        began = monotonic()
        found = campaign(scene, asked.kills, asked.seed)
        print("\n".join([*found, f"{asked.kills} kills in {monotonic() - began:.0f} s: {len(found)} findings"]))
        return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupFailed, NotServing) as error:
        sys.exit(str(error))
