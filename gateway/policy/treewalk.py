"""Questions about a parsed expression: what it quotes, and how much of a map it reads."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.syntax import Call, Index, Items, Literal, Name, Operation, Tree

PROPERTIES = "request.properties"
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})


def parts(tree: Tree) -> tuple[Tree, ...]:
    """What a node is made of."""
    if isinstance(tree, Items):
        return tree.items
    if isinstance(tree, Index):
        return (tree.operand, tree.key)
    if isinstance(tree, Call):
        return tree.arguments if tree.target is None else (tree.target, *tree.arguments)
    return tree.operands if isinstance(tree, Operation) else ()


def literals(tree: Tree) -> Iterator[str]:
    """Every text it quotes, in reading order."""
    if isinstance(tree, Literal) and isinstance(tree.value, str):
        yield tree.value
    for part in parts(tree):
        yield from literals(part)


def reads_property_values(tree: Tree) -> bool:
    """False where it asks for the names of properties alone."""
    if isinstance(tree, Name):
        return tree.name == PROPERTIES
    return any(reads_property_values(part) for part in parts(tree) if not _asks_names(tree, part))


def _asks_names(tree: Tree, part: Tree) -> bool:
    """Is `part` the map of properties, in a place where only its keys count?"""
    if not isinstance(part, Name) or part.name != PROPERTIES:
        return False
    if isinstance(tree, Call):
        return (part is tree.target and tree.function in _MACROS) or tree.function == "size"
    return isinstance(tree, Operation) and tree.operator == "in" and part is tree.operands[1]
