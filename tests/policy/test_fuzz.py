"""A short run of `make fuzz`, and that it notices."""

from __future__ import annotations

import random

import pytest

from gateway.policy.expression import Program, engine
from gateway.policy.reader import Source
from gateway.policy.typecheck import Sets
from tests.policy.fuzz.search import Broken, Search
from tests.policy.fuzz.target import checked


class Crashing:
    """An engine that fails on one text with what no reader of trees expects."""

    name = "crashing"

    def compile(self, source: str, sets: Sets = {}) -> Program:  # noqa: B006 - never written to
        if "content.size" in source:
            raise RuntimeError("out of paper")
        return engine("cel-expr").compile(source, sets)


def test_trees_are_compiled_or_refused_with_their_places() -> None:
    search = Search(random.Random(20261122))
    search.run(rounds=700)
    assert len(search.codes) > 60
    assert len(search.lines) > 900


def test_the_search_notices_a_crash() -> None:
    with pytest.raises(Broken, match=r"content\.size"):
        Search(random.Random(1), engine=Crashing()).run(rounds=700)


@pytest.mark.parametrize("section", ["rules", "exemptions"])
def test_a_file_with_more_problems_than_are_told_is_refused(section: str) -> None:
    text = b"version: 1\npolicy: p\n" + section.encode() + b":\n" + b"  - what:\n" * 200
    assert "too-many-problems" in checked((Source("lab/a.yaml", text),), engine("cel-expr"))


@pytest.mark.parametrize(
    "wrong",
    [
        b"  - {id: last, allow: all, mode: warning}\n",
        b"  - {id: last, allow: all, from: 7, for: [], within: {max_size: {}}}\n",
        b"exemptions:\n  - {id: 1, for: 2, until: []}\n",
        b"sets: {a: 1, b: {c: d}}\nscope: 7\ndelegates:\n  - 1\n",
    ],
)
def test_what_stands_behind_too_many_problems_is_not_read(wrong: bytes) -> None:
    text = b"version: 1\npolicy: p\nrules:\n" + b"  -\n" * 200 + wrong
    other = b"version: 1\npolicy: q\nrules:\n  - {id: any, allow: all}\n"
    found = checked((Source("lab/a.yaml", text), Source("q.yaml", other)), engine("cel-expr"))
    assert "too-many-problems" in found


def test_what_is_wrong_is_told_in_few_words_however_long_it_is() -> None:
    text = b"a: !!python/object/" + b"a" * 10_000 + b" 1\n"
    assert "yaml-tag" in checked((Source("a.yaml", text),), engine("cel-expr"))
