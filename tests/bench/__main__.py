"""`make bench`: run the parts, print a table, write JSON if asked. A quiet machine with Linux is wanted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console

from gateway.policy.quantity import parse_size
from tests.bench import (
    crowd,
    decisions,
    fronted,
    lists,
    memory,
    object_store,
    requests,
    resumable,
    scale,
    scanning,
    stages,
    tokens,
    transfer,
)
from tests.bench.meter import MIB, Others, counts_writes
from tests.bench.report import Figure, Skipped, show

console = Console(highlight=False, width=max(100, Console().width))
SIZES = (64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB)
COUNTS = (10, 1_000, 100_000)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run with: where, on which image of `size` bytes, and how thoroughly.

    Keystone is in the virtual environment `venv`, or is installed there where `installs`.
    """

    folder: Path
    image: Path
    size: int
    quick: bool
    counts_writes: bool
    venv: Path
    installs: bool

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 3


PARTS: dict[str, Callable[[Plan], list[Figure]]] = {
    "transfer": lambda plan: transfer.measure(
        plan.folder / "transfer", plan.image, plan.size, plan.rounds, counts_writes=plan.counts_writes
    ),
    "resumable": lambda plan: resumable.measure(
        plan.folder / "resumable", plan.image, plan.size, plan.rounds, counts_writes=plan.counts_writes
    ),
    "memory": lambda plan: memory.measure(plan.folder / "memory", plan.image, SIZES[:2] if plan.quick else SIZES),
    "crowd": lambda plan: crowd.measure(plan.folder / "crowd", plan.image, plan.size, plan.rounds),
    "object-store": lambda plan: object_store.measure(plan.folder / "bucket", plan.image, plan.size, plan.rounds),
    "scale": lambda plan: scale.measure(plan.folder / "scale", plan.image, 1 if plan.quick else 2),
    "stages": lambda plan: stages.measure(plan.image, plan.size, plan.rounds),
    "requests": lambda plan: requests.measure(plan.folder / "requests", 1 if plan.quick else 4, plan.rounds),
    "keystone": lambda plan: tokens.measure(
        plan.folder / "keystone", plan.venv, 1 if plan.quick else 4, plan.rounds, install=plan.installs
    ),
    "front": lambda plan: fronted.measure(
        plan.folder / "front", plan.venv, plan.image, plan.size, 2 if plan.quick else 6, plan.rounds
    ),
    "uploads": lambda plan: requests.measure_beside_uploads(plan.folder / "uploads", plan.image, plan.rounds),
    "lists": lambda plan: lists.measure(
        plan.folder / "lists", lists.COUNTS[:2] if plan.quick else lists.COUNTS, 0.2 if plan.quick else 0.6, plan.rounds
    ),
    "scan": lambda plan: scanning.measure(plan.folder / "scan", plan.image, plan.size, plan.rounds),
    "decisions": lambda plan: decisions.measure(COUNTS[:2] if plan.quick else COUNTS),
}


def main() -> None:
    # A stop unwinds like any other error, so that what was started ends and what was written goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    asked = arguments()
    others = Others()
    with tempfile.TemporaryDirectory(prefix="import-gateway-bench-", dir=asked.folder) as name:
        found = run(asked, Path(name))
    if found:
        show(found, console)
    share = others.share()
    console.print(f"Others took {share:.0%} of this machine's CPU time meanwhile.")
    if asked.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "others": share}
        figures = [figure.to_json() for figure in found]
        asked.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1) + "\n")


def run(asked: argparse.Namespace, folder: Path) -> list[Figure]:
    image = folder / "image"
    write_image(image, asked.size)
    plan = Plan(
        folder, image, asked.size, asked.quick, counts_writes(folder),
        venv=asked.venv, installs="keystone" in (asked.only or ()),
    )  # fmt: skip
    if not plan.counts_writes:
        console.print(f"{folder.parent} does not count what is written to it; name a folder on a disk with --folder.")
    found: list[Figure] = []
    for name in asked.only or PARTS:
        with console.status(f"measuring {name} ..."):
            try:
                found += PARTS[name](plan)
            except Skipped as reason:
                console.print(f"{name} is skipped: {reason}.", markup=False, soft_wrap=True)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Import Gateway.")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="run these parts alone")
    parser.add_argument("--size", type=size, help="size of the image in `transfer` (default: 1GiB)")
    parser.add_argument("--quick", action="store_true", help="a first impression in two minutes")
    parser.add_argument("--venv", type=Path, default=Path(".venv-interop"), help="where Keystone is, or shall be")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="a folder on the disk to measure")
    asked = parser.parse_args()
    asked.size = asked.size or (128 * MIB if asked.quick else 1024 * MIB)
    return asked


def size(text: str) -> int:
    """Argparse shows only its own errors' words."""
    try:
        found = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if found < MIB or found % MIB:
        raise argparse.ArgumentTypeError("use whole MiB")
    return found


def write_image(path: Path, size: int) -> None:
    """Bytes that no image format claims, the same in each run."""
    block = Random(1).randbytes(8 * MIB)
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])


if __name__ == "__main__":
    main()
