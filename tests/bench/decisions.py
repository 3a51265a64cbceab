"""Decisions a second, and what a large tree costs to load. Each tree is measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.bench.report import Figure, Kind, Samples, figures

FAST, PORTABLE = "cel-expr", "cel-python"
LOADING = {
    "loading": Kind("s", target=10),
    "peak": Kind("MiB", target=350),
    "memory": Kind("MiB"),
    "reloading": Kind("s", target=10),
    "reloading one": Kind("s"),
    "peak reloading": Kind("MiB", target=350),
}
"""Of a whole tree; `reloading` with every file changed and with one, while the tree before stays in force."""


def measure(counts: Sequence[int]) -> list[Figure]:
    """One decision about a project that ten rules can touch, beside ever more rules of other projects."""
    samples = Samples(list)
    for rules in counts:
        found = in_process(rules, FAST)
        took = samples[f"{rules:,} rules, {FAST}"] = found["microseconds"]
        samples[f"{rules:,} rules, {FAST}, rate"] = [1e6 / one for one in took]
        for name in LOADING:
            samples[f"{rules:,} rules, {name}"] = found[name]
    first, last = (samples[f"{rules:,} rules, {FAST}"] for rules in (counts[0], counts[-1]))
    samples[growth(counts)] = [after / before for before, after in zip(first, last, strict=True)]
    samples[f"{counts[0]:,} rules, {PORTABLE}"] = in_process(counts[0], PORTABLE)["microseconds"]
    return figures("decisions", samples, kinds(counts))


def kinds(counts: Sequence[int]) -> dict[str, Kind]:
    found = {}
    for rules in counts:
        found[f"{rules:,} rules, {FAST}"] = Kind("µs", target=100 if rules == counts[0] else None)
        found[f"{rules:,} rules, {FAST}, rate"] = Kind("a second", more=True)
    found[growth(counts)] = Kind("x", target=2)
    found[f"{counts[0]:,} rules, {PORTABLE}"] = Kind("µs")
    for rules in counts[1:]:
        found |= {f"{rules:,} rules, {name}": kind for name, kind in LOADING.items()}
    return found


def growth(counts: Sequence[int]) -> str:
    return f"{counts[-1]:,} rules / {counts[0]:,} rules"


def in_process(rules: int, engine: str) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "tests.bench.deciding", str(rules), engine]
    found: dict[str, list[float]] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found
