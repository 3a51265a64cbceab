"""Kill the service at random moments and at chosen system calls, start it again, and audit what is left.

A round: three users import, the service is killed with SIGKILL, started again, and has 30 s to bring everything to an
end by name. Then the auditor compares the disk with what the users were told, and the users go on.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from tests.faults.audit import Account, Records, audit, unsettled
from tests.faults.service import Ended, Service
from tests.faults.sources import Sources, sources
from tests.faults.users import NAMES, Life, at_work

RECOVERY_SECONDS = 60
LONGEST_LIFE = 3.0
CALLS = {"fsync": 10, "fdatasync": 60, "linkat": 3, "pwrite64": 600, "write": 12, "unlinkat": 3}
"""What the store (fsync, linkat, write, unlinkat), the log (write) and SQLite (the others) do to a disk. The process
dies as it enters the Nth of them in one thread; N is at most the number here, which a few seconds of work reach."""


@dataclass
class Outcome:
    kills: dict[str, int] = field(default_factory=dict)
    images: int = 0
    active: int = 0
    failed: int = 0
    deleted: int = 0
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)

    def killed(self, how: str) -> None:
        self.kills[how] = self.kills.get(how, 0) + 1

    def told(self) -> str:
        ways = ", ".join(f"{count} {how}" for how, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills, {self.images} images, {self.failed} failed by name, "
            f"{len(self.violations)} violations\n"
            f"({ways}; {self.active} active, {self.deleted} deleted; slowest recovery {self.slowest:.1f} s)"
        )


@dataclass
class Campaign:
    """One data folder through all its kills."""

    service: Service
    sources: Sources
    chance: random.Random
    say: Callable[[str], None]
    outcome: Outcome = field(default_factory=Outcome)
    accounts: list[Account] = field(default_factory=list)

    def run(self, kills: int) -> Outcome:
        ways = self.ways(kills)
        for number, way in enumerate(ways, 1):
            lives = way()
            seconds = self.recover()
            found = [*self.audited(), *(surprise for life in lives for surprise in life.surprises)]
            self.outcome.violations += found
            self.say(f"kill {number} of {kills}: {way.__name__}, recovered in {seconds:.1f} s, {len(found)} violations")
            self.service.kill()
        self.count()
        return self.outcome

    def ways(self, kills: int) -> list[Callable[[], list[Life]]]:
        """Two in ten at start-up, three in ten at a system call (where strace is), the rest at any moment."""
        traced = shutil.which("strace") is not None
        if not traced:
            self.say("strace is missing, so no kills at system calls: apt-get install strace")
        kinds = [self.at_startup] * 2 + [self.at_call if traced else self.at_random] * 3 + [self.at_random] * 5
        drawn = [kinds[number * 7 % 10] for number in range(kills)]
        self.chance.shuffle(drawn)
        return drawn

    def at_random(self) -> list[Life]:
        self.service.start()
        return self.killed_during(self.chance.uniform(0, LONGEST_LIFE), "at a random moment")

    def at_startup(self) -> list[Life]:
        """Also while it recovers from the kill before."""
        self.service.launch()
        sleep(self.chance.uniform(0, 3))
        self.service.kill()
        self.outcome.killed("during start-up")
        return []

    def at_call(self) -> list[Life]:
        """A small number may come true while the service still starts. (strace counts wrongly with --seccomp-bpf.)"""
        call = self.chance.choice(list(CALLS))
        number = self.chance.randint(1, CALLS[call])
        inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        self.service.launch(under=["strace", "-f", "-qq", "-o", "/dev/null", *inject])
        with suppress(Ended):
            self.service.wait_ready()
            return self.killed_during(3 * LONGEST_LIFE, "at a system call")
        self.outcome.killed("at a system call")
        return []

    def killed_during(self, seconds: float, how: str) -> list[Life]:
        """Users at work until the service dies: by itself, or after so many seconds."""
        stop = threading.Event()
        with ExitStack() as clients:
            users = [clients.enter_context(self.service.user(name)) for name in NAMES]
            lives = [Life(user, self.sources, random.Random(self.chance.getrandbits(64)), stop) for user in users]
            with at_work(lives):
                with suppress(subprocess.TimeoutExpired):
                    self.service.wait(seconds)
                self.outcome.killed(how if self.service.ended() else "at a random moment")
                self.service.kill()
                stop.set()
        self.accounts += [account for life in lives for account in life.accounts]
        return lives

    def recover(self) -> float:
        """Start again and wait until everything has ended. Seconds it took; what has not ended, the audit finds."""
        began = monotonic()
        self.service.start()
        while unsettled(self.service.place) and monotonic() - began < RECOVERY_SECONDS:
            sleep(0.1)
        seconds = monotonic() - began
        self.outcome.slowest = max(self.outcome.slowest, seconds)
        return seconds

    def audited(self) -> list[str]:
        return [*audit(self.service.place, self.accounts), *self.readable()]

    def readable(self) -> list[str]:
        """I7 and I4 as a client sees them."""
        found = []
        statuses = {image["id"]: image["status"] for image in Records(self.service.place).images.values()}
        with self.service.user("admin") as admin:
            for account in self.accounts:
                answer = admin.file(account.image, Range="bytes=0-0")
                expected = {"active": 206, "deleted": 404}.get(statuses.get(account.image, "deleted"), 204)
                if answer.status_code != expected:
                    found.append(f"I7 data of image {account.image}: {answer.status_code}, not {expected}")
        return found

    def count(self) -> None:
        records = Records(self.service.place)
        self.outcome.images = len(records.images)
        self.outcome.active = len(list(records.active()))
        self.outcome.deleted = sum(image["status"] == "deleted" for image in records.images.values())
        self.outcome.failed = sum(work["status"] == "failure" for work in records.imports.values())


def settings(port: int) -> dict[str, object]:
    """A quick reaper, and sources on loopback."""
    return {
        "fetch": {"allowed_networks": ["127.0.0.0/8"], "ports": [port], "idle_timeout": "5s"},
        "imports": {"reaper_interval": "1s", "progress_interval": "100ms"},
    }


def campaign(kills: int, seed: int, say: Callable[[str], None], folder: Path | None = None) -> Outcome:
    """`folder` keeps what is left for a look; without one it is removed."""
    with tempfile.TemporaryDirectory(prefix="import-gateway-faults-") as made, sources() as served:
        home = folder or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        found = Campaign(Service(home, settings(served.port)), served, random.Random(seed), say)
        try:
            return found.run(kills)
        finally:
            if not found.service.ended():
                found.service.kill()
