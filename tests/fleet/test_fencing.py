"""A gateway that was thought dead wakes up with its answer in hand: the import is another one's by then.

The moment is chosen so that nothing but the attempt's number stands between the two: the bytes are whole and staged,
so there is no blob to lose, no source to hang up on, and no lease left to look at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Event
from typing import Any

import pytest

from tests.catalog import postgres
from tests.cli.service import eventually
from tests.clients.site import User
from tests.faults.audit import Account
from tests.faults.service import TRUSTING
from tests.faults.sources import content
from tests.fleet.fleet import Fleet, fleet
from tests.service.endpoint import ALLOW, KEY, Endpoint, Reply, endpoint

pytestmark = postgres.needed

HOOKED = {
    "id": "asked",
    "require": "all",
    "when": 'request.properties["hook"] == "checks"',
    "message": "Asked.",
    "stages": [{"webhook": {"name": "checks"}}],
}
DENY = json.dumps({"verdict": "deny", "message": "Too late."}).encode()
BODY = content(500, 1 << 20)


class Answers:
    """What the endpoint says to the first who asks about an import, and to those who come after; each when it may."""

    def __init__(self, first: bytes) -> None:
        self.first, self.later = Event(), Event()
        self._says = first

    def __call__(self, message: dict[str, Any]) -> Reply:
        is_first = message["data"]["attempt"] == 1
        (self.first if is_first else self.later).wait(120)
        return 200, {}, self._says if is_first else ALLOW


@pytest.fixture(scope="module")
def checks() -> Iterator[Endpoint]:
    with endpoint() as one:
        yield one


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, checks: Endpoint) -> Iterator[Fleet]:
    """Each carries out one import at a time, so that who has taken a new one is done with what it had."""
    home: Path = tmp_path_factory.mktemp("two")
    (home / "key").write_bytes(KEY)
    hook = {"url": checks.url, "secret_file": str(home / "key"), "timeout": "60s"}
    more = {"stages": {"webhooks": {"checks": hook}}}
    with fleet(home, 2, 80, more=more, rules=[*TRUSTING, HOOKED], concurrency=1) as started:
        yield started


def asked_for(user: User, hook: str) -> Account:
    image = user.create(hook=hook)
    user.stage(image, BODY).raise_for_status()
    answer = user.start(image)
    answer.raise_for_status()
    return Account(image, hashlib.sha512(BODY).hexdigest(), task=answer.headers["OpenStack-image-import-task"])


def row(at: Fleet, account: Account) -> tuple[str, str, int]:
    """What the records say of an import: how it stands, whose it is, and as which attempt."""
    (found,) = at.rows(f"SELECT status, runner, attempt FROM imports WHERE id = '{account.task}'")
    return str(found["status"]), str(found["runner"]), int(found["attempt"])


@pytest.mark.parametrize("late", [ALLOW, DENY], ids=["publishes", "fails"])
def test_what_was_decided_too_late_changes_nothing(two: Fleet, checks: Endpoint, late: bytes) -> None:
    checks.say = answers = Answers(late)
    checks.asked.clear()
    try:
        with two.members[0].user() as user:
            account = asked_for(user, hook="checks")
        eventually(lambda: checks.asked)
        _, sleeper, _ = row(two, account)
        (host,) = (one["host"] for one in two.rows(f"SELECT host FROM processes WHERE id = '{sleeper}'"))
        number = two.number(str(host))
        with two.members[1 - number].user() as other:
            two.members[number].signal(SIGSTOP)
            try:
                eventually(lambda: len(checks.asked) == 2)
                taken = row(two, account)
                answers.first.set()
            finally:
                two.members[number].signal(SIGCONT)
            beside = asked_for(other, hook="none")
            other.reaches(beside.image, "active")
            assert row(two, beside)[1] == sleeper, "the one that slept is not done with what it had"
            assert row(two, account) == taken
            assert other.show(account.image)["status"] == "importing"
            answers.later.set()
            assert other.reaches(account.image, "active")["os_hash_value"] == account.digest
            assert row(two, account) == ("success", *taken[1:])
    finally:
        answers.first.set()
        answers.later.set()
    assert two.rest(account, beside) == []
    for one in (account, beside):
        assert two.count(f"SELECT 1 FROM receipts WHERE image_id = '{one.image}'") == 1
