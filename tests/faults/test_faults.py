"""What goes wrong around the service, one fault at a time: clients, sources, disks, the process itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.site import User
from tests.faults import disks, processes, scenes
from tests.faults.service import Service, service
from tests.faults.sources import Sources
from tests.serving.backing import on_disk, on_sqlite

MIB = 1 << 20


@pytest.mark.parametrize("verb", ["stage", "file"])
@pytest.mark.parametrize("at", [0, 1, MIB, 3 * MIB + 17])
def test_a_client_that_goes_away_leaves_nothing(running: Service, user: User, verb: str, at: int) -> None:
    scenes.cut_off(running, user, verb, at, reset=at % 2 == 1)


@pytest.mark.parametrize("kind", scenes.ENDS)
def test_a_bad_source_fails_by_its_name(running: Service, user: User, fetched_from: Sources, kind: str) -> None:
    scenes.bad_source(running, user, fetched_from, kind)


def test_slow_uploads_hold_nobody(running: Service, user: User) -> None:
    scenes.slow_ones_hold_nobody(running, user)


def test_one_of_many_imports_is_taken(running: Service, user: User, fetched_from: Sources) -> None:
    scenes.sixteen_imports(running, user, fetched_from)


def test_one_of_many_uploads_is_taken(running: Service, user: User) -> None:
    scenes.sixteen_uploads(running, user)


@pytest.mark.parametrize("step", scenes.DELETIONS)
def test_a_deleted_image_stays_deleted(running: Service, user: User, fetched_from: Sources, step: str) -> None:
    scenes.deleted(running, user, fetched_from, scenes.DELETIONS[step])


def test_no_decision_without_its_line_in_the_log(running: Service, user: User) -> None:
    disks.log_unwritable(running, user)


FULL = [disks.on_full_store, pytest.param(disks.on_full_disk, marks=on_disk)]
FULL += [pytest.param(disks.on_full_records, marks=on_sqlite)]


@pytest.mark.parametrize("scene", FULL)
def test_a_full_disk_refuses_and_recovers(
    tmp_path: Path, fetched_from: Sources, scene: Callable[[Path, Sources], None]
) -> None:
    if not disks.may_mount(tmp_path / "mounted"):
        pytest.skip("a small disk needs the right to mount a tmpfs: run as root")
    scene(tmp_path, fetched_from)


def test_a_refused_upload_that_goes_on_undoes_nothing(stopped: Service) -> None:
    with stopped.user() as user:
        scenes.refused_but_talking(stopped, user)


def test_the_end_of_the_process_loses_nothing(stopped: Service, fetched_from: Sources) -> None:
    processes.stopped_at_work(stopped, fetched_from)


def test_a_paused_process_goes_on(stopped: Service, fetched_from: Sources) -> None:
    processes.paused(stopped, fetched_from)


def test_a_second_process_is_refused(stopped: Service) -> None:
    processes.second_refused(stopped)


def test_an_import_keeps_the_policy_it_was_granted_under(stopped: Service, fetched_from: Sources) -> None:
    processes.policy_changed(stopped, fetched_from)


def test_what_nobody_comes_back_for_expires(tmp_path: Path) -> None:
    soon = {"abandoned_after": "1s", "staged_after": "1s", "reaper_interval": "200ms"}
    with service(tmp_path, {"imports": soon}) as started:
        processes.expired(started)
