"""`python -m tests.bench.deciding RULES ENGINE`: load a tree, decide, reload, and print as JSON what that took."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gateway.model.decision import Action
from gateway.policy.compiler import Loaded
from gateway.policy.decide import decide
from gateway.policy.expression import engine
from gateway.policy.facts import Facts, FactValue
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.shipped_files import shipped
from gateway.trees import load
from tests.bench.meter import MIB, Meter

NOW = datetime(2026, 11, 22, tzinfo=UTC)
METHODS = ("glance-direct", "web-download")
CALLERS = 100
RULES_A_FILE = 2_000
SAMPLES = 5
ENOUGH = 0.5
TREE = """\
version: 1
policy: platform
sets:
  vendors: [cloud-images.example, "*.project.example", cloud.vendor.example]
rules:
  - {id: ceiling, limit: all, within: {max_size: 200GiB, max_virtual_size: 1TiB, disk_formats: [qcow2, raw]}}
  - {id: https-only, limit: [web-download], within: {schemes: [https]}}
  - {id: basics, require: all, stages: [decompress, inspect, checksum]}
  - id: scan-strangers
    require: all
    when: "!project.tags.exists(t, t in ['tier:silver', 'tier:gold'])"
    stages: [{malware-scan: {on_error: reject}}]
  - id: no-public-images
    deny: all
    when: request.visibility == "public" && !("image-publisher" in user.roles)
    message: Only image publishers may import public images.
  - id: odd-properties
    deny: all
    mode: warn
    when: request.properties.exists(p, p.startsWith("hw_"))
    message: Hardware properties will be refused; use a flavor instead.
  - {id: upload, allow: [glance-direct], within: {max_size: 20GiB}}
  - id: silver
    allow: [glance-direct, web-download]
    for: {tags: ["tier:silver"]}
    within: {max_size: 50GiB, hosts: sets.vendors}
  - {id: gold, allow: all, for: {tags: ["tier:gold"]}}
  - {id: edge, limit: all, for: {domains: [edge]}, within: {max_size: 2GiB}}
"""
TEN = 10


def main(rules: int, engine_name: str) -> None:
    sources, loading = [Source(name, text.encode()) for name, text in files(rules)], Loading(engine_name)
    loading.take(sources[:1])
    figures: dict[str, list[float]] = {}
    loaded, figures["loading"], figures["peak"] = loading.take(sources)
    gc.collect()
    figures["memory"] = [loading.grown()]
    assert len(loaded.policy.rules) == rules
    figures["microseconds"] = decisions(loaded.policy)
    one_changed, all_changed = [*sources[:-1], changed(sources[-1])], [changed(source) for source in sources]
    _, figures["reloading one"], _ = loading.take(one_changed, loaded)
    _, figures["reloading"], figures["peak reloading"] = loading.take(all_changed, loaded)
    print(json.dumps(figures))


class Loading:
    """Loads trees as the service does, and measures it. What counts is memory beyond that of a process without one."""

    def __init__(self, engine_name: str) -> None:
        self._schema = json.loads((shipped("schemas") / "policy.schema.json").read_text())
        self._engine = engine(engine_name)
        self._meter = Meter(os.getpid())
        self._before = 0

    def take(
        self, sources: Sequence[Source], previous: Loaded | None = None
    ) -> tuple[Loaded, list[float], list[float]]:
        """The tree, the CPU seconds it took, and the MiB at the worst moment."""
        self._before = self._before if previous else self._meter.resident()
        self._meter.forget_peak()
        began = time.process_time()
        loaded = load(sources, schema=self._schema, engine=self._engine, methods=METHODS, previous=previous)
        return loaded, [time.process_time() - began], [(self._meter.peak() - self._before) / MIB]

    def grown(self) -> float:
        return (self._meter.resident() - self._before) / MIB


def changed(source: Source) -> Source:
    """The same file with another limit."""
    text = source.text.replace(b"max_size: 20GiB", b"max_size: 19GiB")
    assert text != source.text
    return Source(source.name, text)


def files(rules: int) -> Iterator[tuple[str, str]]:
    """The tree above, and rules of other projects until there are `rules`; no file is too large to be read."""
    yield "platform.yaml", TREE
    for number, start in enumerate(range(TEN, rules, RULES_A_FILE)):
        lines = [foreign(one) for one in range(start, min(start + RULES_A_FILE, rules))]
        yield f"projects-{number:03}.yaml", "\n".join(["version: 1", f"policy: projects-{number}", "rules:", *lines])


def foreign(number: int) -> str:
    """A rule for one other project; every fourth has a condition, of which there are a thousand."""
    who = f"for: {{projects: [p{number}]}}"
    if number % 4:
        return f"  - {{id: r{number}, allow: [glance-direct, web-download], {who}, within: {{max_size: 20GiB}}}}"
    when = f"request.disk_format == 'raw' && size(request.path) > {number % 4_000}"
    return f'  - {{id: r{number}, limit: all, {who}, when: "{when}", within: {{max_size: 9GiB}}}}'


def decisions(policy: Policy) -> list[float]:
    """Microseconds of one decision, a few times over. Callers differ, so that no answer could be a remembered one."""
    asked = [facts(number) for number in range(CALLERS)]
    assert all(decide(policy, "web-download", one, final=True).action is Action.ALLOW for one in asked)
    return [_one_run(policy, asked) for _ in range(SAMPLES)]


def _one_run(policy: Policy, asked: list[Facts]) -> float:
    # CPU time: a decision waits for nothing, so what others do on the machine is no part of it.
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < ENOUGH:
        for one in asked:
            decide(policy, "web-download", one, final=True)
        count += len(asked)
    return took / count * 1e6


def facts(number: int) -> Facts:
    """An import by a silver project whose bytes have been seen: every fact is known, so every condition is run."""
    known: dict[str, FactValue] = {
        "project.id": f"silver-{number}",
        "project.name": f"silver-{number}",
        "project.domain": "default",
        "project.tags": ("tier:silver", "region:north"),
        "user.id": f"user-{number}",
        "user.roles": ("member", "reader"),
        "request.host": "mirror.project.example",
        "request.scheme": "https",
        "request.port": 443,
        "request.path": f"/images/{number}/disk.qcow2",
        "request.disk_format": "qcow2",
        "request.container_format": "bare",
        "request.visibility": "shared",
        "request.properties": {"os_distro": "debian"},
        "request.stores": ("local",),
        "content.size": 2 << 30,
        "content.virtual_size": 10 << 30,
        "content.disk_format": "qcow2",
    }
    return Facts(known, NOW)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
