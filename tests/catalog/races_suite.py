"""What every catalog must hold when many write at once, through two catalogs on one database as two gateways do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway.catalog import open_catalog
from gateway.model.approval import Approval, ApprovalState
from gateway.model.errors import Cancelled, Conflict, NotFound, Refusal, TooLarge
from gateway.model.image import BlobState, Image, Move, Status
from gateway.model.imports import ImportMove, ImportStatus
from gateway.model.member import Member
from gateway.model.receipt import Receipt
from gateway.model.stop import Stop, StopKind
from gateway.model.trust import History, Opening
from gateway.model.usage import Counted, Quota
from gateway.ports import Catalog, Transaction
from gateway.service.images import doom, end_imports
from gateway.service.usage import hold
from tests.catalog.made import LATER, NOW, added, blob, image, work

MANY = 32

Act = Callable[[Catalog, int], Awaitable[Any]]
Step = Callable[[Transaction, int], Awaitable[Any]]


def raced(place: Path | str, scene: Callable[[Race], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with AsyncExitStack() as stack:
            return await scene(Race([await stack.enter_async_context(open_catalog(place)) for _ in range(2)]))

    return asyncio.run(run())


class Race:
    """Two catalogs on one database."""

    def __init__(self, catalogs: Sequence[Catalog]) -> None:
        self.catalogs = catalogs
        self.one = catalogs[0]

    async def outcomes(self, *steps: Step, count: int = MANY) -> Counter[str]:
        """So many transactions at once, each doing one of `steps`: how often which refusal, `done` where none."""

        async def run(number: int) -> str:
            try:
                async with self.catalogs[number // len(steps) % 2].begin() as tx:
                    await steps[number % len(steps)](tx, number)
            except (Refusal, Refused) as refused:
                return getattr(refused, "code", "refused")
            return "done"

        return Counter(await asyncio.gather(*map(run, range(count))))


class Refused(Exception):
    """Said by a step that looked first."""


async def used(catalog: Catalog, project: str, counted: Counted) -> int:
    async with catalog.read() as tx:
        return await tx.used(project, counted)


class RacesSuite:
    def test_of_many_imports_of_an_image_one_begins(self, place: Path | str) -> None:
        one = image()

        async def begin(tx: Transaction, number: int) -> None:
            await tx.move_image(one.id, Move.IMPORT_SOURCE, now=LATER)
            await doom(tx, await tx.blobs(one.id))
            await tx.add_import(work(one, id=f"import-{number}"))
            await hold(tx, "alice", [Quota(max_active_imports=5)], {Counted.IMPORTS: 1})

        async def scene(race: Race) -> None:
            await added(race.one, one)
            assert await race.outcomes(begin) == {"done": 1, "status-conflict": MANY - 1}

        raced(place, scene)

    def test_of_many_open_imports_the_database_takes_one(self, place: Path | str) -> None:
        one = image(status=Status.ACTIVE)

        async def scene(race: Race) -> None:
            await added(race.one, one)
            outcomes = await race.outcomes(lambda tx, number: tx.add_import(work(one, id=f"import-{number}")))
            assert outcomes == {"done": 1, "import-active": MANY - 1}

        raced(place, scene)

    def test_reservations_never_exceed_a_quota(self, place: Path | str) -> None:
        ones = [image() for _ in range(MANY)]
        size, limit = 10, 105

        async def reserve(tx: Transaction, number: int) -> None:
            mine = blob(ones[number])
            await tx.add_blob(mine)
            await tx.charge(mine.id, size)
            await hold(tx, "alice", [Quota(max_total_size=limit)], {Counted.SIZE: size})

        async def scene(race: Race) -> None:
            await added(race.one, *ones)
            outcomes = await race.outcomes(reserve)
            assert outcomes["done"] == limit // size
            assert await used(race.one, "alice", Counted.SIZE) == await used(race.one, "alice", Counted.UNFINISHED)
            assert await used(race.one, "alice", Counted.SIZE) == size * outcomes["done"]

        raced(place, scene)

    def test_records_and_imports_never_exceed_a_quota(self, place: Path | str) -> None:
        ones = [image(owner="bob") for _ in range(MANY)]

        async def create(tx: Transaction, number: int) -> None:
            await tx.add_image(image())
            await hold(tx, "alice", [Quota(max_images=5)], {Counted.IMAGES: 1})

        async def begin(tx: Transaction, number: int) -> None:
            await tx.move_image(ones[number].id, Move.IMPORT_SOURCE, now=LATER)
            await hold(tx, "bob", [Quota(max_active_imports=3)], {Counted.IMPORTS: 1})

        async def scene(race: Race) -> None:
            await added(race.one, *ones)
            outcomes = await race.outcomes(create, begin)
            assert outcomes["done"] == 5 + 3
            assert await used(race.one, "alice", Counted.IMAGES) == 5
            assert await used(race.one, "bob", Counted.IMPORTS) == 3

        raced(place, scene)

    def test_the_ledger_is_the_sum_of_the_blobs_whoever_owns_them_meanwhile(self, place: Path | str) -> None:
        ones = [image(owner="alice") for _ in range(4)]
        blobs = [blob(one) for one in ones for _ in range(2)]

        async def charge(tx: Transaction, number: int) -> None:
            await tx.charge(blobs[number % len(blobs)].id, number)

        async def hand_over(tx: Transaction, number: int) -> None:
            await tx.change_image(ones[number % 4].id, {"owner": ("alice", "bob", "carol")[number % 3]}, now=LATER)

        async def end(tx: Transaction, number: int) -> None:
            mine = blobs[number % len(blobs)].id
            await tx.move_blob(mine, *((BlobState.KEPT, {"size": 1000}) if number % 2 else (BlobState.DOOMED,)))

        async def scene(race: Race) -> None:
            await added(race.one, *ones)
            async with race.one.begin() as tx:
                for one in blobs:
                    await tx.add_blob(one)
            for _ in range(3):
                assert set(await race.outcomes(charge, hand_over)) == {"done"}
            assert set(await race.outcomes(charge, hand_over, end, count=60)) <= {"done", "blob-conflict"}
            for project in ("alice", "bob", "carol"):
                assert await used(race.one, project, Counted.SIZE) == await summed(race.one, project, ones)

        raced(place, scene)

    def test_changes_of_a_record_are_all_kept(self, place: Path | str) -> None:
        one = image()

        async def patch(tx: Transaction, number: int) -> None:
            found = await tx.image(one.id)
            assert found is not None
            values = {"properties": {**found.properties, f"p{number}": "x"}, "tags": (*found.tags, f"t{number}")}
            await tx.change_image(one.id, values, now=LATER)

        async def scene(race: Race) -> None:
            await added(race.one, one)
            assert await race.outcomes(patch) == {"done": MANY}
            async with race.one.read() as tx:
                found = await tx.image(one.id)
            assert found is not None
            assert (len(found.properties), len(found.tags)) == (MANY, MANY)

        raced(place, scene)

    def test_members_never_exceed_their_number(self, place: Path | str) -> None:
        one = image()

        async def add(tx: Transaction, number: int) -> None:
            await tx.image(one.id)
            if len(await tx.members(one.id)) >= 5:
                raise TooLarge("too many", code="too-many")
            await tx.add_member(Member(image_id=one.id, member_id=f"m{number}", created_at=NOW, updated_at=NOW))

        async def scene(race: Race) -> None:
            await added(race.one, one)
            assert await race.outcomes(add) == {"done": 5, "too-many": MANY - 5}

        raced(place, scene)

    def test_a_deleted_image_keeps_no_bytes_and_no_import(self, place: Path | str) -> None:
        """Whatever comes first of a publication, an attempt, new bytes and the deletion."""

        async def scene(race: Race) -> None:
            for round_ in range(8):
                one = image(status=Status.IMPORTING)
                await importing(race.one, one, f"import-{round_}")
                steps = (deletes(one), publishes(one, f"import-{round_}"), begins(f"import-{round_}"), writes(one))
                await race.outcomes(*steps[round_ % 4 :], *steps[: round_ % 4], count=16)
                async with race.one.read() as tx:
                    assert await tx.image(one.id) is None
                    assert {found.status for found in await tx.imports(one.id)} <= {"failure", "success"}
                    assert [b for b in await tx.blobs(one.id) if b.state is not BlobState.DOOMED] == []
                    assert list(await tx.locations(one.id)) == []

        raced(place, scene)

    def test_an_attempt_is_begun_by_one_and_only_the_last_publishes(self, place: Path | str) -> None:
        one = image(status=Status.IMPORTING)
        numbers: list[int] = []

        async def begin(tx: Transaction, number: int) -> None:
            numbers.append((await tx.begin_attempt("import", now=LATER)).attempt)

        async def succeed(tx: Transaction, number: int) -> None:
            await tx.move_import("import", ImportMove.SUCCEED, attempt=number + 1, now=LATER)

        async def scene(race: Race) -> None:
            await importing(race.one, one, "import")
            assert await race.outcomes(begin) == {"done": MANY}
            assert sorted(numbers) == list(range(1, MANY + 1))
            outcomes = await race.outcomes(succeed)
            assert outcomes == {"done": 1, "cancelled": MANY - 1}

        raced(place, scene)

    def test_an_approval_is_decided_once(self, place: Path | str) -> None:
        one = image(status=Status.IMPORTING)
        asked = Approval(
            import_id="import", role="", image_id=one.id, digest="sha256:0", asked_at=NOW, expires_at=LATER
        )

        async def decide(tx: Transaction, number: int) -> None:
            state = ApprovalState.APPROVED if number % 2 else ApprovalState.REFUSED
            if not await tx.decide_approval(replace(asked, state=state, decided_by=str(number), decided_at=LATER)):
                raise Refused

        async def scene(race: Race) -> None:
            await importing(race.one, one, "import")
            async with race.one.begin() as tx:
                await tx.add_approval(asked)
            assert await race.outcomes(decide) == {"done": 1, "refused": MANY - 1}

        raced(place, scene)

    def test_every_import_counts_in_the_history(self, place: Path | str) -> None:
        async def count(tx: Transaction, number: int) -> None:
            await tx.count_import("alice", accepted=number % 4 == 0, now=NOW + timedelta(seconds=number))

        async def scene(race: Race) -> None:
            assert await race.outcomes(count) == {"done": MANY}
            async with race.one.read() as tx:
                found = await tx.history("alice")
            assert found == History(MANY // 4, MANY - MANY // 4, found.first_at)
            assert found.first_at is not None

        raced(place, scene)

    def test_a_tree_a_stop_an_opening_and_a_receipt_are_kept_once(self, place: Path | str) -> None:
        one = image(status=Status.ACTIVE)

        async def keep_tree(tx: Transaction, number: int) -> None:
            await tx.keep_tree("sha256:1", {"a.yaml": "x"})

        async def add_stop(tx: Transaction, number: int) -> None:
            if await tx.stops():
                raise Refused
            await tx.add_stop(Stop(id=f"s{number}", kind=StopKind.METHOD, value="web-download", message="",
                                   reason="", added_by="o", added_at=NOW))  # fmt: skip

        async def open_rule(tx: Transaction, number: int) -> None:
            await tx.add_opening(Opening(id=f"o{number}", project="alice", rule="p/r", reason="", opened_by="o",
                                         opened_at=NOW, until=LATER))  # fmt: skip

        async def add_receipt(tx: Transaction, number: int) -> None:
            await tx.add_receipt(Receipt(image_id=one.id, statement="{}", at=NOW))

        async def scene(race: Race) -> None:
            await added(race.one, one)
            assert await race.outcomes(keep_tree) == {"done": MANY}
            assert await race.outcomes(add_stop) == {"done": 1, "refused": MANY - 1}
            assert await race.outcomes(open_rule) == {"done": 1, "already-open": MANY - 1}
            assert await race.outcomes(add_receipt) == {"done": 1, "conflict": MANY - 1}

        raced(place, scene)

    def test_images_of_one_project_end_beside_each_other(self, place: Path | str) -> None:
        """Each transaction is about another image, all move the same project's sums: nobody waits in a circle."""
        ones = [image(status=Status.IMPORTING) for _ in range(MANY)]

        async def end(tx: Transaction, number: int) -> None:
            name = f"import-{number}"
            if number % 2:
                await publishes(ones[number], name)(tx, number)
            else:
                await tx.move_import(name, ImportMove.FAIL, attempt=None, now=LATER)
                await tx.move_image(ones[number].id, Move.FAIL, now=LATER)
                await doom(tx, await tx.blobs(ones[number].id))
                await tx.count_import("alice", accepted=False, now=LATER)

        async def scene(race: Race) -> None:
            for number, one in enumerate(ones):
                await importing(race.one, one, f"import-{number}")
            assert await race.outcomes(end) == {"done": MANY}
            assert await used(race.one, "alice", Counted.SIZE) == 7 * MANY // 2

        raced(place, scene)


