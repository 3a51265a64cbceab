"""A process among others: how it joins those that work on the same records, and how it leaves them.

On SQLite it is alone, by the lock on its data folder. On PostgreSQL each has a data folder of its own, a lease that
its signs of life hold, and the same keys as the others.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from gateway.jobs.heartbeat import Heartbeat, bury_dead
from gateway.model.errors import Conflict, Interrupted, Unavailable
from gateway.model.process import Process
from gateway.ports import Catalog
from gateway.service.site import Site
from gateway.settings import Settings

log = logging.getLogger("gateway")

QUIET_SECONDS = 5
"""What deliveries get to end, once nobody waits for them any more."""

HANDING_SECONDS = 3
"""What a database gets to take back this process's imports. With the default time limits a stop is over in 30 s."""

OpenRecords = Callable[[], AbstractAsyncContextManager[Catalog]]


def own_folder(settings: Settings, stack: AsyncExitStack) -> None:
    """One process a data folder: its log, its spool and, on SQLite, its records rest on it. Raises Conflict."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(settings.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Conflict(
            f"The data folder {settings.data} is used by another gateway.",
            remedy="Stop that one, or name another folder with --data.",
            code="data-in-use",
        ) from None


async def join(site: Site, settings: Settings, open_records: OpenRecords, stack: AsyncExitStack) -> None:
    """From now on this process is one of those on these records. Raises Conflict for keys that are not theirs."""
    async with site.catalog.begin() as tx:
        now = await tx.clock()
    me = Process(
        id=site.writer,
        host=address(settings.server.port),
        slots=settings.imports.concurrency,
        lease=timedelta(seconds=settings.imports.lease) if settings.is_shared else None,
        started_at=now,
        beat_at=now,
    )
    stack.push_async_callback(_leave, site)
    if settings.is_shared:
        await _share_key(site, settings.secret_key_path)
        await _succeed(site, settings.data / "process")
        await _live(site, me, open_records, stack)
    else:
        async with site.catalog.begin() as tx:
            await tx.beat(_as_of_now(site, me))
            await bury_dead(tx, alone=site.writer)


async def _succeed(site: Site, file: Path) -> None:
    """Who had this data folder before is dead, by its lock: nobody has to wait for the end of that lease."""
    async with site.catalog.begin() as tx:
        await tx.leave(await asyncio.to_thread(_former, file))
        await tx.release_imports()
    await asyncio.to_thread(file.write_text, site.writer)


def _former(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def address(port: int) -> str:
    """Where operators find this process."""
    return f"{socket.gethostname()}:{port}"


async def _live(site: Site, me: Process, open_records: OpenRecords, stack: AsyncExitStack) -> None:
    loop = asyncio.get_running_loop()

    def soon(act: Callable[[], None]) -> Callable[[], None]:
        return lambda: _soon(loop, act)

    assert me.lease is not None
    heartbeat = Heartbeat(
        open_records=open_records,
        now=partial(_as_of_now, site, me),
        lease=me.lease,
        buried=soon(partial(_buried, site)),
        freed=soon(partial(_freed, site)),
        held=site.lease,
    )
    await heartbeat.beat(site.catalog)
    heartbeat.start()
    stack.push_async_callback(asyncio.to_thread, heartbeat.stop)


def _soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(act)


def _as_of_now(site: Site, me: Process) -> Process:
    host = site.address or me.host
    return replace(me, host=host, revision=site.policy.tree.revision, draining=site.draining)


def _buried(site: Site) -> None:
    """Others go on with what this process was doing, so it must not."""
    site.halt(Interrupted("This gateway was away for too long; others took over.", remedy="Send the request again."))
    site.kick_reaper()


def _freed(site: Site) -> None:
    site.jobs.kick()
    site.kick_reaper()


async def _leave(site: Site) -> None:
    """What this process still held is anybody's at once."""
    try:
        async with site.catalog.begin() as tx:
            await tx.leave(site.writer)
            await tx.release_imports()
    except Unavailable as away:
        log.warning("others will find out by themselves that this gateway has stopped: %s", away.message)


async def _share_key(site: Site, path: Path) -> None:
    """What one process seals, another has to open."""
    fingerprint = hashlib.sha256(b"import-gateway secret_key\0" + await asyncio.to_thread(path.read_bytes)).hexdigest()
    async with site.catalog.begin() as tx:
        if not await tx.share_key("secret_key", fingerprint):
            raise Conflict(
                f"The other gateways on this database have another secret key than {path}.",
                remedy="Copy theirs to this machine, mode 0600, and name it in gateway.yaml (secret_key).",
                code="key-differs",
            )


async def drain(site: Site) -> None:
    """No new work: balancers are told to go elsewhere, imports are handed back at once. What came is still served."""
    site.draining = True
    log.info("draining: %d deliveries are under way", len(site.writing))
    try:
        async with asyncio.timeout(HANDING_SECONDS):
            await site.jobs.close()
    except (Unavailable, TimeoutError) as away:
        log.warning("imports are taken over, not handed back: %s", away)


async def quiet(site: Site) -> None:
    """Deliveries end before what they write to is closed. A source that is silent is not waited for."""
    stopping = Interrupted("The gateway is stopping.", remedy="Imports go on after its restart.")
    site.hang_up(stopping)
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            while site.writing:
                site.halt(stopping)
                await asyncio.sleep(0.02)
    except TimeoutError:
        log.warning("%d deliveries did not end in time", len(site.writing))


@dataclass(slots=True)
class Draining:
    """Stands between the signal and the server's own stop: first `drain`, then `notice` seconds for balancers."""

    site: Site
    notice: float

    async def __call__(self, stop: Callable[[], None]) -> None:
        try:
            await drain(self.site)
            await asyncio.sleep(self.notice)
        finally:
            stop()


class Server(uvicorn.Server):
    """Drains at the first signal; a second one stops it as uvicorn does."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining
        self._going: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._going is None and not self.should_exit:
            self._captured_signals.append(sig)
            self._loop.call_soon_threadsafe(self._drain)
        else:
            super().handle_exit(sig, frame)

    def _drain(self) -> None:
        if self._going is None:
            self._going = asyncio.ensure_future(self._draining(self._stop))

    def _stop(self) -> None:
        self.should_exit = True
