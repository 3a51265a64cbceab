"""Projects that all want the same, and ask any gateway that answers, again and again where none does."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, ClassVar
from uuid import UUID

import httpx

from tests.clients.site import PASSWORD, RAW
from tests.faults.audit import Account
from tests.faults.service import Service
from tests.faults.sources import Sources, content

SIZE = 6 << 20
"""Of each image, in bytes: more than one part of an object."""
KINDS = ("web", "web", "direct", "web", "hostile", "web", "deleted", "direct", "web", "copy")
FAIR = frozenset({"web", "direct"})
"""What every project gets all bytes of, however often its gateways die."""
ANSWER_SECONDS = 10
POLL_SECONDS = 1.0
AWAY = frozenset({502, 503, 504})


class NobodyAnswers(Exception):
    """Until the end of the campaign."""


@dataclass
class Wanted:
    """One import: what is asked for, what its owner was told of it, and its places in the queue, by time."""

    kind: str
    seed: int
    account: Account
    task: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    places: list[tuple[float, int]] = field(default_factory=list)

    def wrong(self) -> str | None:
        """What is not as it should have come."""
        status, message = self.outcome.get("status"), self.outcome.get("message", "")
        if self.kind == "deleted":
            right = self.account.deleted
        elif self.kind == "hostile":
            right = status == "failure" and "backing file" in message
        else:
            right = status == "success"
        return None if right else f"{self.kind} import {self.task} of image {self.account.image}: {status} {message}"


def wanted(chance: random.Random, count: int) -> list[Wanted]:
    """The same kinds for each project, in the same order."""
    made: list[Wanted] = []
    for number in range(count):
        kind, seed = KINDS[number % len(KINDS)], chance.getrandbits(40)
        account = Account(str(UUID(int=chance.getrandbits(128), version=4)), "", hostile=kind == "hostile")
        if kind != "hostile":
            account.digest = hashlib.sha512(content(seed, SIZE)).hexdigest()
        if kind == "copy":
            account = next(one.account for one in made if one.kind == "web")
        made.append(Wanted(kind, seed, account))
    return made


@dataclass
class Owner:
    """One project's client. `milliseconds` is what its sources take for an image; it gives up at `until`."""

    name: str
    members: Sequence[Service]
    sources: Sources
    chance: random.Random
    wants: Sequence[Wanted]
    milliseconds: int
    until: float
    surprises: list[str] = field(default_factory=list)
    http: httpx.Client = field(init=False)

    EXPECTED: ClassVar = frozenset({200, 201, 202, 204, 404, 409})

    def live(self) -> None:
        """Everything is asked for at once, but for copies of what is not there yet."""
        try:
            with httpx.Client(auth=(self.name, PASSWORD), trust_env=False, timeout=ANSWER_SECONDS) as self.http:
                for want in self.wants:
                    if want.kind != "copy":
                        self.start(want)
                for want in self.wants:
                    self.end(want)
        except NobodyAnswers:
            self.surprises.append(f"{self.name} was not done in time")

    def ask(self, verb: str, path: str, **more: Any) -> httpx.Response:
        """Raises NobodyAnswers. What was asked twice may have happened twice."""
        while monotonic() < self.until:
            answer = self.try_once(verb, path, **more)
            if answer is not None:
                return answer
            sleep(self.chance.uniform(0.05, 0.3))
        raise NobodyAnswers

    def try_once(self, verb: str, path: str, **more: Any) -> httpx.Response | None:
        """Of one gateway; None where it is away, or may be."""
        url = f"{self.chance.choice(self.members).url}/v2/images/{path}".rstrip("/")
        try:
            answer = self.http.request(verb, url, **more)
        except httpx.TransportError:
            return None
        if answer.status_code in AWAY:
            return None
        if answer.status_code not in self.EXPECTED:
            self.surprises.append(f"{verb} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def start(self, want: Wanted) -> None:
        image = want.account.image
        values = {**RAW, "id": image, "disk_format": "qcow2" if want.kind == "hostile" else "raw"}
        self.ask("POST", "", json=values)
        while not want.task:
            if want.kind == "direct" and self.status(image) == "queued":
                self.stage(want)
            self.start_import(want)
        want.account.task = want.task

    def stage(self, want: Wanted) -> None:
        """An upload that broke off is there or not; what comes next shows it."""
        headers = {"Content-Type": "application/octet-stream"}
        answer = self.try_once("PUT", f"{want.account.image}/stage", content=content(want.seed, SIZE), headers=headers)
        want.account.staged = answer is not None and answer.is_success

    def start_import(self, want: Wanted) -> None:
        """Accepted, or known to have been accepted before; else not yet."""
        before = self.tasks(want)
        if not before:
            answer = self.ask("POST", f"{want.account.image}/import", json=self.method(want))
            want.task = answer.headers.get("OpenStack-image-import-task", "")
        else:
            want.task = str(before[0]["id"])
        if not want.task:
            sleep(self.chance.uniform(0.1, 0.5))

    def method(self, want: Wanted) -> dict[str, Any]:
        if want.kind == "copy":
            return {"method": {"name": "copy-image"}, "stores": ["second"]}
        if want.kind == "direct":
            return {"method": {"name": "glance-direct"}}
        backed = self.sources.url(f"backed/{self.milliseconds // 4}")
        uri = backed if want.kind == "hostile" else self.sources.paced(want.seed, SIZE, self.milliseconds)
        return {"method": {"name": "web-download", "uri": uri}}

    def status(self, image: str) -> str:
        return str(self.ask("GET", image).json().get("status"))

    def tasks(self, want: Wanted) -> list[dict[str, Any]]:
        """This import's, where there is one: an image is copied by an import after its first."""
        found = self.ask("GET", f"{want.account.image}/tasks").json().get("tasks", [])
        return [task for task in found if (_method(task) == "copy-image") == (want.kind == "copy")]

    def end(self, want: Wanted) -> None:
        while not want.task:  # a copy: the original is there by now
            self.start_import(want)
        last = [one for one in self.wants if one.kind != "copy"][-1]
        while not self.ended(want):
            if want is not last and self.chance.random() < 0.5:
                self.ended(last)
            sleep(POLL_SECONDS)

    def ended(self, want: Wanted) -> bool:
        began = monotonic()
        tasks = self.tasks(want)
        if not tasks:  # deleted, with all that was known of it
            return True
        if (place := tasks[0]["queue_position"]) is not None:
            want.places.append((began, place))
        if want.kind == "deleted" and tasks[0]["status"] != "pending":
            return self.delete(want)
        if tasks[0]["status"] in ("success", "failure"):
            want.outcome = tasks[0]
        return bool(want.outcome)

    def delete(self, want: Wanted) -> bool:
        self.ask("DELETE", want.account.image)
        want.account.deleted = True
        return True


def _method(task: dict[str, Any]) -> str:
    return str(task["input"]["import_req"]["method"]["name"])
