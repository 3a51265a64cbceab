"""What a schema cannot say about stores: keys that belong to one type, and credentials that have to fit."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.problems import Problem
from gateway.policy.quantity import parse_size
from gateway.policy.reader import Node
from gateway.policy.spelling import suggestion

_LEAST_PART, _MOST_PART = 5 << 20, 1 << 30
_LEAST_SEGMENT, _MOST_SEGMENT = 1 << 20, 5 << 30

_NEEDED = {"s3": ("bucket",), "gcs": ("bucket",), "azure": ("container",), "swift": ("container", "credentials")}
_LOGINS = {"s3": {"s3"}, "gcs": {"google"}, "azure": {"basic"}, "swift": {"keystone", "tempauth"}}
_OWN = {
    "path": {"filesystem"},
    "bucket": {"s3", "gcs"},
    "container": {"azure", "swift"},
    "credentials": set(_LOGINS),
    "endpoint": set(_LOGINS),
}


def check_store(store: Node, node: Node) -> Iterator[Problem]:
    """Every problem of one store; `node` is the whole file."""
    kind = _type(store)
    yield from _misplaced(store, kind)
    for key in _NEEDED.get(kind, ()):
        if not _value(store, key):
            yield store.problem("incomplete-store", f"a store of type {kind} needs a {key}", f"write {key}: NAME")
    yield from _credentials(store, kind, node)
    yield from _part(store)
    yield from _segment(store)


def _type(store: Node) -> str:
    kind = store.get("type")
    return "filesystem" if kind is None else str(kind.value)


def _value(store: Node, key: str) -> object:
    found = store.get(key)
    return None if found is None else found.value


def _misplaced(store: Node, kind: str) -> Iterator[Problem]:
    for key, kinds in _OWN.items():
        found = store.get(key)
        if found is not None and found.value is not None and kind not in kinds:
            yield found.problem("no-" + key, f"a store of type {kind} has no {key}", "leave it out")


def _credentials(store: Node, kind: str, node: Node) -> Iterator[Problem]:
    named, known = store.get("credentials"), node.get("credentials")
    if named is None or named.value is None or kind not in _LOGINS:
        return
    sets = known.value if known is not None and isinstance(known.value, dict) else {}
    if named.value not in sets:
        hint = suggestion(str(named.value), sets) or "write them under credentials"
        yield named.problem("unknown-credentials", f"there are no credentials '{named.value}'", hint)
        return
    given, wanted = _value(sets[str(named.value)].node, "type"), _LOGINS[kind]
    if given is not None and given not in wanted:
        what = f"credentials of type {given} are not for a store of type {kind}"
        yield named.problem("wrong-credentials", what, f"name some of type {' or '.join(sorted(wanted))}")


def _part(store: Node) -> Iterator[Problem]:
    size = store.get("part_size")
    try:
        fits = size is None or _LEAST_PART <= parse_size(str(size.value)) <= _MOST_PART
    except ValueError:
        return  # the schema says so already
    if not fits and size is not None:
        yield size.problem("bad-part", "a part of an object has from 5MiB to 1GiB", "write 8MiB")


def _segment(store: Node) -> Iterator[Problem]:
    size = store.get("segment_size")
    try:
        fits = size is None or _LEAST_SEGMENT <= parse_size(str(size.value)) <= _MOST_SEGMENT
    except ValueError:
        return  # the schema says so already
    if not fits and size is not None:
        yield size.problem("bad-segment", "a segment of an image has from 1MiB to 5GiB", "write 256MiB")
