"""`make interop` once more: the gateway in front of a real Glance, beside that Glance alone.

The gateway's own user has the rights that `examples/in-front-of-glance` gives it, and no others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.interop.cases import Both
from tests.interop.clients import Clients
from tests.interop.cloud import SERVICE_ROLES, SERVICE_USER, administered, seed
from tests.interop.compared import compared, outcomes, table
from tests.interop.databases import databases
from tests.interop.gateway import complaints, fronting, gateway
from tests.interop.glance import FOLDERS, GLANCE_USER, glance
from tests.interop.keystone import REGION, keystone
from tests.interop.report import Outcome, live
from tests.interop.running import free_ports
from tests.interop.samples import UNUSABLE, WEB_IMAGE, write_samples, write_web
from tests.interop.tempest import Tempest, prepared
from tests.interop.web import web
from tests.serving.process import Process

ALONE = "Alone"
"""The region whose image service is Glance itself."""

UNTOLD = ("vhd-fixed", *UNUSABLE)
"""Glance tells a vhd by its header, and the first has none. What it refuses within an import stays `importing` there,
unless a plugin converts it; and what is behind the gateway must not convert what was judged."""

ROLE = "image_gateway"
EXAMPLE = Path(__file__).parents[2] / "examples" / "in-front-of-glance"
SERVICES = {SERVICE_USER: ("service", ROLE), GLANCE_USER: SERVICE_ROLES}


@dataclass(frozen=True, slots=True)
class Site:
    """A cloud with the gateway in front of its Glance; `folder` holds what they wrote."""

    folder: Path
    auth_url: str
    alone: str
    gateway: Process
    source: str

    @property
    def front(self) -> str:
        return self.gateway.url

    @property
    def web_image(self) -> str:
        return f"{self.source}/{WEB_IMAGE}"


def fronted(stack: ExitStack, folder: Path, programs: Path, *, processes: int = 1) -> Site:
    """Keystone, Glance (in `processes`) and the gateway, until the stack is closed. Raises NotServing, SetupFailed."""
    folder.mkdir(exist_ok=True)
    identity, behind, public, web_port = free_ports(4)
    write_web(folder / "web")
    source = stack.enter_context(web(folder / "web", web_port))
    database = stack.enter_context(databases())
    rights = EXAMPLE / "keystone-policy.yaml"
    auth_url = stack.enter_context(keystone(programs, folder / "keystone", identity, rights, database))
    _offer(auth_url, behind, public)
    fetched = [web_port, behind, public]
    alone = stack.enter_context(
        glance(
            programs, folder / "glance", behind, auth_url, fetched=fetched, processes=processes,
            policy=EXAMPLE / "glance-policy.yaml", database=database,
        )
    )  # fmt: skip
    settings = fronting(public, auth_url, fetched, alone)
    made = stack.enter_context(gateway(folder / "gateway", public, settings))
    print(f"Keystone {auth_url}, Glance {alone}, gateway in front {made.url}, sources {source}", flush=True)
    return Site(folder, auth_url, alone, made, source)


def _offer(auth_url: str, behind: int, public: int) -> None:
    """Two regions of one cloud: in one its image service is the gateway, in the other it is Glance."""
    cloud = administered(auth_url)
    cloud.make("role", name=ROLE)
    seed(cloud, f"http://127.0.0.1:{public}", f"http://localhost:{public}", SERVICES)
    cloud.make("region", id=ALONE)
    cloud.offer("image", "glance", f"http://127.0.0.1:{behind}", ALONE)
    cloud.offer("image_remote", "glance-second", f"http://localhost:{behind}", ALONE)


def judge_front(
    stack: ExitStack, asked: argparse.Namespace, folder: Path, programs: Path
) -> Mapping[str, Iterable[Outcome]]:
    """The judges of a gateway in front of Glance; the suite runs against Glance alone first."""
    site = fronted(stack, folder, programs)
    judges: dict[str, Iterable[Outcome]] = {}
    if asked.only in (None, "tempest"):
        suite = [_suite(site, asked, programs, region) for region in (ALONE, REGION)]
        alone, front = (live(name, one.run(asked.regex)) for name, one in zip(("Glance", "front"), suite, strict=True))
        tests = compared(alone, front)
        print(table(tests), flush=True)
        judges["tempest in front"] = outcomes(tests)
    if asked.only in (None, "stock clients"):
        image = folder / "web" / WEB_IMAGE
        judges["stock clients in front"] = Clients(
            folder / "clients", site.auth_url, site.front, site.web_image, image
        ).run()
    if asked.only in (None, "cases"):
        kept = tuple(folder / "glance" / name for name in FOLDERS)
        judges["policy cases"] = Both(site.auth_url, site.alone, site.front, site.web_image, kept).run()
    return {**judges, "gateway": complaints(folder / "gateway")}


def _suite(site: Site, asked: argparse.Namespace, programs: Path, region: str) -> Tempest:
    samples = site.folder / f"samples-{region}"
    return prepared(
        programs, site.folder / f"tempest-{region}", auth_url=site.auth_url, web_image=site.web_image,
        manifest=write_samples(samples, UNTOLD), concurrency=asked.concurrency, seconds=asked.seconds,
        region=region, locations=region == ALONE, enforced=True, patience=120,
    )  # fmt: skip
