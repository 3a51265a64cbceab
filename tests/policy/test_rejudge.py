"""Verdicts in retrospect, over the records of a real service while it runs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.catalog import open_catalog
from gateway.decisionlog import JsonLines
from gateway.policy.reader import Source
from gateway.service.rejudging import Court, Kind, deactivate, rejudge
from gateway.shipped_files import shipped
from tests.cli.running import Done, cli
from tests.faults.service import Service
from tests.policy.trees import compiled_from
from tests.policy.used import edited, used, written
from tests.serving.backing import catalog_url

SMALL = {"size": {"within": {"max_size": "100KiB"}}}


def rejudged(running: Service, folder: Path, *words: str) -> Done:
    place = ("--config", str(running.home / "gateway.yaml"), "--data", str(running.data))
    return cli(running.home, "policy", "rejudge", "--with", str(folder), *place, *words)


def outcomes(done: Done) -> dict[str, str]:
    return {one["id"]: one["outcome"] for one in json.loads(done.stdout)["images"]}


def test_todays_tree_refuses_nothing_that_it_let_in(used_site: Any) -> None:
    running, images = used_site
    done = rejudged(running, running.home / "policies", "--json")
    assert (done.returncode, outcomes(done)) == (0, {})
    assert json.loads(done.stdout)["kept"] == len(images)


def test_what_the_bytes_the_source_and_the_caller_are_is_known(used_site: Any, tmp_path: Path) -> None:
    running, images = used_site
    small = rejudged(running, written(tmp_path / "a", *edited(**SMALL)), "--json")
    assert (small.returncode, outcomes(small)) == (1, {images["large"]: "refused"})
    web = edited(no_web={"for": {"projects": ["demo-gold"]}})
    assert outcomes(rejudged(running, written(tmp_path / "b", *web), "--json")) == {images["fetched"]: "refused"}
    valued = edited(marked={"when": "'mark' in request.properties && request.properties['mark'] == 'yes'"})
    assert outcomes(rejudged(running, written(tmp_path / "c", *valued), "--json")) == {images["marked"]: "refused"}
    strange = edited(everything={"for": {"projects": ["demo-gold"]}})
    assert outcomes(rejudged(running, written(tmp_path / "d", *strange), "--json")) == {images["strange"]: "refused"}


def test_stages_that_never_ran_are_told_and_change_nothing(used_site: Any, tmp_path: Path) -> None:
    running, images = used_site
    more = edited(real_images={"stages": ["inspect", {"checksum": {"algorithm": "sha256"}}]})
    done = rejudged(running, written(tmp_path / "more", *more), "--deactivate", "--json")
    assert done.returncode == 0
    assert outcomes(done) == dict.fromkeys(images.values(), "unchecked")
    with running.user("gold") as gold:
        assert gold.show(images["large"])["status"] == "active"


def test_what_is_refused_is_deactivated_and_its_owner_reads_why(tmp_path: Path, tmp_path_factory: Any) -> None:
    with used(tmp_path_factory.mktemp("used")) as (running, images):
        tree = written(tmp_path / "small", *edited(**SMALL))
        done = rejudged(running, tree, "--deactivate")
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == "6 active images: 1 refused, 1 deactivated"
        with running.user("gold") as gold:
            assert gold.show(images["large"])["status"] == "deactivated"
            assert gold.show(images["saved"])["status"] == "active"
            assert gold.file(images["large"]).status_code == 403
            task = gold.task(images["large"])
            assert (task["type"], task["status"], task["code"]) == ("policy_rejudge", "success", "over-limit")
            assert "does not allow this image any more" in task["message"]
            listed = gold.http.get(f"/v2/images/{images['large']}/tasks").json()["tasks"]
            assert listed[0]["id"] == task["id"]
        entries = [json.loads(line) for line in running.place.decisions.read_text().splitlines()]
        (entry,) = [one for one in entries if "rejudges" in one]
        Draft202012Validator(json.loads((shipped("schemas") / "decision.schema.json").read_text())).validate(entry)
        assert (entry["image_id"], entry["action"], entry["final"]) == (images["large"], "deny", True)
        assert entry["rejudges"] in {one["id"] for one in entries}
        place = ("--config", str(running.home / "gateway.yaml"), "--data", str(running.data))
        told = cli(running.home, "policy", "explain", "--decision", entry["id"], *place)
        assert "over-limit [faults/size]" in told.stdout
        assert rejudged(running, tree, "--deactivate").stdout == "5 active images: 0 refused\n"
        with running.user("admin") as admin:
            again = admin.http.post(f"/v2/images/{images['large']}/actions/reactivate")
            assert again.status_code == 204
        assert outcomes(rejudged(running, tree, "--json")) == {images["large"]: "refused"}


class Fixed:
    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


async def _changed_meanwhile(running: Service, tree: Path, change: Any, log: Path) -> list[bool]:
    numbers = count()
    async with open_catalog(catalog_url(running.data)) as catalog:
        with JsonLines(log) as decisions:
            court = Court(
                catalog=catalog,
                decisions=decisions,
                policy=compiled_from(Source("faults.yaml", (tree / "faults.yaml").read_bytes())),
                stages=frozenset({"inspect"}),
                clock=Fixed(),
                new_id=lambda: f"id-{next(numbers)}",
            )
            refused = [one async for one in rejudge(court) if one.kind is Kind.REFUSED]
            await asyncio.to_thread(change)
            return [await deactivate(court, one) for one in refused]


@pytest.mark.parametrize("change", ["rename", "delete"])
def test_an_image_that_was_changed_meanwhile_is_left_alone(used_site: Any, tmp_path: Path, change: str) -> None:
    running, _ = used_site
    tree = written(tmp_path / "named", *edited(everything={"for": {"projects": ["demo-gold"]}}))
    with running.user("stranger") as stranger:
        image = stranger.create(name="before")
        assert stranger.save(image, b"\1" * 4096).status_code == 204

        def act() -> None:
            for one in stranger.http.get("/v2/images").json()["images"]:
                if change == "delete" and one["id"] == image:
                    stranger.http.delete(f"/v2/images/{image}").raise_for_status()
                else:
                    body = [{"op": "replace", "path": "/name", "value": "after"}]
                    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
                    stranger.http.patch(f"/v2/images/{one['id']}", json=body, headers=kind).raise_for_status()

        done = asyncio.run(_changed_meanwhile(running, tree, act, tmp_path / "log.jsonl"))
        assert done
        assert not any(done)
        assert not (tmp_path / "log.jsonl").exists()
        if change == "rename":
            assert stranger.show(image)["status"] == "active"


def test_a_place_without_records_is_said(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = cli(tmp_path, "policy", "rejudge", "--with", str(shipped("policies") / "private-cloud"), "--data", "none")
    assert done.returncode == 2
    assert "There are no records at" in done.stderr
    assert not list((tmp_path / "none").iterdir())
