"""Users who import one image after another until the service dies under them, and who remember what they were told."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import httpx

from tests.clients.site import User
from tests.faults.audit import Account
from tests.faults.sources import Sources, content
from tests.images.hostile import backed_qcow2

NAMES = ("stranger", "silver", "gold")
LARGEST = 3 << 20


@dataclass
class Life:
    """One user at work. `surprises` are answers that no request here should get."""

    user: User
    sources: Sources
    chance: random.Random
    stop: threading.Event
    accounts: list[Account] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def live(self) -> None:
        """Until told to stop, or until the service is gone."""
        acts = (self.direct, self.direct, self.save, self.web, self.web, self.stage_only, self.hostile)
        try:
            while not self.stop.is_set():
                self.chance.choice(acts)()
                self.forget()
        except httpx.HTTPError:
            return  # what the last account asked for stays open

    def create(self, body: bytes, **values: str) -> Account:
        image = self.user.create(**values)
        account = Account(image, hashlib.sha512(body).hexdigest())
        self.accounts.append(account)
        return account

    def body(self) -> tuple[int, bytes]:
        seed = self.chance.getrandbits(32)
        return seed, content(seed, self.chance.randrange(1, LARGEST))

    def ask(self, account: Account, what: str, request: Callable[[], httpx.Response], expected: int) -> httpx.Response:
        account.asked = what
        answer = request()
        account.asked = None
        if answer.status_code != expected:
            self.surprises.append(f"{what} of image {account.image}: {answer.status_code} {answer.text[:300]}")
        return answer

    def direct(self) -> None:
        account = self.stage_only()
        if account.staged:
            self.start(account, "glance-direct")

    def stage_only(self) -> Account:
        _, body = self.body()
        account = self.create(body)
        answer = self.ask(account, "stage", lambda: self.user.stage(account.image, body), 204)
        account.staged = answer.is_success
        return account

    def save(self) -> None:
        _, body = self.body()
        account = self.create(body)
        answer = self.ask(account, "save", lambda: self.user.save(account.image, body), 204)
        account.saved = answer.is_success

    def web(self) -> None:
        seed, body = self.body()
        uri = self.sources.paced(seed, len(body), self.chance.randrange(1500))
        self.start(self.create(body), "web-download", uri=uri)

    def hostile(self) -> None:
        """A disk that names the host's own file as its backing file."""
        body = backed_qcow2()
        account = self.create(body, disk_format="qcow2")
        account.hostile = True
        self.ask(account, "stage", lambda: self.user.stage(account.image, body), 415)

    def start(self, account: Account, method: str, **options: str) -> None:
        answer = self.ask(account, "import", lambda: self.user.start(account.image, method, **options), 202)
        account.task = answer.headers.get("OpenStack-image-import-task")
        end = monotonic() + self.chance.uniform(0, 3)
        while monotonic() < end and not self.stop.wait(0.05):
            if self.user.show(account.image)["status"] == "active":
                return

    def forget(self) -> None:
        """Every now and then, delete an image, whatever it is doing."""
        account = self.chance.choice(self.accounts)
        if self.chance.random() < 0.3 and not account.deleted:
            answer = self.ask(account, "delete", lambda: self.user.http.delete(f"/v2/images/{account.image}"), 204)
            account.deleted = answer.is_success


@contextmanager
def at_work(lives: Sequence[Life]) -> Iterator[None]:
    """They work meanwhile; at the end they have noticed that the service is gone, or that they shall stop."""
    with ThreadPoolExecutor(len(lives)) as pool:
        working = [pool.submit(life.live) for life in lives]
        yield
    for work in working:
        work.result()
