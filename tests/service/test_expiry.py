"""What a waiting import comes to with time, by a clock that is set: passes of the reaper before and at its end."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.catalog import open_catalog
from gateway.decisionlog import JsonLines
from gateway.model.approval import Approval, ApprovalState
from gateway.model.caller import Caller
from gateway.model.errors import Conflict
from gateway.model.image import BlobState, Move, Status
from gateway.model.imports import Import, ImportStatus
from gateway.service.approvals import Word, decide
from gateway.service.reaper import sweep
from gateway.service.site import Limits, Site
from tests.catalog.made import NOW, added, blob, image, work
from tests.serving.backing import catalog_url
from tests.serving.opened import opened

APPROVER = Caller(project_id="b", user_id="b", roles=("approver",))
WAITS = timedelta(days=7)


class NoJobs:
    """An engine that has finished all it had: what is parked is not in its hands."""

    async def holds(self, import_id: str, turn: int = 0) -> bool:
        return False


class Clock:
    now_is = NOW

    def now(self) -> Any:
        return self.now_is


def site_of(catalog: Any, home: Path, clock: Any) -> Site:
    unused: Any = None
    jobs: Any = NoJobs()
    policy: Any = SimpleNamespace(tree=None)
    log = JsonLines(home / "decisions.jsonl", fsync=False, required=True)
    return Site(
        catalog=catalog, stores={"local": opened(home)}, default_store="local", methods={},
        stages=frozenset(), policy=policy, decisions=log, jobs=jobs, seal=unused, clock=clock, limits=Limits(),
        writer="w2", new_id=unused,
    )  # fmt: skip


async def parked(catalog: Any) -> Import:
    """An import that waits since NOW, and its staged bytes."""
    one = image(owner="alice")
    waiting = work(one, facts={"project.id": "alice"})
    approval = Approval(
        import_id=waiting.id, role="approver", image_id=one.id, digest="md5:0", asked_at=NOW, expires_at=NOW + WAITS
    )
    await added(catalog, one)
    async with catalog.begin() as tx:
        await tx.move_image(one.id, Move.IMPORT_SOURCE, now=NOW)
        await tx.add_import(waiting)
        await tx.begin_attempt(waiting.id, now=NOW)
        await tx.add_blob(blob(one, state=BlobState.STAGED))
        await tx.add_approval(approval)
    return waiting


def test_it_waits_to_its_last_moment_and_no_longer(tmp_path: Path) -> None:
    async def scene() -> None:
        async with open_catalog(catalog_url(tmp_path)) as catalog:
            clock = Clock()
            waiting, site = await parked(catalog), site_of(catalog, tmp_path, clock)
            for after in (timedelta(0), timedelta(hours=30), WAITS - timedelta(seconds=1)):
                clock.now_is = NOW + after
                await sweep(site)
                async with catalog.read() as tx:
                    assert (await tx.import_(waiting.id)).status is ImportStatus.PROCESSING
                    assert [one.state for one in await tx.blobs(waiting.image_id)] == [BlobState.STAGED]
            clock.now_is = NOW + WAITS
            with pytest.raises(Conflict) as late:
                await decide(site, APPROVER, waiting.id, Word(ApprovalState.APPROVED, ""))
            assert late.value.code == "approval-expired"
            await sweep(site)
            async with catalog.read() as tx:
                ended = await tx.import_(waiting.id)
                assert (ended.status, ended.code) == (ImportStatus.FAILURE, "approval-expired")
                assert (await tx.image(waiting.image_id)).status is Status.QUEUED
                assert [one.state for one in await tx.blobs(waiting.image_id)] in ([], [BlobState.DOOMED])

    asyncio.run(scene())
    (line,) = (tmp_path / "decisions.jsonl").read_text().splitlines()
    assert json.loads(line)["event"] == "import-expired"
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "approval-event.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(line))


def test_a_refusal_whose_import_was_left_open_by_a_crash_ends_by_its_own_name(tmp_path: Path) -> None:
    async def scene() -> None:
        async with open_catalog(catalog_url(tmp_path)) as catalog:
            waiting = await parked(catalog)
            async with catalog.begin() as tx:
                (approval,) = await tx.approvals(waiting.id)
                refused = {"state": ApprovalState.REFUSED, "decided_by": "b", "decided_at": NOW, "reason": "Too old."}
                assert await tx.decide_approval(Approval(**{**_fields(approval), **refused}))
                assert not await tx.decide_approval(Approval(**{**_fields(approval), **refused}))
            await sweep(site_of(catalog, tmp_path, Clock()))
            async with catalog.read() as tx:
                ended = await tx.import_(waiting.id)
            assert ended.code == "approval-refused"
            assert "Too old." in ended.message

    asyncio.run(scene())


def _fields(approval: Approval) -> dict[str, Any]:
    return {name: getattr(approval, name) for name in approval.__slots__}
