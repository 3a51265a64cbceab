"""`make interop`: a real Keystone and the gateway on loopback, judged by tempest and by the stock clients.

Everything is installed from PyPI into a virtual environment of its own, started here, and stopped here.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.interop import clients
from tests.interop.cloud import administered, seed
from tests.interop.front import judge_front
from tests.interop.gateway import complaints, gateway, settings
from tests.interop.installed import SetupFailed, installed
from tests.interop.keystone import keystone
from tests.interop.report import Outcome, good, live
from tests.interop.running import NotServing, free_ports
from tests.interop.samples import WEB_IMAGE, write_samples, write_web
from tests.interop.tempest import prepared
from tests.interop.web import web

SUITE = r"^tempest\.api\.image"


def main() -> int:
    # A stop unwinds like any other error, so that what was started ends and what was written goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    asked = arguments()
    with ExitStack() as stack:
        passing = tempfile.TemporaryDirectory(prefix="import-gateway-interop-")
        folder = asked.folder or Path(stack.enter_context(passing))
        folder.mkdir(parents=True, exist_ok=True)
        programs = installed(asked.venv.absolute(), folder / "install.log")
        chosen = judge_front if asked.front else judge_alone
        return verdict(chosen(stack, asked, folder.absolute(), programs))


def judge_alone(
    stack: ExitStack, asked: argparse.Namespace, folder: Path, programs: Path
) -> Mapping[str, Iterable[Outcome]]:
    identity_port, image_port, web_port = free_ports(3)
    write_web(folder / "web")
    source = stack.enter_context(web(folder / "web", web_port))
    auth_url = stack.enter_context(keystone(programs, folder / "keystone", identity_port))
    image_url = f"http://127.0.0.1:{image_port}"
    # A second address of the one service: what one endpoint was told, the other knows.
    seed(administered(auth_url), image_url, f"http://localhost:{image_port}")
    alone = settings(image_url, image_port, auth_url, [web_port, image_port])
    stack.enter_context(gateway(folder / "gateway", image_port, alone))
    print(f"Keystone {auth_url}, gateway {image_url}, sources {source}", flush=True)
    suite = prepared(
        programs, folder / "tempest", auth_url=auth_url, web_image=f"{source}/{WEB_IMAGE}",
        manifest=write_samples(folder / "samples"), concurrency=asked.concurrency, seconds=asked.seconds,
    )  # fmt: skip
    stock = clients.Clients(
        folder / "clients", auth_url, image_url, f"{source}/{WEB_IMAGE}", folder / "web" / WEB_IMAGE
    )
    judges = {"tempest": suite.run(asked.regex), "stock clients": stock.run()}
    chosen = judges if asked.only is None else {asked.only: judges[asked.only]}
    return {**chosen, "gateway": complaints(folder / "gateway")}


def verdict(judges: Mapping[str, Iterable[Outcome]]) -> int:
    """0 where each judge passed something and nothing failed."""
    heard = {name: live(name, outcomes) for name, outcomes in judges.items()}
    return 0 if all(good(outcomes) for outcomes in heard.values()) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv-interop"), help="where Keystone and tempest are kept")
    parser.add_argument("--folder", type=Path, help="a new folder for settings, logs and records; kept at the end")
    parser.add_argument("--front", action="store_true", help="in front of a real Glance, beside that Glance alone")
    parser.add_argument("--only", choices=("tempest", "stock clients", "cases"), help="ask one judge alone")
    parser.add_argument("--regex", default=SUITE, help="tests of the suite to run (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=900, help="how long a run of the suite may take")
    asked = parser.parse_args()
    if asked.only == "cases" and not asked.front:
        parser.error("the policy cases need --front")
    if asked.folder and asked.folder.exists() and any(asked.folder.iterdir()):
        parser.error(f"{asked.folder} is not empty")
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupFailed, NotServing) as error:
        sys.exit(str(error))
