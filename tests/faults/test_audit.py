"""The auditor finds nothing in a folder as the service left it, and each thing that is then broken by hand."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.service import eventually
from tests.faults.audit import Account, Place, audit, unsettled
from tests.faults.campaign import settings
from tests.faults.service import service
from tests.faults.sources import content
from tests.images.hostile import backed_qcow2
from tests.serving.backing import on_disk, on_sqlite
from tests.serving.held import Folder
from tests.serving.rows import change, rows

pytestmark = [on_sqlite, on_disk]

BODY = content(1, 70_000)
DIGEST = hashlib.sha512(BODY).hexdigest()


class Left:
    """A copy of what a service left behind, to break things in. Accounts are by what happened to the image."""

    def __init__(self, data: Path, accounts: Mapping[str, Account]) -> None:
        self.data = data
        self.place = Place(
            f"sqlite:///{data / 'records.sqlite'}", Folder(data / "blobs" / "local"), data / "decisions.jsonl"
        )
        self.accounts = accounts
        self.quotas: dict[str, int] = {}

    def audit(self) -> list[str]:
        return audit(self.place, list(self.accounts.values()), self.quotas)

    def run(self, statement: str, name: str = "") -> None:
        """With the image's id as `:image`."""
        change(self.place.database, statement, **({"image": self.accounts[name].image} if name else {}))

    def blob(self, name: str) -> str:
        image = self.accounts[name].image
        (found,) = rows(self.place.database, "SELECT key FROM blobs WHERE image_id = :image", image=image)
        return str(found["key"])

    def lose(self, name: str) -> None:
        self.place.held.remove(self.blob(name))

    def replace(self, name: str, content: bytes) -> None:
        self.place.held.replace(self.blob(name), content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Account]]:
    home = tmp_path_factory.mktemp("audited")
    with service(home, settings(80)) as running:
        with running.user() as user:
            accounts = {name: Account(user.create(), DIGEST) for name in ("saved", "imported", "staged", "deleted")}
            user.save(accounts["saved"].image, BODY).raise_for_status()
            for name in ("imported", "staged", "deleted"):
                user.stage(accounts[name].image, BODY).raise_for_status()
            task = user.start(accounts["imported"].image).raise_for_status().headers["OpenStack-image-import-task"]
            user.ended(accounts["imported"].image)
            user.http.delete(f"/v2/images/{accounts['deleted'].image}").raise_for_status()
            refused = Account(
                user.create(disk_format="qcow2"), hashlib.sha512(backed_qcow2()).hexdigest(), hostile=True
            )
            assert user.stage(refused.image, backed_qcow2()).status_code == 415
        eventually(lambda: not unsettled(running.place))
        running.kill()
    accounts["saved"].saved = accounts["staged"].staged = accounts["deleted"].deleted = True
    accounts["imported"].task = task
    return running.data, {**accounts, "refused": refused}


@pytest.fixture
def left(finished: tuple[Path, Mapping[str, Account]], tmp_path: Path) -> Left:
    data, accounts = finished
    return Left(shutil.copytree(data, tmp_path / "data"), accounts)


def test_nothing_is_wrong_with_what_the_service_left(left: Left) -> None:
    assert left.audit() == []


def _flip(left: Left) -> None:
    left.replace("saved", BODY[:1000] + bytes([BODY[1000] ^ 1]) + BODY[1001:])


def _stray(left: Left) -> None:
    folder = left.data / "blobs" / "local" / "ab" / "cd"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".leftover.part").write_bytes(b"x")


def _activate_refused(left: Left) -> None:
    left.run("UPDATE images SET status = 'active' WHERE id = :image", "refused")


def _tree_lost(left: Left) -> None:
    left.run("DELETE FROM policy_trees")


def _log_lost(left: Left) -> None:
    left.place.decisions.write_text('{"torn')


def _run(statement: str, name: str) -> Callable[[Left], object]:
    return lambda left: left.run(statement, name)


