"""What a caller can change about an import, and to which values: those that discovery offers, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.model.decision import Within
from gateway.policy.facts import SOURCE_FACTS, FactValue

FACTS: Mapping[str, tuple[str, ...]] = {
    "scheme": ("request.scheme", "request.port"),
    "port": ("request.port",),
    "host": ("request.host",),
    "region": ("request.region",),
    "credential": ("request.credential",),
    "disk_format": ("request.disk_format", "content.disk_format"),
    "container_format": ("request.container_format",),
    "visibility": ("request.visibility",),
    "properties": ("request.properties",),
    "stores": ("request.stores",),
    "size": ("content.size", "request.size"),
    "virtual_size": ("content.virtual_size",),
}
"""What can be changed, and the facts each of it decides. Of changes that are equally small the earlier one is told."""

METHOD = "method"
"""The last resort: another method is another way to bring the bytes."""

_ORDER = (*FACTS, METHOD)
_PORTS: Mapping[Any, int] = {"http": 80, "https": 443}
_USUAL = ("https", "qcow2", "raw", "bare")
_PRIVACY = ("private", "shared", "community", "public")
_MOST_VALUES = 8
_SOURCE = frozenset[str]().union(*SOURCE_FACTS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What this site has at all; an empty tuple leaves a choice to the policy."""

    disk_formats: tuple[str, ...] = ()
    container_formats: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


class Change(NamedTuple):
    """One thing changed to a value. `order` sorts changes, and tells those of one import apart."""

    order: tuple[int, int]
    kind: str
    value: FactValue


Changes = tuple[Change, ...]


def changes(kind: str, values: Mapping[str, FactValue], ways: Sequence[Within], choices: Choices) -> Iterator[Change]:
    """To what `kind` can be changed: at most eight values of `ways`, the alternatives that discovery offers.

    What is not known cannot be changed. A host may be a pattern (`*.a.example`), which stands for any host below.
    """
    now = next((values[fact] for fact in FACTS[kind] if fact in values), None)
    if now is not None:
        found = [value for value in _VALUES[kind](now, ways, choices) if value != now]
        for number, value in enumerate(found[:_MOST_VALUES]):
            yield Change((_ORDER.index(kind), number), kind, value)


def method_changes(method: str, methods: Iterable[str]) -> Iterator[Change]:
    for number, other in enumerate(sorted(methods)):
        if other != method:
            yield Change((_ORDER.index(METHOD), number), METHOD, other)


def changed(values: Mapping[str, FactValue], made: Iterable[Change]) -> dict[str, FactValue]:
    """The facts after all of these changes, whatever their order."""
    found = dict(values)
    for change in sorted(made, key=lambda change: change.order):
        found.update(_decided(change, found))
    return found


def switched(values: Mapping[str, FactValue], method: str) -> dict[str, FactValue]:
    """What stays known where the bytes are brought by `method` instead: nothing about a source it does not have."""
    lost = _SOURCE - SOURCE_FACTS.get(method, frozenset())
    return {name: value for name, value in values.items() if name not in lost}


def _decided(change: Change, values: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """The facts of one change. An address without a port of its own goes to the new scheme's port."""
    if change.kind == "scheme":
        follows = values.get("request.port") == _PORTS.get(values.get("request.scheme"))
        port: dict[str, FactValue] = {"request.port": _PORTS[change.value]} if follows else {}
        return {"request.scheme": change.value, **port}
    return {fact: change.value for fact in FACTS[change.kind] if fact in values}


def _listed(key: str, ways: Sequence[Within], otherwise: Sequence[Any] = ()) -> list[Any]:
    """All that some way lists, the usual first; `otherwise` where one way takes anything."""
    lists = [getattr(way, key) for way in ways]
    found = {*otherwise} if None in lists else {value for one in lists for value in one}
    return sorted(found, key=lambda value: (value not in _USUAL, _USUAL.index(value) if value in _USUAL else 0, value))


def _known(found: Iterable[str], there: Sequence[str]) -> list[str]:
    return [value for value in found if not there or value in there]


def _without(properties: Any) -> list[FactValue]:
    """Without one property, without any."""
    each: list[FactValue] = [
        {key: value for key, value in properties.items() if key != left} for left in sorted(properties)
    ]
    return [*each[: _MOST_VALUES - 1], {}]


def _fewer_stores(stores: Any, ways: Sequence[Within], choices: Choices) -> list[FactValue]:
    """Those of the named stores that may be used; else any one of the others."""
    may = _known(_listed("stores", ways, choices.stores), choices.stores)
    kept = tuple(store for store in stores if store in may)
    return [*([kept] if kept else []), *((store,) for store in may)]


def _caps(key: str, size: Any, ways: Sequence[Within]) -> list[FactValue]:
    caps = {getattr(way, key) for way in ways} - {None}
    return sorted((cap for cap in caps if cap < size), reverse=True)


_Values = Callable[[Any, Sequence[Within], Choices], list[Any]]


def _words(key: str, there: Callable[[Choices], tuple[str, ...]]) -> _Values:
    """What the ways list under `key`, of what the site has."""
    return lambda now, ways, choices: _known(_listed(key, ways, there(choices)), there(choices))


_VALUES: Mapping[str, _Values] = {
    "scheme": _words("schemes", lambda choices: tuple(_PORTS)),
    "port": lambda now, ways, choices: _listed("ports", ways),
    "host": lambda now, ways, choices: _listed("hosts", ways),
    "region": _words("regions", lambda choices: choices.regions),
    "credential": lambda now, ways, choices: ["", *_listed("credentials", ways)],
    "disk_format": _words("disk_formats", lambda choices: choices.disk_formats),
    "container_format": _words("container_formats", lambda choices: choices.container_formats),
    "visibility": lambda now, ways, choices: list(_PRIVACY),
    "properties": lambda now, ways, choices: _without(now),
    "stores": _fewer_stores,
    "size": lambda now, ways, choices: _caps("max_size", now, ways),
    "virtual_size": lambda now, ways, choices: _caps("max_virtual_size", now, ways),
}
