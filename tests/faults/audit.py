"""An independent look at what a stopped or resting service keeps.

It reads the database, the store and the decision log, knows the names of the tables, and shares no code with the
service. Each finding starts with the invariant it breaks:

I1 an active image's bytes match its recorded hashes and size - I2 every file in the store is owned - I3 everything
ends - I4 deleted ids are tombstones - I5 what was acknowledged survives - I6 the quota ledger is what the projects
hold, and no more than they may - I7 rejected bytes are nobody's image - I8 every active image has its decision, with
the policy's digest, in the records and in the log - I9 every image whose bytes were judged has its receipt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from tests.serving.held import Held
from tests.serving.rows import Row, connected, selected


@dataclass
class Account:
    """What one user knows of one image. Answers are written down when they have arrived.

    `asked` is the last request that is not answered: it may have happened or not. `digest` is the sha512 of the
    bytes the user meant it to have; `hostile` bytes must never become an image.
    """

    image: str
    digest: str
    hostile: bool = False
    asked: str | None = None
    staged: bool = False
    saved: bool = False
    task: str | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Place:
    """Where a service keeps things."""

    database: str
    held: Held
    decisions: Path


class Records:
    """All rows of the tables, as they are in one snapshot, and the bytes of what the store holds by key."""

    def __init__(self, place: Place) -> None:
        self.place = place
        with connected(place.database) as database:
            self.images = {row["id"]: row for row in _rows(database, "images")}
            self.blobs = {row["id"]: row for row in _rows(database, "blobs")}
            self.locations = _rows(database, "locations")
            self.imports = {row["id"]: row for row in _rows(database, "imports")}
            self.decisions = _rows(database, "decisions")
            self.receipts = {row["image_id"]: row for row in _rows(database, "receipts")}
            self.trees = {row["revision"] for row in _rows(database, "policy_trees")}
            self.uploads = {row["id"]: row for row in _rows(database, "uploads")}
            self.parts = _rows(database, "upload_parts")
            self.charges = {row["project"]: row["size"] for row in _rows(database, "project_usage")}
        self.sizes = place.held.sizes()

    def active(self) -> Iterator[Row]:
        return (image for image in self.images.values() if image["status"] == "active")

    def of(self, image_id: str) -> list[Row]:
        return [blob for blob in self.blobs.values() if blob["image_id"] == image_id]

    def open_upload(self, image_id: str) -> bool:
        """Whether its owner can go on with an upload to it."""
        return any(one["image_id"] == image_id and one["state"] == "open" for one in self.uploads.values())

    def located(self, image_id: str) -> list[Row]:
        return [self.blobs[row["blob_id"]] for row in self.locations if row["image_id"] == image_id]


def _rows(database: Connection, table: str) -> list[Row]:
    return selected(database, f"SELECT * FROM {table}")


def audit(place: Place, accounts: Sequence[Account] = (), quotas: Mapping[str, int] | None = None) -> list[str]:
    """Everything that is wrong once the service has come to rest. `quotas` are the most bytes of each project."""
    records = Records(place)
    checks = (
        bytes_match(records),
        tombstones(records),
        decided(records),
        receipted(records),
        acknowledged(records, accounts),
        uploaded(records),
        charged(records, quotas or {}),
    )
    return [*unsettled(place), *(finding for check in checks for finding in check)]


def unsettled(place: Place) -> list[str]:
    """What a service that works may show for a moment, and one that rests never: I2 and I3."""
    records = Records(place)
    return [*owned(records), *ended(records)]


def bytes_match(records: Records) -> Iterator[str]:
    for image in records.active():
        blobs = records.located(image["id"])
        if not blobs:
            yield f"I1 image {image['id']} is active and has no location"
        for blob in blobs:
            if blob["key"] not in records.sizes:
                yield f"I1 image {image['id']}: blob {blob['key']} is not in the store"
            else:
                content = records.place.held.read(blob["key"])
                yield from (f"I1 image {image['id']}: {wrong}" for wrong in _wrong(image, content))


def _wrong(image: Row, content: bytes) -> Iterator[str]:
    found = {
        "size": len(content),
        "checksum": hashlib.md5(content).hexdigest(),
        "os_hash_value": hashlib.new(image["os_hash_algo"] or "sha512", content).hexdigest(),
    }
    return (f"{name} is {image[name]}, its bytes give {value}" for name, value in found.items() if image[name] != value)


def owned(records: Records) -> Iterator[str]:
    rows = {blob["key"]: blob for blob in records.blobs.values()}
    for name in records.sizes.keys() - rows.keys():
        yield f"I2 file {name} has no row"
    located = {row["blob_id"] for row in records.locations}
    for blob in rows.values():
        image = records.images[blob["image_id"]]
        waiting = blob["state"] == "staged" and image["status"] == "uploading"
        kept = blob["state"] == "kept" and blob["id"] in located and image["status"] in ("active", "deactivated")
        part = blob["state"] == "part" and image["status"] == "uploading" and records.open_upload(image["id"])
        if not (waiting or kept or part):
            yield f"I2 blob {blob['key']} is {blob['state']} of image {image['id']}, which is {image['status']}"


def ended(records: Records) -> Iterator[str]:
    for image in records.images.values():
        if image["status"] in ("saving", "importing"):
            yield f"I3 image {image['id']} stays {image['status']}"
        going_on = _staged(records, image["id"]) or records.open_upload(image["id"])
        if image["status"] == "uploading" and not going_on:
            yield f"I3 image {image['id']} stays uploading without whole staged bytes"
    for upload in records.uploads.values():
        alive = records.images[upload["image_id"]]["status"] == "uploading"
        if upload["state"] == "whole" or (upload["state"] == "open" and not alive):
            yield f"I3 upload {upload['id']} stays {upload['state']}"
    for work in records.imports.values():
        if work["status"] not in ("success", "failure"):
            yield f"I3 import {work['id']} stays {work['status']}"
        elif work["status"] == "failure" and not (work["code"] and work["message"]):
            yield f"I3 import {work['id']} failed without a name"


def _staged(records: Records, image_id: str) -> str | None:
    """The key of the one staged blob of an image, if it is whole."""
    blobs = [blob for blob in records.of(image_id) if blob["state"] == "staged"]
    whole = len(blobs) == 1 and records.sizes.get(blobs[0]["key"]) == blobs[0]["size"]
    return str(blobs[0]["key"]) if whole else None


def tombstones(records: Records) -> Iterator[str]:
    for image in records.images.values():
        dead = image["deleted_at"] is not None
        if dead != (image["status"] == "deleted"):
            yield f"I4 image {image['id']} is {image['status']} and deleted_at is {image['deleted_at']}"
        if dead and (records.of(image["id"]) or records.located(image["id"])):
            yield f"I4 image {image['id']} is deleted and still has bytes"


def decided(records: Records) -> Iterator[str]:
    logged = _logged(records.place.decisions)
    for image in records.active():
        mine = [row for row in records.decisions if row["image_id"] == image["id"] and _grants(row, image)]
        if not mine:
            yield f"I8 image {image['id']} is active and no decision granted its {image['size']} bytes"
        elif not any(row["revision"] in records.trees for row in mine):
            yield f"I8 image {image['id']}: the decision names a policy nobody kept"
        elif not any(logged.get(row["id"]) == row["revision"] for row in mine):
            yield f"I8 image {image['id']}: its decision is not in the log"


def receipted(records: Records) -> Iterator[str]:
    for image in records.active():
        if any(blob["verdict"] for blob in records.located(image["id"])):
            row = records.receipts.get(image["id"])
            if row is None or not row["signature"]:
                yield f"I9 image {image['id']} is active and has no signed receipt"
            elif _stated(row)["digest"].get(image["os_hash_algo"]) != image["os_hash_value"]:
                yield f"I9 image {image['id']}: its receipt is about other bytes"


def _stated(receipt: Row) -> Row:
    subject: Row = json.loads(receipt["statement"])["subject"][0]
    return subject if subject["name"] == receipt["image_id"] else {"digest": {}}


def _grants(row: Row, image: Row) -> bool:
    record = json.loads(row["record"])
    return bool(record["action"] == "allow" and record["facts"].get("content.size") == image["size"])


def _logged(path: Path) -> dict[str, str]:
    """Revisions by decision. A kill may tear a line: its decision was never acted upon."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["id"]] = entry["revision"]
    return found


