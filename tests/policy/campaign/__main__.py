"""`python -m tests.policy.campaign`: the long run over random trees, and the bugs it has to catch."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

from tests.policy.campaign.mutants import MUTANTS, plant

WORKERS = 2
BATCH = 200
PATIENCE = 3000
"""Cases a mutant may survive."""


@dataclass(frozen=True, slots=True)
class Hunted:
    """One mutant: what caught it, empty for nothing."""

    name: str
    caught: str


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.policy.campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="trees and requests to draw")
    parser.add_argument("--seed", type=int, default=1, help="the first case's number")
    parser.add_argument("--mutants", action="store_true", help="plant each bug, and show what catches it")
    parser.add_argument("--mutant", help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    if chosen.mutant:
        plant(chosen.mutant)
        return _try(range(chosen.seed, chosen.seed + chosen.cases), until_wrong=True)
    if chosen.mutants:
        return _hunt(chosen.seed)
    return _campaign(chosen.seed, chosen.cases)


def _try(numbers: Iterable[int], *, until_wrong: bool) -> int:
    from tests.policy.campaign.running import try_cases

    tally = try_cases(numbers, until_wrong=until_wrong)
    print("\n".join(tally.wrong[:5]) or tally)
    return 1 if tally.wrong else 0


def _campaign(seed: int, cases: int) -> int:
    from tests.policy.campaign.running import Tally, try_cases

    total = Tally()
    with ProcessPoolExecutor(WORKERS) as pool:
        batches = [range(first, min(first + BATCH, seed + cases)) for first in range(seed, seed + cases, BATCH)]
        for tally in pool.map(try_cases, batches):
            total.add(tally)
    print("\n".join([*total.wrong[:20], str(total)]))
    return 1 if total.wrong else 0


def _hunt(seed: int) -> int:
    survivors = 0
    for one in hunt([mutant.name for mutant in MUTANTS], seed):
        print(f"{one.name:28} {'caught in ' + one.caught if one.caught else 'SURVIVED'}", flush=True)
        survivors += not one.caught
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} planted bugs caught")
    return 1 if survivors else 0


def hunt(names: Iterable[str], seed: int = 1, patience: int = PATIENCE) -> Iterator[Hunted]:
    """Each mutant in a process of its own, until a property fails."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(lambda name: _hunted(name, seed, patience), names)


def _hunted(name: str, seed: int, patience: int) -> Hunted:
    command = [sys.executable, "-m", "tests.policy.campaign", "--mutant", name, "--seed", str(seed)]
    done = subprocess.run([*command, "--cases", str(patience)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise RuntimeError(f"{name}: {done.stderr}")
    return Hunted(name, done.stdout.splitlines()[0] if done.returncode else "")


if __name__ == "__main__":
    sys.exit(main())
