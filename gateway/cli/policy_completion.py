"""What a shell may propose for an option of `import-gateway policy`. Nothing is proposed where a tree is not right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer


def _starting(names: Callable[[Path], Iterator[str]]) -> Callable[[typer.Context, str], list[str]]:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        from gateway.model.errors import Refusal

        # While an option still lacks its value nothing is parsed to the end, and DIR is among the words left over.
        folder = Path(ctx.args[0] if ctx.args else ctx.params.get("folder") or ".")
        with suppress(Refusal):
            return sorted(name for name in names(folder) if name.startswith(incomplete))
        return []

    return complete


def _rules(folder: Path) -> Iterator[str]:
    """Read, but not compiled: a shell does not wait for a large tree."""
    from gateway.policy.reader import plain, read_yaml
    from gateway.trees import read_tree

    for source in read_tree(folder):
        file = plain(read_yaml(source))
        yield from (f"{file['policy']}/{rule['id']}" for rule in file.get("rules", ()) if _named(file, rule))


def _named(file: Any, rule: Any) -> bool:
    return "policy" in file and isinstance(rule, dict) and "id" in rule


def _callers(folder: Path) -> Iterator[str]:
    from gateway.policy.reader import plain, read_yaml
    from gateway.trees import read_tests

    yield "all"
    for source in read_tests(folder):
        yield from plain(read_yaml(source)).get("who", {})


def _methods(folder: Path) -> Iterator[str]:
    from gateway.policy.facts import METHODS

    yield from METHODS


def _engines(folder: Path) -> Iterator[str]:
    yield from ("cel-expr", "cel-python")


rule_names = _starting(_rules)
caller_names = _starting(_callers)
method_names = _starting(_methods)
engine_names = _starting(_engines)