def charged(records: Records, quotas: Mapping[str, int]) -> Iterator[str]:
    """Each blob is charged with the bytes in its file, each project with those of its images' blobs."""
    sums = dict.fromkeys(records.charges, 0)
    for blob in records.blobs.values():
        held = records.sizes.get(blob["key"], 0)
        if blob["charged"] != held:
            yield f"I6 blob {blob['key']} holds {held} bytes and is charged with {blob['charged']}"
        owner = records.images[blob["image_id"]]["owner"] or ""
        sums[owner] = sums.get(owner, 0) + held
    for project, held in sums.items():
        if records.charges.get(project, 0) != held:
            yield f"I6 project {project} holds {held} bytes and is charged with {records.charges.get(project, 0)}"
        if held > quotas.get(project, held):
            yield f"I6 project {project} holds {held} bytes and may have {quotas[project]}"


def uploaded(records: Records) -> Iterator[str]:
    """What an open upload has acknowledged is there, part after part without a gap."""
    for upload in [one for one in records.uploads.values() if one["state"] == "open"]:
        at = 0
        for part in sorted((row for row in records.parts if row["upload_id"] == upload["id"]), key=_start):
            key = records.blobs.get(part["blob_id"], {"key": ""})["key"]
            at = at + records.sizes.get(key, 0) if part["start"] == at else -1
        if at != upload["offset"]:
            yield f"I5 upload {upload['id']} acknowledged {upload['offset']} bytes, its parts give {at}"


