"""What a schema cannot say about gateway.yaml: values that have to fit each other, and the outside world's formats."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from gateway.policy.problems import Problem
from gateway.policy.quantity import parse_size
from gateway.policy.reader import Node
from gateway.settings.building import seconds
from gateway.settings.sourcechecks import check_sources, entries
from gateway.settings.storechecks import check_store

LONGEST_TTL = 60.0

_LEAST_PART, _MOST_PART = 1 << 20, 1 << 30

_NEEDED = {
    "basic": {"htpasswd": "a password file", "users": "users with a project each"},
    "keystone": {
        "keystone.auth_url": "the URL of Keystone",
        "keystone.username": "a user of the gateway's own",
        "keystone.password": "that user's password",
    },
}


def check(node: Node) -> list[Problem]:
    """Every problem the schema does not see; the tree may have others that it does."""
    return [
        *_stores(node),
        *_backend(node),
        *_identity(node),
        *_networks(node),
        *_scanner(node),
        *_parts(node),
        *check_sources(node),
    ]


def _stores(node: Node) -> Iterator[Problem]:
    stores = _items(node, "stores")
    names: set[str] = set()
    defaults = 0
    for store in stores:
        name, default = store.get("name"), store.get("default")
        if name is not None and name.value in names:
            yield name.problem("duplicate-store", f"two stores are called '{name.value}'", "rename one")
        names.add(name.value if name is not None else "")
        defaults += default is not None and default.value is True
        if default is not None and default.value is True and defaults > 1:
            yield default.problem("two-defaults", "another store is the default already", "only one can be")
        yield from _elsewhere(store)
        yield from check_store(store, node)
    if stores and all(_says(store, "type", "http") for store in stores):
        yield stores[0].problem("no-store", "no store takes bytes", "add one of type filesystem or s3")


def _backend(node: Node) -> Iterator[Problem]:
    """An image service behind the gateway has to be found, and takes bytes from a user it knows."""
    backend = node.get("backend")
    if backend is None or backend.value != "glance":
        return
    endpoint, identity = _at(node, "upstream.endpoint"), _at(node, "identity.type")
    if endpoint is None or not endpoint.value:
        yield backend.problem("no-upstream", "backend glance needs the URL of one", "write upstream.endpoint")
    if identity is None or identity.value != "keystone":
        yield backend.problem(
            "no-keystone", "backend glance needs the Keystone it trusts", "set identity.type: keystone"
        )


def _elsewhere(store: Node) -> Iterator[Problem]:
    """Nothing can be put into a store of type http."""
    default = store.get("default")
    if not _says(store, "type", "http"):
        return
    if default is not None and default.value is True:
        yield default.problem("read-only-default", "imports cannot go to a store of type http", "choose another")


def _says(node: Node, key: str, value: str) -> bool:
    found = node.get(key)
    return found is not None and found.value == value


def _identity(node: Node) -> Iterator[Problem]:
    identity = node.get("identity")
    kind = identity.get("type") if identity else None
    if identity is None or kind is None:
        return
    for path, what in _NEEDED.get(str(kind.value), {}).items():
        given = _at(identity, path)
        if given is None or not given.value:
            yield kind.problem("incomplete-identity", f"'{kind.value}' needs {what}", f"write identity.{path}")
    ttl = _at(identity, "keystone.cache_ttl")
    if ttl is not None and _seconds(ttl) > LONGEST_TTL:
        yield ttl.problem("long-cache", "a revoked token may not count for longer than 60s", "write 60s or less")


def _at(node: Node, path: str) -> Node | None:
    found: Node | None = node
    for key in path.split("."):
        found = found.get(key) if found is not None else None
    return found


def _seconds(node: Node) -> float:
    """0 for what is no duration: the schema says so already."""
    try:
        return seconds(str(node.value))
    except ValueError:
        return 0.0


def _networks(node: Node) -> Iterator[Problem]:
    fetch, sources = node.get("fetch"), entries(node, "sources")
    for item in [item for one in (fetch, *sources) if one for item in _items(one, "allowed_networks")]:
        try:
            ip_network(str(item.value))
        except ValueError as error:
            yield item.problem("bad-network", str(error), "write it like 10.0.0.0/8")


def _scanner(node: Node) -> Iterator[Problem]:
    path, host = _at(node, "stages.malware_scan.socket"), _at(node, "stages.malware_scan.host")
    if path is not None and path.value is not None and host is not None and host.value is not None:
        yield host.problem("two-scanners", "clamd has a socket already", "name a socket or a host")


def _parts(node: Node) -> Iterator[Problem]:
    size = _at(node, "imports.upload_part")
    try:
        fits = size is None or _LEAST_PART <= parse_size(str(size.value)) <= _MOST_PART
    except ValueError:
        return  # the schema says so already
    if not fits and size is not None:
        yield size.problem("bad-part", "a part of an upload has from 1MiB to 1GiB", "write 32MiB")


def _items(node: Node, key: str) -> list[Node]:
    found = node.get(key)
    return found.value if found is not None and isinstance(found.value, list) else []