PLANTED: Mapping[str, tuple[Callable[[Left], object], str]] = {
    "a flipped bit": (_flip, "I1"),
    "a lost file": (lambda left: left.lose("imported"), "I1"),
    "another size": (_run("UPDATE images SET size = size + 1 WHERE id = :image", "saved"), "I1"),
    "another checksum": (_run("UPDATE images SET checksum = 'd41d8cd9' WHERE id = :image", "saved"), "I1"),
    "no location": (_run("DELETE FROM locations WHERE image_id = :image", "saved"), "I1"),
    "a file without a row": (_stray, "I2"),
    "a doomed blob": (_run("UPDATE blobs SET state = 'doomed' WHERE image_id = :image", "staged"), "I2"),
    "an intent": (_run("UPDATE blobs SET state = 'writing' WHERE image_id = :image", "staged"), "I2"),
    "a staged blob of a queued image": (_run("UPDATE images SET status = 'queued' WHERE id = :image", "staged"), "I2"),
    "saving": (_run("UPDATE images SET status = 'saving' WHERE id = :image", "refused"), "I3"),
    "importing": (_run("UPDATE images SET status = 'importing' WHERE id = :image", "refused"), "I3"),
    "uploading without bytes": (_run("UPDATE images SET status = 'uploading' WHERE id = :image", "refused"), "I3"),
    "half a staged file": (lambda left: left.replace("staged", BODY[:100]), "I3"),
    "an open import": (_run("UPDATE imports SET status = 'processing' WHERE image_id = :image", "imported"), "I3"),
    "a nameless failure": (_run("UPDATE imports SET status = 'failure' WHERE image_id = :image", "imported"), "I3"),
    "a deleted image that lives": (
        _run("UPDATE images SET status = 'queued', deleted_at = NULL WHERE id = :image", "deleted"),
        "I4",
    ),
    "half a tombstone": (_run("UPDATE images SET deleted_at = NULL WHERE id = :image", "deleted"), "I4"),
    "a lost image": (_run("DELETE FROM images WHERE id = :image", "refused"), "I5"),
    "a lost import": (_run("DELETE FROM imports WHERE image_id = :image", "imported"), "I5"),
    "an image nobody deleted": (
        _run("UPDATE images SET status = 'deleted', deleted_at = 'then' WHERE id = :image", "refused"),
        "I5",
    ),
    "a save undone": (_run("UPDATE images SET status = 'queued' WHERE id = :image", "saved"), "I5"),
    "an import undone": (_run("UPDATE images SET status = 'queued' WHERE id = :image", "imported"), "I5"),
    "other staged bytes": (lambda left: left.replace("staged", BODY[::-1]), "I5"),
    "a lost receipt": (_run("DELETE FROM receipts WHERE image_id = :image", "saved"), "I9"),
    "an unsigned receipt": (_run("UPDATE receipts SET signature = NULL WHERE image_id = :image", "imported"), "I9"),
    "a receipt of other bytes": (
        _run("UPDATE receipts SET statement = replace(statement, 'sha512', 'sha256') WHERE image_id = :image", "saved"),
        "I9",
    ),
    "a blob that is charged twice": (
        _run("UPDATE blobs SET charged = charged * 2 WHERE image_id = :image", "staged"),
        "I6",
    ),
    "a project nobody charged": (lambda left: left.run("DELETE FROM project_usage"), "I6"),
    "more than a project may have": (lambda left: left.quotas.update({"demo-gold": 100_000}), "I6"),
    "a refused image that is active": (_activate_refused, "I7"),
    "other bytes": (_run("UPDATE images SET os_hash_value = 'e0' WHERE id = :image", "saved"), "I7"),
    "no decision": (_run("DELETE FROM decisions WHERE image_id = :image", "saved"), "I8"),
    "a decision nobody logged": (_log_lost, "I8"),
    "a policy nobody kept": (_tree_lost, "I8"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_auditor_finds(left: Left, name: str) -> None:
    plant, invariant = PLANTED[name]
    plant(left)
    assert invariant in {finding[:2] for finding in left.audit()}