def _start(part: Row) -> int:
    return int(part["start"])


def acknowledged(records: Records, accounts: Sequence[Account]) -> Iterator[str]:
    for account in accounts:
        image = records.images.get(account.image)
        if image is None:
            yield f"I5 image {account.image} was created and is unknown"
        elif account.deleted:
            if image["status"] != "deleted":
                yield f"I4 image {account.image} was deleted and is {image['status']}"
        elif image["status"] != "deleted":
            yield from _promised(records, account, image)
        elif account.asked != "delete":
            yield f"I5 image {account.image} is deleted and nobody asked for it"


def _promised(records: Records, account: Account, image: Row) -> Iterator[str]:
    """An image that lives, against what its owner was told."""
    if image["status"] == "active" and (account.hostile or image["os_hash_value"] != account.digest):
        yield f"I7 image {account.image} is active with bytes that are not the user's, or not allowed"
    work = records.imports.get(account.task or "")
    if account.task is not None and work is None:
        yield f"I5 import {account.task} was accepted and is unknown"
    succeeded = work is not None and work["status"] == "success"
    if (account.saved or succeeded) and image["status"] != "active":
        yield f"I5 image {account.image} was acknowledged and is {image['status']}"
    if account.staged and account.task is None and account.asked is None and not account.saved:
        yield from _still_staged(records, account, image)


def _still_staged(records: Records, account: Account, image: Row) -> Iterator[str]:
    key = _staged(records, account.image)
    if image["status"] != "uploading" or key is None:
        yield f"I5 image {account.image} was staged and is {image['status']}"
    elif hashlib.sha512(records.place.held.read(key)).hexdigest() != account.digest:
        yield f"I5 image {account.image}: the staged bytes are not the user's"
