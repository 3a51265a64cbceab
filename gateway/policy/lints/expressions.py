"""Reading conditions for lints: the parts of their trees."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gateway.policy.facts import VOCABULARY
from gateway.policy.syntax import Call, Index, Items, Literal, Name, Operation, Tree, parse


@lru_cache(maxsize=4096)
def parts(source: str) -> tuple[Tree, ...]:
    """Every part of an expression that compiles, outer ones first."""
    return tuple(_walk(parse(source)))


def _walk(tree: Tree) -> Iterator[Tree]:
    yield tree
    for inner in _inside(tree):
        yield from _walk(inner)


def _inside(tree: Tree) -> tuple[Tree, ...]:
    match tree:
        case Operation():
            return tree.operands
        case Call():
            return tree.arguments if tree.target is None else (tree.target, *tree.arguments)
        case Items():
            return tree.items
        case Index():
            return (tree.operand, tree.key)
        case _:
            return ()


def fact_of(tree: Tree) -> str | None:
    """The fact that a part reads: itself, or what it is made of by `filter`, `map`, `split` and `lowerAscii`."""
    while isinstance(tree, Call) and tree.target is not None:
        tree = tree.target
    return tree.name if isinstance(tree, Name) and tree.name in VOCABULARY else None


def compared(source: str) -> Iterator[tuple[str, Literal]]:
    """Each fact that is compared with a text, by `==`, `!=` or `in`, and the text."""
    for part in parts(source):
        if isinstance(part, Operation) and part.operator in ("==", "!=", "in"):
            left, right = part.operands
            yield from _pairs(left, right)
            yield from _pairs(right, left) if part.operator != "in" else ()


def _pairs(fact: Tree, texts: Tree) -> Iterator[tuple[str, Literal]]:
    name = fact.name if isinstance(fact, Name) and fact.name in VOCABULARY else None
    for text in texts.items if isinstance(texts, Items) else (texts,):
        if name is not None and isinstance(text, Literal) and isinstance(text.value, str):
            yield name, text
