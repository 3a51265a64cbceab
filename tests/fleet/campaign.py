"""Many gateways on one PostgreSQL and one object store, through kills, pauses and stops, with users who do not notice.

Every project asks for the same imports at once; then the gateways fall at random and come back. At the end everybody
has what he asked for or a name for why not, and the auditor compares the records and the bucket with what the users
were told, after one pass of one reaper.

Fair means: as long as all projects had imports waiting, no project was served more than 1.5 times what another one
was; what was lost with a gateway does not count. A place in the queue is an estimate that other projects' bytes and
fallen gateways move: how far imports fell back is told, and no verdict hangs on it.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from time import monotonic
from typing import Any

import bcrypt

from tests.clients.site import PASSWORD
from tests.faults.audit import Account
from tests.faults.sources import Sources, sources
from tests.fleet.fleet import Fleet, fleet
from tests.fleet.havoc import Havoc, blows
from tests.fleet.owners import FAIR, SIZE, Owner, wanted
from tests.fleet.watching import Served, Watch, setback, spread
from tests.serving import held_s3, servers
from tests.serving.held import Together

TAKEOVER_SECONDS = 30
SLOTS = 4
SLACK_SECONDS = 1.0


@dataclass(frozen=True)
class Size:
    """Of a campaign: what runs for how many `seconds`, at which `lease`, with a blow every `gap` seconds.

    `spread` is the most by which projects may differ in what they were served; None where too little is asked for to
    tell.
    """

    gateways: int = 3
    projects: int = 20
    imports: int = 200
    seconds: float = 120
    lease: float = 15
    gap: float = 8
    patience: float = 300
    spread: float | None = 1.5

    @property
    def each(self) -> int:
        return self.imports // self.projects

    @property
    def milliseconds(self) -> int:
        """What a source takes, so that there is work until the last blow, lost work left out."""
        return int(0.7 * self.seconds * 1000 * self.gateways * SLOTS / self.imports)


@dataclass
class Outcome:
    seed: int
    store: str
    blows: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0
    handed: Sequence[float] = ()
    takeovers: Sequence[float] = ()
    shared: Served | None = None
    places: int = 0
    setbacks: Sequence[int] = ()
    violations: list[str] = field(default_factory=list)

    def told(self) -> str:
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self.blows.items()))
        ended = ", ".join(f"{count} {how}" for how, count in sorted(self.ended.items()))
        longest, queued = max(self.takeovers, default=0), max(self.handed, default=0)
        farthest = max(self.setbacks, default=0)
        lines = [
            f"{sum(self.ended.values())} imports ended in {self.seconds:.0f} s ({ended}); gateways: {ways}",
            f"{len(self.takeovers)} taken over, the last after {longest:.1f} s (queued again after {queued:.1f} s)",
            f"{self.places} places in the queue seen; {len(self.setbacks)} imports fell back, by {farthest} at most",
        ]
        if self.shared is not None:
            kept, moved = spread(self.shared.kept), spread(self.shared.moved)
            mean = sum(self.shared.kept.values()) / len(self.shared.kept) / SIZE
            lines.append(
                f"while all waited ({mean:.1f} images each): most / least served {kept:.2f} (lost too {moved:.2f})"
            )
        return "\n".join([*lines, f"{len(self.violations)} violations (seed {self.seed}, store {self.store})"])


@dataclass
class Campaign:
    size: Size
    fleet: Fleet
    sources: Sources
    chance: random.Random
    outcome: Outcome
    say: Callable[[str], None]

    def run(self) -> Outcome:
        began = monotonic()
        owners = [self.owner(number, began) for number in range(self.size.projects)]
        watch = Watch(self.fleet.url)
        havoc = Havoc(self.fleet, watch)
        drawn = blows(self.chance, self.size.seconds, self.size.gateways, self.size.lease, self.size.gap)
        with watch.watching():
            with havoc.striking(drawn) as falling, ThreadPoolExecutor(len(owners)) as pool:
                living = [pool.submit(owner.live) for owner in owners]
                for one in (*living, falling):
                    one.result()
                self.outcome.seconds = monotonic() - began
            self.say(f"all asked for has ended after {self.outcome.seconds:.0f} s; one gateway cleans up")
            self.rest(owners)
        self.judge(owners, watch)
        self.outcome.blows = havoc.done
        return self.outcome

    def owner(self, number: int, began: float) -> Owner:
        chance = random.Random(self.chance.getrandbits(64))
        return Owner(
            name=name_of(number),
            members=self.fleet.members,
            sources=self.sources,
            chance=chance,
            wants=wanted(chance, self.size.each),
            milliseconds=self.size.milliseconds,
            until=began + self.size.seconds + self.size.patience,
        )

    def rest(self, owners: Sequence[Owner]) -> None:
        """All stop, one starts: its first pass is the only one within the interval."""
        for member in self.fleet.members:
            member.kill(SIGTERM)
        self.fleet.members[0].start()
        accounts: dict[str, Account] = {want.account.image: want.account for one in owners for want in one.wants}
        self.outcome.violations += self.fleet.rest(*accounts.values(), seconds=self.size.lease + 15)

    def judge(self, owners: Sequence[Owner], watch: Watch) -> None:
        wants = [want for owner in owners for want in owner.wants]
        out = self.outcome
        out.violations += [surprise for owner in owners for surprise in owner.surprises]
        out.violations += [wrong for want in wants if (wrong := want.wrong())]
        out.ended = _counted(self.fleet)
        out.takeovers = watch.takeovers
        if watch.waiting or max(watch.takeovers, default=0) > TAKEOVER_SECONDS:
            out.violations.append(
                f"not taken over in {TAKEOVER_SECONDS} s: {watch.waiting} {sorted(watch.takeovers)[-3:]}"
            )
        self.judge_fairness(owners, watch)
        out.handed = watch.handed
        out.places = sum(len(want.places) for want in wants)
        back = [setback(want.places, watch.arrivals, SLACK_SECONDS) for want in wants]
        out.setbacks = sorted(size for size in back if size)

    def judge_fairness(self, owners: Sequence[Owner], watch: Watch) -> None:
        projects = {want.task: owner.name for owner in owners for want in owner.wants if want.kind in FAIR}
        self.outcome.shared = watch.shared(projects)
        if self.size.spread is None:
            return
        if self.outcome.shared is None:
            self.outcome.violations.append("the projects never all waited at once")
        elif (found := spread(self.outcome.shared.kept)) > self.size.spread:
            self.outcome.violations.append(f"unfair: a project was served {found:.2f} times what another was")


def _counted(at: Fleet) -> Mapping[str, int]:
    rows = at.rows("SELECT status, count(*) AS number FROM imports GROUP BY status")
    return {str(row["status"]): int(row["number"]) for row in rows}


def name_of(number: int) -> str:
    return f"project{number:02}"


def campaign(
    size: Size, seed: int, say: Callable[[str], None], *, store: str = "moto", folder: Path | None = None
) -> Outcome:
    """`store` is the server behind the bucket: moto or rgw. `folder` keeps what is left; without one it is removed."""
    with tempfile.TemporaryDirectory(prefix="import-gateway-fleet-") as made, sources() as served:
        home = folder or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        outcome = Outcome(seed, store)
        with started(home, size, served.port, store) as running:
            say(f"{size.gateways} gateways serve {size.projects} projects (seed {seed}, store {store})")
            return Campaign(size, running, served, random.Random(seed), outcome, say).run()


@contextmanager
def started(home: Path, size: Size, source: int, store: str) -> Iterator[Fleet]:
    server, prefix = servers.server(store), os.urandom(4).hex()
    places = {name: held_s3.settings(server, f"{prefix}/{name}") for name in ("main", "second")}
    more = {
        "stores": [
            {"name": name, "default": name == "main", "part_size": "5MiB", **place} for name, place in places.items()
        ],
        "credentials": held_s3.credentials(server),
        "identity": identity(home, size.projects),
    }
    held = Together(tuple(held_s3.held(server, f"{prefix}/{name}") for name in places))
    imports: dict[str, Any] = {"lease": f"{int(size.lease * 1000)}ms", "reaper_interval": "10m", "concurrency": SLOTS}
    with fleet(home, size.gateways, source, more=more, held=held, **imports) as running:
        yield running


def identity(home: Path, projects: int) -> Mapping[str, Any]:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    names = [name_of(number) for number in range(projects)]
    (home / "htpasswd").write_text("".join(f"{name}:{hashed}\n" for name in names))
    users = {name: {"project": {"id": name}, "roles": ["member", "reader"]} for name in names}
    return {"type": "basic", "htpasswd": str(home / "htpasswd"), "users": users}
