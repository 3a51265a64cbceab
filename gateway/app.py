"""The composition root: settings become adapters, adapters a site, the site a Starlette application.

Everything that has to be closed again is registered on one AsyncExitStack, in the order it was opened.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.types import ASGIApp

from gateway import fronting, governing, lifecycle, metadefs
from gateway.api.errors import exception_handlers
from gateway.api.framing import FrontLimits
from gateway.api.front import Front
from gateway.api.guard import Guard
from gateway.api.image_schema import ImageRules
from gateway.api.protocol import timed_head
from gateway.api.routes import routes
from gateway.catalog import open_catalog
from gateway.decisionlog import JsonLines
from gateway.equipping import equip
from gateway.identity import IDENTITIES
from gateway.jobs.heartbeat import Lease
from gateway.jobs.queue import ImportQueue
from gateway.logs import set_up_logging
from gateway.methods import offered
from gateway.model.errors import Refusal
from gateway.policy.rules import Policy
from gateway.ports import Catalog, Clock, Identity, Method
from gateway.service import elsewhere, reaper, receipts, worker
from gateway.service.afterwards import after_stages
from gateway.service.metrics import Metrics
from gateway.service.policies import PolicyTrees, beside_the_loop
from gateway.service.site import Limits, Site
from gateway.service.spool import Spool
from gateway.service.toolchecks import log_tools
from gateway.settings import Settings
from gateway.sourcing import fetch_rules
from gateway.stages.pipeline import runnable
from gateway.storing import open_stores
from gateway.tools.receiptkeys import open_receipt_keys
from gateway.tools.seal import open_seal
from gateway.tools.webhooks import SiteWebhooks

log = logging.getLogger("gateway")

SWITCH_SECONDS = 0.0005
MANY = 2


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Site]:
    """A site at work: records open, imports carried out, reaper sweeping. Raises Refusal or Problems before that."""
    async with AsyncExitStack() as stack:
        lifecycle.own_folder(settings, stack)
        wake = asyncio.Event()
        live = governing.live_folder(settings, tuple(_methods(settings)))
        tree = await beside_the_loop(live.first)
        site, queue = await _site(settings, stack, wake, tree.policy)
        await governing.govern(site, settings, live, tree, stack)
        if settings.metadefs.enabled:
            await metadefs.create_tables(site)
        await lifecycle.join(site, settings, partial(_records, settings), stack)
        await reaper.settle_dead(site)
        await receipts.sign_waiting(site)
        await log_tools(site)
        stack.push_async_callback(queue.stop, lifecycle.QUIET_SECONDS)
        for work in (queue.forever(partial(worker.run, site)), reaper.forever(site, wake), elsewhere.forever(site)):
            stack.callback(asyncio.create_task(work).cancel)
        stack.push_async_callback(lifecycle.quiet, site)
        stack.push_async_callback(lifecycle.drain, site)
        yield site


# Its length is its parts: one line for each, in the only place that knows them all.
async def _site(
    settings: Settings, stack: AsyncExitStack, wake: asyncio.Event, tree: Policy
) -> tuple[Site, ImportQueue]:
    catalog = await stack.enter_async_context(_records(settings))
    rules, seal = fetch_rules(settings), open_seal(settings.secret_key_path)
    clock, metrics = SystemClock(), Metrics()
    equipment = equip(settings.stages, clock, rules)
    stores = await asyncio.to_thread(open_stores, settings, rules, seal, metrics.stored)
    for store in stores.values():
        stack.callback(store.close)
    lease, writer = Lease(), str(uuid.uuid4())
    queue = _queue(settings, catalog, clock, lease, writer)

    def hang_up(refusal: Refusal) -> None:
        rules.lines.cut(refusal)
        equipment.cut(refusal)

    site = Site(
        catalog=catalog,
        stores=stores,
        metrics=metrics,
        weights={store.name: store.weight for store in settings.stores},
        default_store=settings.default_store.name,
        methods=offered(rules, stores=_copied_among(settings)),
        stages=runnable(equipment.tools) | after_stages(equipment.webhooks, converter=equipment.converter is not None),
        tools=equipment.tools,
        webhooks=SiteWebhooks(equipment.webhooks),
        tool_checks=equipment.checks,
        converter=equipment.converter,
        spool=await _spool(settings),
        upstream=fronting.reach(settings, stack, metrics),
        policy=PolicyTrees(tree, governing.recompiled(settings, tree.methods)),
        decisions=_decision_log(settings, stack),
        jobs=queue,
        seal=seal,
        receipts=open_receipt_keys(settings.receipt_key_path, settings.receipts.retired),
        clock=clock,
        limits=limits(settings),
        writer=writer,
        lease=lease,
        new_id=lambda: str(uuid.uuid4()),
        kick_reaper=wake.set,
        hang_up=hang_up,
    )
    return site, queue


def _queue(settings: Settings, catalog: Catalog, clock: Clock, lease: Lease, writer: str) -> ImportQueue:
    imports = settings.imports
    return ImportQueue(
        catalog=catalog,
        clock=clock,
        runner=writer,
        slots=imports.concurrency,
        cap=imports.per_project,
        may_claim=lease.held,
    )


def _decision_log(settings: Settings, stack: AsyncExitStack) -> JsonLines:
    log = settings.policy.decision_log
    decisions = JsonLines(settings.decision_log_path, fsync=log.fsync, required=log.required)
    stack.callback(decisions.close)
    return decisions


async def _spool(settings: Settings) -> Spool:
    spool = Spool(settings.spool_path, settings.stages.convert.spool_size)
    await asyncio.to_thread(spool.clear)
    return spool


def _records(settings: Settings) -> AbstractAsyncContextManager[Catalog]:
    catalog = settings.catalog
    return open_catalog(settings.catalog_url, pool_size=catalog.pool_size, password_file=catalog.password_file)


def limits(settings: Settings) -> Limits:
    imports = settings.imports
    return Limits(
        abandoned_after=timedelta(seconds=imports.abandoned_after),
        staged_after=timedelta(seconds=imports.staged_after),
        upload_expires=timedelta(seconds=imports.upload_expires),
        upload_part=imports.upload_part,
        reaper_interval=timedelta(seconds=imports.reaper_interval),
        progress_interval=timedelta(seconds=imports.progress_interval),
        attempts=imports.retries + 1,
        image_hash=settings.images.hash,
        md5=settings.images.md5,
        verify_downloads=settings.images.verify_downloads,
        members=settings.images.max_members,
        properties=settings.images.max_properties,
        approval_after=timedelta(seconds=settings.stages.approve.expires),
        approve_own=settings.stages.approve.own,
        disk_formats=settings.images.disk_formats,
        container_formats=settings.images.container_formats,
    )


def _methods(settings: Settings) -> dict[str, Method]:
    return offered(fetch_rules(settings), stores=_copied_among(settings))


def _copied_among(settings: Settings) -> int:
    """How many stores copy-image may choose from; an image service behind the gateway has as many as it says."""
    return len(settings.stores) if settings.backend == "stores" else MANY


def load_policy(settings: Settings) -> Policy:
    """The tree of the settings. Raises Problems: the service does not start without a valid tree."""
    return governing.live_folder(settings, tuple(_methods(settings))).first().policy


def identity(settings: Settings) -> Identity:
    return IDENTITIES[settings.identity.type](settings.identity)


def starlette_app(settings: Settings, site: Site, who: Identity) -> ASGIApp:
    front = Front(
        site=site,
        identity=who,
        public_endpoint=settings.server.public_endpoint,
        store_descriptions={store.name: store.description for store in settings.stores},
        metrics=settings.server.metrics,
        passing=fronting.passing(settings, site),
    )
    own = settings.metadefs.enabled and front.passing is None
    more = (metadefs.routes(front), metadefs.SHAPES) if own else ()
    listed = routes(front, image_rules(settings), *more)
    app = Starlette(routes=listed, exception_handlers=exception_handlers(who.challenge))
    app.router.redirect_slashes = False
    server = settings.server
    front_limits = FrontLimits(
        headers=server.max_headers,
        header_bytes=server.max_header_size,
        idle=server.idle_timeout,
        rate=server.minimum_rate,
    )
    in_front = front.passing is not None
    return Guard(app, limits=front_limits, public_endpoint=server.public_endpoint, in_front=in_front)


def image_rules(settings: Settings) -> ImageRules:
    images = settings.images
    return ImageRules(
        disk_formats=images.disk_formats,
        container_formats=images.container_formats,
        max_properties=images.max_properties,
        max_tags=images.max_tags,
        show_locations=images.show_locations,
    )


def serve(settings: Settings, *, demo: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Open requests get `shutdown_timeout`; open imports go on after the next start."""
    set_up_logging(settings.log.level, settings.log.format)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a tree that could be read again
    # A thread that comes back from hashing a block waits this long for the interpreter while the loop is busy; the
    # default of 5 ms is longer than hashing the block took.
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, demo))


