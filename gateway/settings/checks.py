"""What a schema cannot say about gateway.yaml: values that have to fit each other, and the outside world's formats."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from gateway.policy.problems import Problem
from gateway.policy.reader import Node


def check(node: Node) -> list[Problem]:
    """Every problem the schema does not see; the tree may have others that it does."""
    return [*_stores(node), *_identity(node), *_networks(node)]


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


def _identity(node: Node) -> Iterator[Problem]:
    identity = node.get("identity")
    kind = identity.get("type") if identity else None
    if identity is None or kind is None or kind.value != "basic":
        return
    for key, what in (("htpasswd", "a password file"), ("users", "users with a project each")):
        given = identity.get(key)
        if given is None or not given.value:
            yield kind.problem("incomplete-identity", f"'basic' needs {what}", f"write identity.{key}")


def _networks(node: Node) -> Iterator[Problem]:
    fetch = node.get("fetch")
    for item in _items(fetch, "allowed_networks") if fetch else ():
        try:
            ip_network(str(item.value))
        except ValueError as error:
            yield item.problem("bad-network", str(error), "write it like 10.0.0.0/8")


def _items(node: Node, key: str) -> list[Node]:
    found = node.get(key)
    return found.value if found is not None and isinstance(found.value, list) else []
