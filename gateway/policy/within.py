"""Limits as values: does an import keep them, how do two of them meet, when does one cover another.

Three kinds of limit are enough: amounts (the smaller one is tighter), lists of words, and lists of host patterns.
A limit whose fact a method never has says nothing about that method.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from gateway.model.decision import Within
from gateway.model.usage import Quota
from gateway.policy.expression import Truth
from gateway.policy.facts import SOURCE_FACTS, SOURCE_NAMES, FactValue

UNLIMITED = Within()

QUOTAS = ("max_images", "max_total_size", "max_active_imports")
"""Limits on what a project has in all. No fact settles them: a plan carries them, and the service counts."""

AMOUNTS = ("max_size", "max_virtual_size", *QUOTAS)
"""Limits of which the smaller one is tighter."""

LIMIT_FACTS: Mapping[str, str] = {
    "max_size": "content.size",
    "max_virtual_size": "content.virtual_size",
    "disk_formats": "request.disk_format",
    "container_formats": "request.container_format",
    "hosts": "request.host",
    "schemes": "request.scheme",
    "ports": "request.port",
    "stores": "request.stores",
    "regions": "request.region",
    "credentials": "request.credential",
}
"""Each limit key on one import, and the fact that settles it."""

CREDENTIALS = "credentials"
"""The one limit of which an import is inside that has nothing to do with it."""

LIMITS = (*LIMIT_FACTS, *QUOTAS)

_KEYS: Mapping[str, tuple[str, ...]] = {
    method: (*(key for key, fact in LIMIT_FACTS.items() if fact not in SOURCE_NAMES - known), *QUOTAS)
    for method, known in SOURCE_FACTS.items()
}


@lru_cache(maxsize=4096)
def limits(within: Within, method: str) -> tuple[tuple[str, Any], ...]:
    """The (key, value) pairs of `within` that say something about `method`. No credentials at all is what every grant
    says unless it names some, so that is left out; see `weighed`.
    """
    pairs = ((key, getattr(within, key)) for key in _KEYS.get(method, LIMITS))
    return tuple((key, value) for key, value in pairs if value is not None and (key != CREDENTIALS or value))


def weighed(within: Within, method: str, values: Mapping[str, FactValue]) -> tuple[tuple[str, Any, Truth], ...]:
    """Each limit of `within` with its answer for the known facts; that no credential may be shown where one is asked
    for.
    """
    pairs = limits(within, method)
    if within.credentials == () and CREDENTIALS in _KEYS.get(method, ()) and values.get(LIMIT_FACTS[CREDENTIALS]):
        pairs = (*pairs, (CREDENTIALS, ()))
    return tuple([(key, limit, keeps(key, limit, values)) for key, limit in pairs])


@lru_cache(maxsize=4096)
def for_method(within: Within, method: str) -> Within:
    """`within` without the keys that say nothing about `method`."""
    keys = _KEYS.get(method, LIMITS)
    return Within(**{key: getattr(within, key) for key in keys})


def granting(within: Within) -> Within:
    """What an `allow`, or a delegate, comes to: it grants the credentials it names, and no others."""
    return within if within.credentials is not None else replace(within, credentials=())


def keeps(key: str, limit: Any, values: Mapping[str, FactValue]) -> Truth:
    """YES where the known facts are inside one limit, NO where they are outside, OPEN where they cannot tell.

    A quota is no question about an import: YES. An import of which nothing is said asks for no credential.
    """
    if key in QUOTAS:
        return Truth.YES
    if key == "max_size":
        return _size_keeps(limit, values.get("content.size"), values.get("request.size"))
    if key == "max_virtual_size":
        return _size_keeps(limit, values.get("content.virtual_size"), None)
    if key == "disk_formats":
        return _format_keeps(limit, values.get("request.disk_format"), values.get("content.disk_format"))
    if key == "stores":
        return _stores_keep(limit, values.get("request.stores"))
    if key == CREDENTIALS:
        return _truth(values.get("request.credential", "") in ("", *limit))
    value = values.get(LIMIT_FACTS[key])
    if value is None:
        return Truth.OPEN
    return _truth(host_matches(value, limit) if key == "hosts" else value in limit)


def _truth(holds: bool) -> Truth:
    return Truth.YES if holds else Truth.NO


def _size_keeps(limit: int, size: Any, claim: Any) -> Truth:
    """The bytes alone can prove a size; a claim is only believed when it speaks against the one who makes it."""
    if size is not None:
        return _truth(size <= limit)
    return Truth.NO if claim is not None and claim > limit else Truth.OPEN


def _format_keeps(limit: Sequence[str], declared: Any, found: Any) -> Truth:
    """Both what the record says and what the bytes are must be listed; `raw` bytes only mean that nothing is known."""
    if declared is None:
        return Truth.OPEN if found is None else _truth(found in limit)
    return _truth(declared in limit and (found in (None, "raw") or found in limit))


def _stores_keep(limit: Sequence[str], stores: Any) -> Truth:
    if not stores:
        return Truth.OPEN
    return _truth(all(store in limit for store in stores))


def host_matches(host: Any, patterns: Container[str]) -> bool:
    """Whole labels only: `*.a.example` stands for one or more labels before `.a.example`, never for `xa.example`."""
    return isinstance(host, str) and _host_covered(host, patterns)


def _host_covered(host: str, patterns: Container[str]) -> bool:
    """Is everything `host` stands for (itself a name or a pattern) also under one of the patterns?

    Asks for each pattern that could be meant instead of looking through all: lists of hosts may be long.
    """
    if host in patterns:
        return True
    at = host.find(".", 1)
    while at > 0:
        if "*" + host[at:] in patterns:
            return True
        at = host.find(".", at + 1)
    return False


@lru_cache(maxsize=4096)
def meet(one: Within, other: Within) -> Within:
    """The limits of both at once. An import is inside the result if and only if it is inside both."""
    if other == UNLIMITED or one == other:
        return one
    return Within(**{key: _meet(key, getattr(one, key), getattr(other, key)) for key in LIMITS})


def _meet(key: str, one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    if key in AMOUNTS:
        return min(one, other)
    if key == "hosts":
        return _hosts_met(one, other)
    return tuple(value for value in one if value in other)


def _hosts_met(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    some, others = frozenset(one), frozenset(other)
    inside = [host for host in one if _host_covered(host, others)]
    inside += [host for host in other if _host_covered(host, some)]
    return tuple(sorted(set(inside)))


@lru_cache(maxsize=4096)
def impossible(within: Within) -> bool:
    """True where some list has nothing left, so that no import can be inside. Most do without credentials."""
    return any(getattr(within, key) == () for key in LIMIT_FACTS if key != CREDENTIALS)


def loosened(within: Within, extra: Within) -> Within:
    """`within` with the keys that `extra` names opened up to it. A key that `within` does not limit stays free."""
    return Within(**{key: _loosened(key, getattr(within, key), getattr(extra, key)) for key in LIMITS})


def _loosened(key: str, limit: Any, extra: Any) -> Any:
    if limit is None or extra is None:
        return limit
    return max(limit, extra) if key in AMOUNTS else tuple(sorted({*limit, *extra}))


def covers(wide: Within, narrow: Within) -> bool:
    """True if every import inside `narrow` is inside `wide` too."""
    return all(_covers(key, getattr(wide, key), getattr(narrow, key)) for key in LIMITS)


def _covers(key: str, wide: Any, narrow: Any) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    if key in AMOUNTS:
        return bool(narrow <= wide)
    if key == "hosts":
        patterns = frozenset(wide)
        return all(_host_covered(host, patterns) for host in narrow)
    return set(narrow) <= set(wide)


@lru_cache(maxsize=4096)
def quota(within: Within) -> Quota:
    """The part of `within` that bounds the whole project."""
    return Quota(**{key: getattr(within, key) for key in QUOTAS})


def uncovered(alternatives: Iterable[Within]) -> tuple[Within, ...]:
    """The alternatives that no other one makes superfluous, in a fixed order.

    Of several that cover each other (hosts can be written in more than one way) the first stays.
    """
    distinct = tuple(set(alternatives))
    if len(distinct) < 2:
        return distinct
    distinct = tuple(sorted(distinct, key=repr))
    return tuple(one for place, one in enumerate(distinct) if not _superfluous(one, place, distinct))


def _superfluous(one: Within, place: int, distinct: Sequence[Within]) -> bool:
    return any(
        at != place and covers(other, one) and (at < place or not covers(one, other))
        for at, other in enumerate(distinct)
    )