async def summed(catalog: Catalog, project: str, ones: Sequence[Image]) -> int:
    """What the blobs of a project's images are charged with."""
    async with catalog.read() as tx:
        total = 0
        for one in ones:
            found = await tx.image(one.id)
            if found is not None and found.owner == project:
                total += sum(blob.charged for blob in await tx.blobs(one.id))
        return total


async def importing(catalog: Catalog, one: Image, import_id: str) -> None:
    """An image with staged bytes, and its import at work."""
    async with catalog.begin() as tx:
        await tx.add_image(one)
        await tx.add_blob(blob(one, id=f"{one.id}-bytes", state=BlobState.STAGED, size=7))
        await tx.add_import(work(one, id=import_id, status=ImportStatus.PROCESSING))


def deletes(one: Image) -> Step:
    async def act(tx: Transaction, number: int) -> None:
        if await tx.image(one.id) is None:
            raise NotFound("gone")
        await tx.move_image(one.id, Move.DELETE, now=LATER)
        await end_imports(tx, await tx.imports(one.id), now=LATER)
        await doom(tx, await tx.blobs(one.id))
        await tx.drop_locations(one.id)

    return act


def publishes(one: Image, import_id: str) -> Step:
    async def act(tx: Transaction, number: int) -> None:
        await tx.move_import(import_id, ImportMove.SUCCEED, attempt=None, now=LATER)
        await tx.move_blob(f"{one.id}-bytes", BlobState.KEPT, {"size": 7})
        await tx.add_location(one.id, f"{one.id}-bytes", now=LATER)
        await hold(tx, "alice", [Quota(max_total_size=1 << 40)], {Counted.SIZE: 0})
        await tx.move_image(one.id, Move.ACTIVATE, now=LATER, values={"size": 7})
        await tx.count_import("alice", accepted=True, now=LATER)

    return act


def begins(import_id: str) -> Step:
    async def act(tx: Transaction, number: int) -> None:
        begun = await tx.begin_attempt(import_id, now=LATER)
        if await tx.image(begun.image_id) is None:
            raise Cancelled("gone")

    return act


def writes(one: Image) -> Step:
    async def act(tx: Transaction, number: int) -> None:
        if await tx.image(one.id) is None:
            raise Conflict("gone")
        for _ in range(number % 7):  # for as long as it may take to look at a few things more
            await tx.image(one.id)
        await tx.add_blob(blob(one, id=str(uuid4())))

    return act