async def _serve(settings: Settings, demo: bool) -> None:
    async with aclosing(identity(settings)) as who, running(settings) as site:
        config = _uvicorn(settings, starlette_app(settings, site, who))
        listening = _listening(config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _look_again, site)
        site.address = lifecycle.address(listening.getsockname()[1])
        # On standard output, for people and for scripts that wait for it.
        print(_welcome(listening.getsockname(), demo), flush=True)  # noqa: T201
        draining = lifecycle.Draining(site, settings.server.drain_notice)
        await lifecycle.Server(config, draining).serve([listening])


def _look_again(site: Site) -> None:
    for watched in site.trees.values():
        watched.ask()


def _listening(config: uvicorn.Config) -> socket.socket:
    """Bound, and answering from now on: whoever reads the welcome line may connect.

    Accepted sockets inherit NODELAY; without it an answer's body waits 40 ms for the acknowledgement of its head.
    """
    listening = config.bind_socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.listen(config.backlog)
    return listening


def _welcome(address: tuple[str, int], demo: bool) -> str:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    line = f"Import Gateway serves http://{host}:{address[1]}"
    return f"{line} for stranger, silver, gold and admin (password: demo)" if demo else line


def _uvicorn(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    server = settings.server
    return uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        http=timed_head(server.header_timeout, server.max_header_size),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(server.shutdown_timeout),
    )
