"""Counts of how imports ended, and openings: exact under many transactions and many processes at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.catalog import open_catalog
from gateway.model.errors import Conflict, NotFound
from gateway.model.trust import History, Opening
from tests.catalog.made import NOW

ENDING = """
import asyncio, sys
from gateway.catalog import open_catalog
from gateway.model.errors import Conflict
from tests.catalog.made import NOW
from tests.catalog.test_trust import opening

async def end(place, name):
    opened = 0
    async with open_catalog(place) as catalog:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(40):
            async with catalog.begin() as tx:
                await tx.count_import("alice", accepted=number % 4 != 0, now=NOW)
        for number in range(10):
            try:
                async with catalog.begin() as tx:
                    await tx.add_opening(opening(f"{name}-{number}", rule=f"p/{number}"))
                opened += 1
            except Conflict:
                pass
    print(opened)

asyncio.run(end(*sys.argv[1:]))
"""


def opening(id_: str, *, project: str = "alice", rule: str = "p/r", hours: int = 1) -> Opening:
    return Opening(
        id=id_,
        project=project,
        rule=rule,
        reason="because",
        opened_by="u",
        opened_at=NOW,
        until=NOW + timedelta(hours=hours),
    )


def test_two_processes_count_every_ending_and_open_a_rule_once(either: Path | str) -> None:
    async def known() -> tuple[History, int]:
        async with open_catalog(either) as catalog, catalog.read() as tx:
            return await tx.history("alice"), len(await tx.openings("alice", now=NOW))

    assert asyncio.run(known()) == (History(), 0)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", dedent(ENDING), str(either), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    opened = 0
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        opened += int(out)
    assert opened == 10
    assert asyncio.run(known()) == (History(60, 20, NOW), 10)


def test_two_that_end_at_once_count_two(either: Path | str) -> None:
    async def scene() -> History:
        async with open_catalog(either) as catalog:

            async def end(accepted: bool) -> None:
                async with catalog.begin() as tx:
                    await tx.count_import("alice", accepted=accepted, now=NOW)

            await asyncio.gather(*(end(number % 2 == 0) for number in range(20)))
            async with catalog.read() as tx:
                return await tx.history("alice")

    assert asyncio.run(scene()) == History(10, 10, NOW)


def test_what_is_rolled_back_does_not_count(either: Path | str) -> None:
    async def scene() -> History:
        async with open_catalog(either) as catalog:

            async def lost() -> None:
                async with catalog.begin() as tx:
                    await tx.count_import("alice", accepted=True, now=NOW)
                    raise Conflict("lost")

            with pytest.raises(Conflict):
                await lost()
            async with catalog.read() as tx:
                return await tx.history("alice")

    assert asyncio.run(scene()) == History()


def test_the_first_accepted_import_stays_the_first(either: Path | str) -> None:
    async def scene() -> list[History]:
        found = []
        async with open_catalog(either) as catalog:
            for days, accepted in ((0, False), (1, True), (5, True), (6, False)):
                async with catalog.begin() as tx:
                    await tx.count_import("alice", accepted=accepted, now=NOW + timedelta(days=days))
                async with catalog.read() as tx:
                    found.append(await tx.history("alice"))
                    assert await tx.history("bob") == History()
        return found

    first = NOW + timedelta(days=1)
    assert asyncio.run(scene()) == [History(0, 1), History(1, 1, first), History(2, 1, first), History(2, 2, first)]


def test_openings_by_project_and_time(either: Path | str) -> None:
    async def scene() -> None:
        async with open_catalog(either) as catalog:
            async with catalog.begin() as tx:
                for one in (opening("1"), opening("2", rule="p/s", hours=3), opening("3", project="bob")):
                    await tx.add_opening(one)
            with pytest.raises(Conflict):
                async with catalog.begin() as tx:
                    await tx.add_opening(opening("4"))
            async with catalog.begin() as tx:
                open_for = Counter([one.project for one in await tx.openings(None, now=NOW)])
                assert open_for == {"alice": 2, "bob": 1}
                later = NOW + timedelta(hours=1)
                assert [one.id for one in await tx.openings("alice", now=later)] == ["2"]
                with pytest.raises(NotFound):
                    await tx.end_opening("1", by="v", now=later)
                ended = await tx.end_opening("2", by="v", now=later)
                assert (ended.ended_by, ended.ended_at) == ("v", later)
                assert await tx.openings("alice", now=later) == []
                assert await tx.opening("2") == ended

    asyncio.run(scene())
