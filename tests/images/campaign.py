"""Mutated images before the inspect stage and before qemu-img: `python -m tests.images.campaign --mutations 20000`.

Whatever the gateway calls safe, qemu-img has to take for the same format and the same size, named or not, and has to
open no other file for. And a verdict must not hang on how the bytes were cut, and every refusal has its name.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from gateway.model.verdict import Verdict
from tests.images.archives import SOUND_ARCHIVES
from tests.images.hostile import HOSTILE
from tests.images.made import made
from tests.images.mutations import mutated
from tests.images.oracle import Said, ask, missing
from tests.images.sound import MIB, SOUND
from tests.stages.qemu import driver, other_files
from tests.stages.walk import Outcome, walk

BATCH = 100
ARCHIVES = ("ova", "ova with a medium", "docker")
Bases = dict[str, list[tuple[str, bytes]]]
"""Family -> its images by name. Each family is mutated as often as any other."""

ALLOWED_TAILS = frozenset({("vhd", "raw")})
"""A fixed VHD signs at its end, where probing does not look; its front is a plain disk, which is what is seen then."""


@dataclass(frozen=True, slots=True)
class Case:
    seed: str
    base: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What was met. `failures` are what must not be, each in words with its case."""

    mutations: int = 0
    safe: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Case]] = field(default_factory=list)


def bases(folder: Path) -> Bases:
    found: Bases = defaultdict(list)
    for name, (data, disk, _) in SOUND.items():
        if data:
            found["raw" if disk in ("aki", "ari", "ami", "gpt") else disk].append((name, data))
    for disk, options, data in made(folder):
        found[disk].append((f"{disk} {options}", data))
    for name, (data, disk, _) in HOSTILE.items():
        found[f"hostile {disk}"].append((name, data))
    found["archive"] = [(name, SOUND_ARCHIVES[name][0]) for name in ARCHIVES]
    return found


def case(number: int, seed: str, among: Bases) -> Case:
    random = Random(f"{seed}-{number}")
    name, data = random.choice(among[random.choice(list(among))])
    return Case(f"{seed}-{number}", name, mutated(data, random))


def run(count: int, *, seed: str = "campaign", keep: Path | None = None) -> Tally:
    tally = Tally()
    with TemporaryDirectory(prefix="import-gateway-images-") as folder:
        among = bases(Path(folder))
        waiting: list[tuple[Case, str, int]] = []
        for number in range(count):
            drawn = case(number, seed, among)
            if judged := judge(drawn, tally):
                waiting.append((drawn, *judged))
            if len(waiting) == BATCH:
                compare(Path(folder), waiting, tally)
                waiting.clear()
        compare(Path(folder), waiting, tally)
    if keep and tally.failures:
        keep.mkdir(parents=True, exist_ok=True)
        for _, failed in tally.failures:
            (keep / failed.seed).write_bytes(failed.data)
    return tally


def judge(case: Case, tally: Tally) -> tuple[str, int] | None:
    """The format and virtual size of what the gateway calls safe."""
    tally.mutations += 1
    random = Random(case.seed)
    try:
        whole = walk(case.data, None, None, chunks=[max(len(case.data), 1)], hashes=())
        sizes = [random.randint(1, 1 << random.randint(3, 21)) for _ in range(6)]
        cut = walk(case.data, None, None, chunks=[*sizes, random.choice((4093, 65_537, MIB))], hashes=())
    except Exception as error:  # noqa: BLE001 - the one thing looked for here is what the gateway does not name
        tally.failures.append((f"escaped: {error!r}", case))
        return None
    if summary(whole) != summary(cut):
        tally.failures.append((f"hangs on chunks: {whole.code} or {cut.code}", case))
    if whole.verdict is None:
        tally.refused[str(whole.code)] += 1
        return None
    return accepted(case, whole.verdict, tally)


def accepted(case: Case, verdict: Verdict, tally: Tally) -> tuple[str, int] | None:
    archive = next(
        (f.code for r in verdict.reports for f in r.findings if f.code in ("found-ova", "found-docker")), None
    )
    kind = "raw" if archive else verdict.disk_format
    tally.safe[archive or str(kind)] += 1
    if kind is None:
        return None  # packed: nobody opens it as it is
    return kind, len(case.data) if archive else verdict.virtual_size or 0


def summary(found: Outcome) -> object:
    return found.code, found.message, found.stored, found.verdict


def compare(folder: Path, waiting: list[tuple[Case, str, int]], tally: Tally) -> None:
    images = {f"i{at}": (case.data, kind) for at, (case, kind, _) in enumerate(waiting)}
    answers = ask(folder, images) if images else {}
    for said, (case, kind, size) in zip(answers.values(), waiting, strict=True):
        tally.failures += [(what, case) for what in disagreements(said, kind, size)]
        if said.named is None:
            tally.unopened[kind] += 1


def disagreements(said: Said, kind: str, size: int) -> Iterator[str]:
    """In words, each thing that qemu-img sees in another way than the gateway."""
    if said.other_files:
        yield f"{kind} makes qemu-img ask for {sorted(said.other_files)}"
    if said.named and (names := other_files(said.named)):
        yield f"{kind} names {names}"
    if said.named and not said.probed:
        yield f"{kind} is not opened unless its format is named"
    if said.chain:
        yield f"{kind} has {said.chain} images behind it"
    if said.named and rounded(said.named["virtual-size"]) != rounded(size):
        yield f"{kind} has {size} bytes here and {said.named['virtual-size']} there"
    if said.probed and (found := said.probed["format"]) != driver(kind) and (kind, found) not in ALLOWED_TAILS:
        yield f"{kind} is taken for {found}"


def rounded(size: int) -> int:
    """Plain disks are read in sectors."""
    return -(-size // 512)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.images.campaign", description=__doc__)
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", default="campaign")
    parser.add_argument("--keep", type=Path, help="write the images of all failures into this folder")
    asked = parser.parse_args()
    if lacking := missing():
        sys.exit(f"The campaign needs qemu-img, bwrap and strace: {lacking}")
    began = time.monotonic()
    tally = run(asked.mutations, seed=asked.seed, keep=asked.keep)
    report(tally, time.monotonic() - began)
    sys.exit(bool(tally.failures))


def report(tally: Tally, seconds: float) -> None:
    out = sys.stdout.write
    out(f"{tally.mutations} mutations in {seconds:.0f} s\n")
    out(f"called safe: {tally.safe.total()} ({listed(tally.safe)})\n")
    out(f"refused: {tally.refused.total()} ({listed(tally.refused)})\n")
    out(f"safe, but not opened by qemu-img: {tally.unopened.total()} ({listed(tally.unopened)})\n")
    out(f"failures: {len(tally.failures)}\n")
    for what, case in tally.failures[:40]:
        out(f"  {case.seed} of '{case.base}': {what}\n")


def listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.most_common())


if __name__ == "__main__":
    main()
