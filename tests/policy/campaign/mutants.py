"""Bugs planted in a copy of the code: each is one line changed while a fresh process imports it. Nothing is written.

A mutant that no property catches says that the campaign proves less than it claims.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """`written` stands exactly once in the module and becomes `planted`."""

    name: str
    module: str
    written: str
    planted: str


MUTANTS: Sequence[Mutant] = (
    Mutant("max-for-min", "gateway.policy.within", "return min(one, other)", "return max(one, other)"),
    Mutant("sizes-off-by-one", "gateway.policy.within", "_truth(size <= limit)", "_truth(size < limit)"),
    Mutant(
        "loose-labels",
        "gateway.policy.within",
        '"*" + host[at:] in patterns',
        "any(host.endswith(one[2:]) for one in patterns)",
    ),
    Mutant(
        "meet-is-union",
        "gateway.policy.within",
        "tuple(value for value in one if value in other)",
        "tuple(sorted({*one, *other}))",
    ),
    Mutant(
        "claims-believed",
        "gateway.policy.within",
        "Truth.NO if claim is not None and claim > limit else",
        "Truth.YES if claim else",
    ),
    Mutant(
        "errors-ignored-in-deny",
        "gateway.policy.matching",
        "return Truth.NO if verb is Verb.ALLOW else Truth.YES",
        "return Truth.NO if verb in (Verb.ALLOW, Verb.DENY) else Truth.YES",
    ),
    Mutant(
        "open-allows-at-the-end",
        "gateway.policy.matching",
        "if truth is Truth.ERROR or (final and truth is Truth.OPEN):",
        "if truth is Truth.ERROR:",
    ),
    Mutant(
        "exemption-loosens-all",
        "gateway.policy.matching",
        "within = loosened(within, exemption.within)",
        "within = exemption.within",
    ),
    Mutant(
        "exemption-drops-all-stages",
        "gateway.policy.matching",
        "stages = tuple(call for call in stages if call.name not in exemption.without)",
        "stages = () if exemption.without else stages",
    ),
    Mutant("until-a-moment-late", "gateway.policy.matching", "at < until)", "at <= until)"),
    Mutant("from-a-moment-late", "gateway.policy.matching", "since <= at)", "since < at)"),
    Mutant(
        "all-tags-needed",
        "gateway.policy.matching",
        "not selector.tags.isdisjoint(who.tags)",
        "selector.tags <= who.tags",
    ),
    Mutant(
        "open-is-no",
        "gateway.policy.decide",
        "if one.counts is not Truth.NO and",
        "if one.counts is Truth.YES and",
    ),
    Mutant("warn-enforces", "gateway.policy.decide", "rule.mode is Mode.ENFORCE", "rule.mode is not Mode.AUDIT"),
    Mutant("grant-ignores-limits", "gateway.policy.grants", "meet(allow.within, limit)", "allow.within"),
    Mutant("partly-covered", "gateway.policy.grants", "Truth.NO if fails else", "Truth.NO if fails[2:] else"),
    Mutant(
        "conflicts-run",
        "gateway.policy.plan",
        "yield from [StageCall(name, tuple(sorted(together)))] if agree else asked",
        "yield StageCall(name, tuple(sorted(together)))",
    ),
    Mutant(
        "index-loses-tags",
        "gateway.policy.matching",
        "for tag in who.tags:",
        "for tag in sorted(who.tags)[:1]:",
    ),
    Mutant(
        "redirects-not-judged",
        "gateway.service.attempt",
        "        if target is not None:\n            values |=",
        "        if target is None:\n            values |=",
    ),
    Mutant("change-overlooked", "gateway.policy.whatif", "yield LIMIT_FACTS[key]", "yield key"),
    Mutant("schema-needs-a-port", "gateway.policy.asking_schema", "(?::0*{port})?", ":0*{port}"),
)


class Planting(MetaPathFinder):
    """Finds the mutant's module and loads it with the bug in it. Raises ValueError where the line is not there."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.mutant.module:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(name, spec.origin, self.mutant)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        if source.count(self._mutant.written) != 1:
            raise ValueError(f"{self._mutant.name}: {self._mutant.written!r} does not stand once in {self.path}")
        return compile(source.replace(self._mutant.written, self._mutant.planted), self.path, "exec")


def plant(name: str) -> None:
    """From now on this process imports the bug. Raises RuntimeError where the module is imported already."""
    mutant = next(one for one in MUTANTS if one.name == name)
    if mutant.module in sys.modules:
        raise RuntimeError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, Planting(mutant))
