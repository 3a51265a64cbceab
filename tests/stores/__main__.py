"""`make stores`: every store's suite, and the whole service over it, on real servers: Ceph's object gateway with its
S3 and its Swift API, OpenStack Swift, and Azurite where there is npm. What is missing is installed, where that is
allowed.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.interop.installed import installed
from tests.serving import servers
from tests.stores.servers import azurite, rgw, swift

FOLDER = Path(__file__).parent


def main() -> int:
    asked = arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-gateway-stores-")))
        installed(swift.FOLDER, folder / "install.log", swift.REQUIREMENTS)
        if not azurite.install(folder / "install.log"):
            print("there is no npm, and so no Azurite: Azure's suite is left out", flush=True)
        print("starting Ceph ...", flush=True)
        (folder / "servers").write_bytes(pickle.dumps({"rgw": stack.enter_context(rgw.server())}))
        env = {**os.environ, servers.GIVEN: str(folder / "servers"), "GATEWAY_TEST_S3": "rgw"}
        if asked.paths:
            return pytest(env, asked.paths)
        on_ceph = {**env, "GATEWAY_TEST_SWIFT_ON": "rgw"}
        return max(pytest(env, [str(FOLDER)]), pytest(on_ceph, [str(FOLDER / "test_swift.py")]))


def pytest(env: Mapping[str, str], paths: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *paths], env=env, check=False).returncode


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stores", description=__doc__)
    parser.add_argument("paths", nargs="*", help="other tests than those of this folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
