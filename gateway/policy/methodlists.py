"""Lists of import methods as rules and delegates write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from gateway.policy.problems import MOST, Problem
from gateway.policy.reader import Node
from gateway.policy.spelling import suggestion


def unknown_methods(node: Node | None, known: Collection[str]) -> Iterator[Problem]:
    """A problem for each item that is no method; `all` is no list."""
    items = node.value if node is not None and isinstance(node.value, list) else ()
    for item in islice((item for item in items if item.value not in known), MOST + 1):
        hint = suggestion(item.value, known) or f"there are {', '.join(sorted(known))}"
        yield item.problem("unknown-method", f"there is no method '{item.value}'", hint)
