"""`import-gateway policy bench`: how fast a tree decides, and what makes it slow."""

from __future__ import annotations

import json as json_
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.policy_asking import EngineOption, Folder, JsonOption, compiled, moment, told

if TYPE_CHECKING:
    from gateway.policy.facts import Facts
    from gateway.policy.rules import Policy, Rule

SLOWEST = 5
GROWTH = 10
CALLERS = 200
RUNS = 20
IMAGE = {
    "host": "mirror.example",
    "scheme": "https",
    "disk_format": "qcow2",
    "visibility": "shared",
    "properties": {"os_distro": "debian"},
    "stores": ["local"],
    "size": "2GiB",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Times in microseconds. `growth` is what a decision costs with ten times the rules, for other projects."""

    rules: int
    engine: str
    decisions_per_second: float
    discoveries_per_second: float
    p50: float
    p95: float
    p99: float
    growth: float
    slowest: list[tuple[str, float]] = field(default_factory=list)


COMPARED = ("p50", "p95", "p99", "growth")


def bench(
    folder: Folder = Path(),
    save: Annotated[Path | None, typer.Option(help="Keep the figures in this file.")] = None,
    compare: Annotated[Path | None, typer.Option(help="Hold them against figures that were kept.")] = None,
    threshold: Annotated[float, typer.Option(min=1.0, help="Exit 1 where one is so many times as slow.")] = 1.3,
    seconds: Annotated[float, typer.Option(min=0.05, help="How long each measurement takes.")] = 1.0,
    json: JsonOption = False,
    engine: EngineOption = "cel-expr",
) -> None:
    """How fast does the tree decide, for the callers it names, about whole imports?

    Times are processor time; compare figures of the same machine alone.
    """
    from gateway.cli.speech import print_json

    with told(folder):
        policy = compiled(folder, engine)
        before = _kept(compare) if compare else None
    found = measured(policy, engine, seconds)
    if save:
        save.write_text(json_.dumps(asdict(found), indent=2) + "\n")
    print_json(asdict(found)) if json else _print(found)
    slower = list(_slower(before, found, threshold)) if before else []
    for text in slower:
        print(text)
    if slower:
        raise typer.Exit(1)


def _kept(file: Path) -> dict[str, Any]:
    from gateway.model.errors import NotFound

    try:
        found = json_.loads(file.read_text())
        return {name: float(found[name]) for name in COMPARED}
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound(f"{file} holds no figures.", remedy="Make it with --save.") from None


def _slower(before: dict[str, Any], found: Figures, threshold: float) -> Iterator[str]:
    for name in COMPARED:
        was, now = before[name], getattr(found, name)
        if now > was * threshold:
            yield f"{name}: {was:.1f} then, {now:.1f} now: {now / was:.2f} times as slow"


def measured(policy: Policy, engine: str, seconds: float) -> Figures:
    """`seconds` for each of the four measurements."""
    from gateway.policy.decide import decide
    from gateway.policy.offers import offers

    asked = list(_asked(policy))
    times = _times([partial(decide, policy, method, facts, final=True) for method, facts in asked], seconds)
    grown = _grown(policy)
    later = _times([partial(decide, grown, method, facts, final=True) for method, facts in asked], seconds)
    callers = [facts for _, facts in asked[:: len(policy.methods)]]
    discoveries = _times([partial(offers, policy, facts) for facts in callers], seconds)
    points = quantiles(times, n=100)
    return Figures(
        rules=len(policy.rules),
        engine=engine,
        decisions_per_second=round(len(times) / sum(times) * 1e6, 1),
        discoveries_per_second=round(len(discoveries) / sum(discoveries) * 1e6, 1),
        p50=round(points[49], 1),
        p95=round(points[94], 1),
        p99=round(points[98], 1),
        growth=round(quantiles(later, n=2)[0] / points[49], 2),
        slowest=_slowest(policy, asked),
    )


def _asked(policy: Policy) -> Iterator[tuple[str, Facts]]:
    """Every method for the callers the tree names (a part of them, evenly spread, where they are many)."""
    from gateway.policy.callers import callers_of
    from gateway.policy.facts import Facts
    from gateway.policy.testfile import import_facts

    callers = list(callers_of([policy]).values())
    at = moment(None)
    for caller in callers[:: max(1, len(callers) // CALLERS)]:
        for method in policy.methods:
            yield method, Facts({**caller, **import_facts(IMAGE, method)}, at)


def _times(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Microseconds of each call, all of them in turn until the time is over, and once before.

    Processor time: a decision waits for nothing, so what others do on the machine is no part of it.
    """
    for call in calls:
        call()
    found: list[float] = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(found) < 2:
        for call in calls:
            began = thread_time()
            call()
            found.append((thread_time() - began) * 1e6)
    return found


def _grown(policy: Policy) -> Policy:
    """The same tree among nine times as many rules of projects that do not ask."""
    from dataclasses import replace

    from gateway.policy.indexing import build_index
    from gateway.policy.rules import Selector

    def foreign(rule: Rule, number: int) -> Rule:
        who = Selector(projects=frozenset({f"(another project {number})"}))
        return replace(rule, id=f"{rule.id}-{number}", selector=who)

    others = [foreign(rule, number) for number in range(GROWTH - 1) for rule in policy.rules]
    rules = tuple(sorted((*policy.rules, *others), key=lambda rule: rule.name))
    return replace(policy, rules=rules, index=build_index(rules))


def _slowest(policy: Policy, asked: Sequence[tuple[str, Facts]]) -> list[tuple[str, float]]:
    """The rules whose conditions take longest, each over the same imports; microseconds of one evaluation."""
    values = [facts.values for _, facts in asked[:RUNS]]
    found = []
    for rule in policy.rules:
        if rule.when:
            began = thread_time()
            for known in values:
                for condition in rule.when:
                    condition.program.evaluate(known)
            found.append((rule.name, round((thread_time() - began) / len(values) * 1e6, 1)))
    return sorted(found, key=lambda pair: -pair[1])[:SLOWEST]


def _print(found: Figures) -> None:
    print(f"{found.rules} rules, {found.engine}")
    print(f"{found.decisions_per_second:>10,.0f} decisions a second")
    print(f"{found.discoveries_per_second:>10,.0f} discoveries a second")
    print(f"{found.p50:>10.1f} µs for one decision (p95 {found.p95:.1f}, p99 {found.p99:.1f})")
    print(f"{found.growth:>10.2f} times that with {GROWTH} times the rules, of other projects")
    for name, took in found.slowest:
        print(f"{took:>10.1f} µs for the conditions of {name}")
