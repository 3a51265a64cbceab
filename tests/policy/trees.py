"""The shipped trees, compiled as the service compiles them."""

from __future__ import annotations

import json
from functools import cache

from gateway.policy.compiler import compile_tree
from gateway.policy.expression import engine
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.shipped_files import shipped
from gateway.trees import read_tree

BUILD = ("glance-direct", "web-download")


def compiled_from(*sources: Source, methods: tuple[str, ...] = BUILD, engine_name: str = "cel-expr") -> Policy:
    schema = json.loads((shipped("schemas") / "policy.schema.json").read_text())
    return compile_tree(sources, schema=schema, engine=engine(engine_name), methods=methods)


@cache
def compiled(name: str, methods: tuple[str, ...] = BUILD, engine_name: str = "cel-expr") -> Policy:
    return compiled_from(*read_tree(shipped("policies") / name), methods=methods, engine_name=engine_name)
