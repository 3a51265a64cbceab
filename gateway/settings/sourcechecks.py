"""What a schema cannot say about credentials and sources: hosts that are none, and names that have to be known."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.hosts import host_pattern
from gateway.policy.problems import Problem
from gateway.policy.reader import Node
from gateway.policy.spelling import suggestion


def check_sources(node: Node) -> Iterator[Problem]:
    """Every problem of `credentials` and `sources` that the schema does not see."""
    for one in entries(node, "credentials"):
        yield from (problem for _, problem in _patterns(one) if problem)
    known: set[str] = set()
    for one in entries(node, "sources"):
        yield from _hosts(one, known)
        yield from _proxy(one, node)


def entries(node: Node, key: str) -> list[Node]:
    """The values of a mapping; none where it is missing or none."""
    found = node.get(key)
    return [entry.node for entry in found.value.values()] if found is not None and isinstance(found.value, dict) else []


def _hosts(source: Node, known: set[str]) -> Iterator[Problem]:
    for host, problem in _patterns(source):
        if problem:
            yield problem
        elif host.value in known:
            yield host.problem("duplicate-host", f"another source has '{host.value}'", "a host has one source")
        known.add(str(host.value))
    s3 = source.get("s3")
    if not source.get("hosts") and (s3 is None or s3.value is None):
        yield source.problem("no-hosts", "the source is about no host", "name its hosts, or an S3 endpoint")


def _patterns(node: Node) -> Iterator[tuple[Node, Problem | None]]:
    hosts = node.get("hosts")
    for item in hosts.value if hosts is not None and isinstance(hosts.value, list) else ():
        try:
            host_pattern(str(item.value))
            yield item, None
        except ValueError as error:
            hint = "write a host such as images.example.com or *.example.com"
            yield item, item.problem("bad-host", str(error), hint)


def _proxy(source: Node, node: Node) -> Iterator[Problem]:
    named, credentials = source.get("proxy_credentials"), node.get("credentials")
    known = credentials.value if credentials is not None and isinstance(credentials.value, dict) else {}
    if named is None or named.value is None:
        return
    if named.value not in known:
        hint = suggestion(str(named.value), known) or "write them under credentials"
        yield named.problem("unknown-credentials", f"there are no credentials '{named.value}'", hint)
        return
    kind = known[named.value].node.get("type")
    if kind is not None and kind.value != "basic":
        yield named.problem("unfit-credentials", f"they are of type {kind.value}", "a proxy takes basic")
