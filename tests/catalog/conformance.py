"""What every catalog must do. A new database joins with a class and a `place` fixture."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.errors import BadRequest, Cancelled, Conflict, NotFound
from gateway.model.image import BlobState, Move, Status
from gateway.model.imports import ImportMove, ImportStatus
from gateway.model.usage import Counted
from gateway.ports import Catalog, Filter, ImageQuery
from tests.catalog.made import ADMIN, ALICE, BOB, LATER, NOW, added, blob, image, played, work


class CatalogSuite:
    @pytest.fixture
    def place(self) -> Path | str:
        raise NotImplementedError

    def test_an_image_comes_back_as_it_was_added(self, place: Path) -> None:
        full = image(
            name="naïve 🐧", disk_format="qcow2", container_format="bare", visibility="public", size=1 << 40,
            virtual_size=1 << 41, checksum="c", os_hash_algo="sha512", os_hash_value="h", protected=True,
            os_hidden=True, min_disk=3, min_ram=1 << 33, tags=("b", "a"), properties={"os_distro": "debian"},
        )  # fmt: skip

        async def scene(catalog: Catalog) -> None:
            await added(catalog, full)
            async with catalog.read() as tx:
                assert await tx.image(full.id) == full
                assert await tx.image("nobody") is None

        played(place, scene)

    def test_records_outlive_the_process(self, place: Path) -> None:
        one = image()
        played(place, lambda catalog: added(catalog, one))

        async def scene(catalog: Catalog) -> None:
            async with catalog.read() as tx:
                assert await tx.image(one.id) == one

        played(place, scene)

    def test_a_transaction_that_fails_leaves_nothing(self, place: Path) -> None:
        one, two = image(), image(tags=("t",))

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)

            async def fail() -> None:
                async with catalog.begin() as tx:
                    await tx.add_image(two)
                    await tx.move_image(one.id, Move.SAVE, now=LATER)
                    await tx.add_blob(blob(one))
                    await tx.add_import(work(one))
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await fail()
            async with catalog.read() as tx:
                assert await tx.image(two.id) is None
                assert await tx.image(one.id) == one
                assert list(await tx.blobs(one.id)) == []
                assert list(await tx.imports(one.id)) == []

        played(place, scene)

    def test_a_read_is_a_snapshot(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.read() as before:
                assert await before.image(one.id) == one
                async with catalog.begin() as tx:
                    await tx.change_image(one.id, {"name": "new"}, now=LATER)
                assert await before.image(one.id) == one

        played(place, scene)

    def test_an_image_is_changed_field_by_field_and_labels_whole(self, place: Path) -> None:
        one = image(tags=("old",), properties={"a": "1", "b": "2"})

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                changed = await tx.change_image(
                    one.id, {"name": "n", "tags": ("new",), "properties": {"b": "3"}}, now=LATER
                )
            assert changed == replace(one, name="n", tags=("new",), properties={"b": "3"}, updated_at=LATER)
            async with catalog.read() as tx:
                assert await tx.image(one.id) == changed
                assert [len(await tx.images(ImageQuery(caller=ALICE, tags=(tag,)))) for tag in ("old", "new")] == [0, 1]
                gone = ImageQuery(caller=ALICE, filters=(Filter(field="a", operator="eq", values=("1",)),))
                assert list(await tx.images(gone)) == []

        played(place, scene)

    @pytest.mark.parametrize("field", ["status", "id", "stores", "import_id", "created_at", "zork"])
    def test_fields_that_have_their_own_ways_cannot_be_set(self, place: Path, field: str) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            with pytest.raises(ValueError):
                async with catalog.begin() as tx:
                    await tx.change_image(one.id, {field: "active"}, now=LATER)

        played(place, scene)

    def test_a_move_follows_the_table_and_a_refused_one_changes_nothing(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            with pytest.raises(Conflict) as refused:
                async with catalog.begin() as tx:
                    await tx.move_image(one.id, Move.ACTIVATE, now=LATER, values={"size": 5})
            assert refused.value.code == "status-conflict"
            with pytest.raises(NotFound):
                async with catalog.begin() as tx:
                    await tx.move_image("nobody", Move.SAVE, now=LATER)
            async with catalog.begin() as tx:
                assert await tx.image(one.id) == one
                moved = await tx.move_image(one.id, Move.SAVE, now=LATER, values={"size": 5})
            assert moved == replace(one, status=Status.SAVING, size=5, updated_at=LATER)

        played(place, scene)

    def test_of_fifty_claimants_one_wins(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)

            async def claim(number: int) -> str:
                try:
                    async with catalog.begin() as tx:
                        await tx.move_image(one.id, Move.IMPORT_SOURCE, now=LATER)
                        await tx.add_import(work(one, id=f"import-{number}"))
                except Conflict as refused:
                    return refused.code
                return "won"

            answers = Counter(await asyncio.gather(*map(claim, range(50))))
            assert answers == {"won": 1, "status-conflict": 49}
            async with catalog.read() as tx:
                (winner,) = await tx.imports(one.id)
                after = await tx.image(one.id)
            assert after is not None
            assert (after.status, after.import_id) == (Status.IMPORTING, winner.id)

        played(place, scene)

    def test_a_cancelled_writer_frees_the_way(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            inside = asyncio.Event()

            async def stuck() -> None:
                async with catalog.begin() as tx:
                    await tx.add_image(one)
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(stuck())
            await inside.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await added(catalog, one)

        played(place, scene)

    def test_deleted_ids_are_tombstones(self, place: Path) -> None:
        one = image(tags=("t",), visibility="public")

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                assert (await tx.move_image(one.id, Move.DELETE, now=LATER)).status is Status.DELETED
            async with catalog.read() as tx:
                assert await tx.image(one.id) is None
                assert list(await tx.images(ImageQuery(caller=ADMIN))) == []
                assert list(await tx.abandoned_images(Status.DELETED, LATER + timedelta(1))) == []
            with pytest.raises(Conflict, match="already exists"):
                await added(catalog, one)
            for attempt in (Move.DELETE, Move.REACTIVATE):
                with pytest.raises(NotFound):
                    async with catalog.begin() as tx:
                        await tx.move_image(one.id, attempt, now=LATER)
            with pytest.raises(NotFound):
                async with catalog.begin() as tx:
                    await tx.change_image(one.id, {"name": "n"}, now=LATER)

        played(place, scene)

    def test_abandoned_images_are_old_and_without_an_open_import(self, place: Path) -> None:
        old, older, working, fresh = image(), image(updated_at=NOW - timedelta(1)), image(), image(updated_at=LATER)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, old, older, working, fresh)
            async with catalog.begin() as tx:
                await tx.add_import(work(working))
                assert [one.id for one in await tx.abandoned_images(Status.QUEUED, LATER)] == [older.id, old.id]
                assert [one.id for one in await tx.abandoned_images(Status.QUEUED, LATER, limit=1)] == [older.id]

        played(place, scene)

    def test_active_images_come_by_id_in_pages(self, place: Path) -> None:
        ones = sorted((image(status=Status.ACTIVE) for _ in range(3)), key=lambda one: one.id)
        gone, queued = image(status=Status.ACTIVE), image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *ones, gone, queued)
            async with catalog.begin() as tx:
                await tx.move_image(gone.id, Move.DELETE, now=LATER)
                assert [one.id for one in await tx.active_images()] == [one.id for one in ones]
                assert [one.id for one in await tx.active_images(limit=2)] == [one.id for one in ones[:2]]
                assert [one.id for one in await tx.active_images(ones[1].id, 2)] == [ones[2].id]

        played(place, scene)

    def test_kept_blobs_come_by_id_in_pages(self, place: Path) -> None:
        async def scene(catalog: Catalog) -> None:
            one = image()
            await added(catalog, one)
            blobs = sorted((blob(one) for _ in range(4)), key=lambda made: made.id)
            async with catalog.begin() as tx:
                for made in blobs:
                    await tx.add_blob(made)
                for made in blobs[:3]:
                    await tx.move_blob(made.id, BlobState.STAGED, {"size": 1})
                    await tx.move_blob(made.id, BlobState.KEPT)
            async with catalog.read() as tx:
                assert [kept.id for kept in await tx.kept_blobs()] == [made.id for made in blobs[:3]]
                assert [kept.id for kept in await tx.kept_blobs(limit=2)] == [made.id for made in blobs[:2]]
                assert [kept.id for kept in await tx.kept_blobs(blobs[1].id, 2)] == [blobs[2].id]

        played(place, scene)

    def test_a_blob_is_readable_from_kept_to_doomed_alone(self, place: Path) -> None:
        one = image()
        bytes_ = blob(one)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_blob(bytes_)
                await tx.add_location(one.id, bytes_.id, now=NOW)
                assert list(await tx.locations(one.id)) == []
                staged = await tx.move_blob(bytes_.id, BlobState.STAGED, {"size": 7, "verdict": {"size": 7}})
                assert staged == replace(
                    bytes_, state=BlobState.STAGED, size=7, verdict={"size": 7}, charged=7, writer=""
                )
                assert list(await tx.locations(one.id)) == []
                kept = await tx.move_blob(bytes_.id, BlobState.KEPT)
                assert list(await tx.locations(one.id)) == [kept]
                assert (await tx.change_image(one.id, {}, now=NOW)).stores == ("local",)
                await tx.move_blob(bytes_.id, BlobState.DOOMED)
                assert list(await tx.locations(one.id)) == []
                assert (await tx.change_image(one.id, {}, now=NOW)).stores == ()

        played(place, scene)

    def test_a_blob_moves_by_its_table(self, place: Path) -> None:
        one = image()
        bytes_ = blob(one)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_blob(bytes_)
                await tx.move_blob(bytes_.id, BlobState.KEPT)
                with pytest.raises(Conflict):
                    await tx.move_blob(bytes_.id, BlobState.STAGED, {"size": 9})
                assert await tx.blob(bytes_.id) == replace(bytes_, state=BlobState.KEPT, writer="")
                with pytest.raises(NotFound):
                    await tx.move_blob("nobody", BlobState.DOOMED)

        played(place, scene)

    def test_only_doomed_blobs_are_forgotten(self, place: Path) -> None:
        one = image()
        bytes_ = blob(one)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_blob(bytes_)
                await tx.add_location(one.id, bytes_.id, now=NOW)
                with pytest.raises(Conflict):
                    await tx.drop_blob(bytes_.id)
                doomed = await tx.move_blob(bytes_.id, BlobState.DOOMED)
                assert list(await tx.doomed_blobs()) == [doomed]
                await tx.drop_blob(bytes_.id)
                await tx.drop_blob(bytes_.id)
                assert await tx.blob(bytes_.id) is None
                assert list(await tx.keys("local")) == []

        played(place, scene)

    def test_a_blob_is_charged_from_its_first_byte_until_it_is_doomed(self, place: Path) -> None:
        one = image()
        first, second = blob(one), blob(one, key="k2")

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)

            async def counted() -> tuple[int, int]:
                async with catalog.read() as tx:
                    return await tx.used("alice", Counted.SIZE), await tx.used("alice", Counted.UNFINISHED)

            async with catalog.begin() as tx:
                for charged in (first, second):
                    await tx.add_blob(charged)
                    await tx.charge(charged.id, 10)
                await tx.charge(first.id, 4)
                assert await tx.used("alice", Counted.SIZE, lock=True) == 14
            assert await counted() == (14, 14)
            async with catalog.begin() as tx:
                kept = await tx.move_blob(first.id, BlobState.KEPT, {"size": 9})
                assert (kept.charged, kept) == (9, await tx.blob(first.id))
                await tx.move_blob(second.id, BlobState.DOOMED)
                await tx.charge(second.id, 100)
                await tx.charge(first.id, 100)
            assert await counted() == (9, 0)
            async with catalog.read() as tx:
                assert await tx.used("bob", Counted.SIZE) == await tx.used(None, Counted.SIZE) == 0

        played(place, scene)

    def test_what_is_charged_follows_the_owner(self, place: Path) -> None:
        one, nobodys = image(), image(owner=None)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one, nobodys)
            async with catalog.begin() as tx:
                for charged in (one, nobodys):
                    await tx.add_blob(blob(charged, state=BlobState.KEPT, size=5, key=charged.id))
                await tx.change_image(one.id, {"owner": "bob"}, now=LATER)
            async with catalog.read() as tx:
                used = [await tx.used(project, Counted.SIZE) for project in ("alice", "bob", None)]
                assert used == [0, 5, 5]
                assert await tx.used("bob", Counted.IMAGES) == await tx.used(None, Counted.IMAGES) == 1

        played(place, scene)

    def test_images_and_imports_are_counted_where_they_are(self, place: Path) -> None:
        _, staged, copied, gone = images = [image() for _ in range(4)]

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *images, image(owner="bob"))
            async with catalog.begin() as tx:
                await tx.move_image(staged.id, Move.STAGE, now=LATER)
                await tx.add_import(work(staged))
                await tx.add_import(work(copied))
                await tx.move_image(gone.id, Move.STAGE, now=LATER)
                await tx.move_image(gone.id, Move.DELETE, now=LATER)
            async with catalog.read() as tx:
                assert await tx.used("alice", Counted.IMAGES) == 3
                assert await tx.used("alice", Counted.IMPORTS) == 2
                assert await tx.used("bob", Counted.IMPORTS) == 0

        played(place, scene)

    def test_a_key_belongs_to_one_blob_of_a_store(self, place: Path) -> None:
        one = image()

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_blob(blob(one, key="k"))
                await tx.add_blob(blob(one, key="k", store="other"))
            with pytest.raises(Conflict):
                async with catalog.begin() as tx:
                    await tx.add_blob(blob(one, key="k"))
            async with catalog.read() as tx:
                assert list(await tx.keys("local")) == ["k"]

        played(place, scene)

    def test_the_reaper_finds_what_nobody_owns(self, place: Path) -> None:
        alive, gone = image(), image()
        states = {
            "foreign": blob(alive, writer="dead"),
            "staged": blob(alive, state=BlobState.STAGED),
            "kept": blob(alive, state=BlobState.KEPT),
            "kept-unread": blob(alive, state=BlobState.KEPT),
            "orphan-writing": blob(gone),
            "orphan-staged": blob(gone, state=BlobState.STAGED),
            "orphan-doomed": blob(gone, state=BlobState.DOOMED),
        }

        async def scene(catalog: Catalog) -> None:
            await added(catalog, alive, gone)
            async with catalog.begin() as tx:
                for one in states.values():
                    await tx.add_blob(one)
                await tx.add_location(alive.id, states["kept"].id, now=NOW)
                await tx.move_image(gone.id, Move.DELETE, now=LATER)
                names = {one.id: name for name, one in states.items()}
                found = {names[one.id] for one in await tx.staged_without_image()}
                assert found == {"kept-unread", "orphan-writing", "orphan-staged"}
                assert [names[one.id] for one in await tx.writing_blobs("w1")] == ["foreign"]
                assert [names[one.id] for one in await tx.doomed_blobs()] == ["orphan-doomed"]
                await tx.drop_locations(alive.id)
                assert "kept" in {names[one.id] for one in await tx.staged_without_image()}

        played(place, scene)

    def test_an_import_comes_back_as_it_was_added(self, place: Path) -> None:
        one = image()
        full = work(
            one, request={"name": "web-download", "uri": "https://h/"}, sealed=b"\0\xff", facts={"request.port": 443},
            bytes_done=1, bytes_total=1 << 40, report=({"name": "inspect"},), code="c", message="m", remedy="r",
            request_id="req-1", attempt=2,
        )  # fmt: skip

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_import(full)
                assert await tx.import_(full.id) == full
                assert list(await tx.open_imports()) == [full]

        played(place, scene)

    def test_an_image_has_one_open_import(self, place: Path) -> None:
        one = image()
        first, second = work(one), work(one, created_at=LATER)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_import(first)
            with pytest.raises(Conflict) as refused:
                async with catalog.begin() as tx:
                    await tx.add_import(second)
            assert refused.value.code == "import-active"
            async with catalog.begin() as tx:
                await tx.move_import(first.id, ImportMove.FAIL, attempt=None, now=LATER)
                await tx.add_import(second)
                assert [item.id for item in await tx.imports(one.id)] == [second.id, first.id]
                assert [item.id for item in await tx.open_imports()] == [second.id]

        played(place, scene)

    def test_an_older_attempt_is_fenced_out(self, place: Path) -> None:
        one = image()
        job = work(one)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_import(job)
                assert not await tx.progress(job.id, 0, {"bytes_done": 1})
                old = await tx.begin_attempt(job.id, now=LATER)
                new = await tx.begin_attempt(job.id, now=LATER)
                assert (old.attempt, new.attempt, new.status) == (1, 2, ImportStatus.PROCESSING)
                assert not await tx.progress(job.id, old.attempt, {"bytes_done": 666})
                assert await tx.progress(job.id, new.attempt, {"bytes_done": 5, "bytes_total": 10})
                for move in (ImportMove.SUCCEED, ImportMove.FAIL):
                    with pytest.raises(Cancelled):
                        await tx.move_import(job.id, move, attempt=old.attempt, now=LATER, values={"message": "late"})
                assert await tx.import_(job.id) == replace(new, bytes_done=5, bytes_total=10)
                done = await tx.move_import(
                    job.id, ImportMove.SUCCEED, attempt=new.attempt, now=LATER, values={"report": ({"name": "x"},)}
                )
                assert (done.status, done.report) == (ImportStatus.SUCCESS, ({"name": "x"},))

        played(place, scene)

    def test_an_ended_import_stays_ended(self, place: Path) -> None:
        one = image()
        job = work(one)

        async def scene(catalog: Catalog) -> None:
            await added(catalog, one)
            async with catalog.begin() as tx:
                await tx.add_import(job)
                ended = await tx.move_import(job.id, ImportMove.FAIL, attempt=None, now=LATER, values={"code": "c"})
                with pytest.raises(Cancelled):
                    await tx.begin_attempt(job.id, now=LATER)
                for move in ImportMove:
                    with pytest.raises(Cancelled):
                        await tx.move_import(job.id, move, attempt=None, now=LATER)
                assert not await tx.progress(job.id, 0, {"bytes_done": 1})
                assert await tx.import_(job.id) == ended
                with pytest.raises(NotFound):
                    await tx.begin_attempt("nobody", now=LATER)

        played(place, scene)

    def test_decisions_and_trees_are_kept(self, place: Path) -> None:
        async def scene(catalog: Catalog) -> None:
            async with catalog.begin() as tx:
                await tx.add_decision("d1", None, NOW, "sha256:1", {"action": "allow", "n": [1, None]})
                await tx.add_decision("d3", "i", LATER, "sha256:1", {"n": 3})
                await tx.add_decision("d4", "i", NOW, "sha256:1", {"n": 4})
                await tx.keep_tree("sha256:1", {"a.yaml": "version: 1\n"})
                await tx.keep_tree("sha256:1", {"a.yaml": "version: 1\n"})
            async with catalog.read() as tx:
                assert await tx.decision("d1") == {"action": "allow", "n": [1, None]}
                assert await tx.decision("d2") is None
                assert await tx.decisions("i") == [{"n": 3}, {"n": 4}]
                assert await tx.decisions("j") == []
                assert await tx.tree("sha256:1") == {"a.yaml": "version: 1\n"}
                assert await tx.tree("sha256:2") is None
            with pytest.raises(Conflict):
                async with catalog.begin() as tx:
                    await tx.add_decision("d1", None, NOW, "sha256:1", {})

        played(place, scene)

    def test_a_caller_sees_its_own_and_everybodys(self, place: Path) -> None:
        mine = image(visibility="private", name="mine")
        shared = image(owner="bob", visibility="shared", name="shared")
        private = image(owner="bob", visibility="private", name="private")
        public = image(owner="bob", visibility="public", name="public")
        community = image(owner="bob", visibility="community", name="community")
        hidden = image(os_hidden=True, name="hidden")

        async def scene(catalog: Catalog) -> None:
            await added(catalog, mine, shared, private, public, community, hidden)

            async def names(query: ImageQuery) -> set[str | None]:
                async with catalog.read() as tx:
                    return {one.name for one in await tx.images(query)}

            asks = Filter(field="visibility", operator="in", values=("public", "community"))
            assert await names(ImageQuery(caller=ALICE)) == {"mine", "public"}
            assert await names(ImageQuery(caller=BOB)) == {"shared", "private", "public", "community"}
            assert await names(ImageQuery(caller=ALICE, filters=(asks,))) == {"public", "community"}
            assert await names(ImageQuery(caller=ALICE, hidden=True)) == {"hidden"}
            assert await names(ImageQuery(caller=ADMIN)) == {"mine", "shared", "private", "public"}
            assert await names(ImageQuery(caller=ADMIN, filters=(asks,))) == {"public", "community"}

        played(place, scene)

    def test_a_marker_must_be_seen_and_may_be_deleted(self, place: Path) -> None:
        images = [image(created_at=NOW + timedelta(seconds=n)) for n in range(4)]
        foreign = image(owner="bob", visibility="private")

        async def scene(catalog: Catalog) -> None:
            await added(catalog, *images, foreign)
            for marker in ("nobody", foreign.id):
                with pytest.raises(BadRequest):
                    async with catalog.read() as tx:
                        await tx.images(ImageQuery(caller=ALICE, marker=marker))
            async with catalog.begin() as tx:
                await tx.move_image(images[2].id, Move.DELETE, now=LATER)
            async with catalog.read() as tx:
                rest = await tx.images(ImageQuery(caller=ALICE, marker=images[2].id))
                assert [one.id for one in rest] == [images[1].id, images[0].id]

        played(place, scene)

    @pytest.mark.parametrize(
        "wrong",
        [
            Filter(field="size", operator="eq", values=("big",)),
            Filter(field="size", operator="gt", values=(1 << 70,)),
            Filter(field="size", operator="eq", values=(True,)),
            Filter(field="created_at", operator="gt", values=("yesterday",)),
            Filter(field="name", operator="like", values=("x",)),
            Filter(field="name", operator="eq", values=("\ud800",)),
            Filter(field="os_distro", operator="eq", values=("a\0b",)),
            Filter(field="\udfff", operator="eq", values=("x",)),
        ],
        ids=str,
    )
    def test_a_filter_that_cannot_be_is_said(self, place: Path, wrong: Filter) -> None:
        async def scene(catalog: Catalog) -> None:
            with pytest.raises(BadRequest):
                async with catalog.read() as tx:
                    await tx.images(ImageQuery(caller=ALICE, filters=(wrong,)))

        played(place, scene)

    @pytest.mark.parametrize("field", ["tags", "properties", "deleted_at", "zork", "stores"])
    def test_a_sort_that_cannot_be_is_said(self, place: Path, field: str) -> None:
        async def scene(catalog: Catalog) -> None:
            with pytest.raises(BadRequest):
                async with catalog.read() as tx:
                    await tx.images(ImageQuery(caller=ALICE, sort=((field, False), ("id", False))))

        played(place, scene)
