"""The two engines answer every expression alike, so a tree decides the same wherever it runs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from gateway.policy.expression import Truth, engine
from tests.policy.drawing import SETS, booleans, facts

pytest.importorskip("cel_expr_python", reason="cel-expr has no build for this host; the engines cannot be compared")
EXPR, PYTHON = engine("cel-expr"), engine("cel-python")


@settings(deadline=None, max_examples=60)
@given(booleans(2), facts())
def test_the_engines_agree(source: str, values: dict[str, object]) -> None:
    programs = [one.compile(source, SETS) for one in (EXPR, PYTHON)]
    assert programs[0].facts == programs[1].facts
    assert programs[0].evaluate(values) == programs[1].evaluate(values)


@settings(deadline=None, max_examples=100)
@given(booleans(2), facts(), facts())
def test_what_is_decided_with_few_facts_stays_decided_with_more(
    source: str, few: dict[str, object], more: dict[str, object]
) -> None:
    program = EXPR.compile(source, SETS)
    early = program.evaluate(few)
    if early in (Truth.YES, Truth.NO):
        assert program.evaluate({**more, **few}) == early
