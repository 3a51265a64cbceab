"""Drawn expressions and facts: every construct the language offers, well typed, with facts that may be missing."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.policy.facts import VOCABULARY, FactType

SETS = {"vendors": ("a.example", "b", "tier:gold"), "formats": ("qcow2", "raw")}
WORDS = ("a", "b", "", "qcow2", "tier:gold", "hw_x", "A.Example", "é", "10.1.2.3", "::ffff:10.0.0.1", "x'y", 'q"q')


def _facts_of(kind: FactType) -> list[str]:
    return [name for name, (_, found) in VOCABULARY.items() if found is kind]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _texts(depth: int) -> st.SearchStrategy[str]:
    leaf = st.one_of(st.sampled_from(WORDS).map(_quoted), st.sampled_from(_facts_of(FactType.STRING)))
    if depth == 0:
        return leaf
    return st.one_of(
        leaf,
        _texts(depth - 1).map(lambda text: f"{text}.lowerAscii()" if text[0] == '"' else f"({text}).lowerAscii()"),
        st.builds("({} + {})".format, _texts(depth - 1), _texts(depth - 1)),
        st.builds("{}[{}]".format, _lists(depth - 1), st.sampled_from(["0", "1", "9"])),
        st.builds("request.properties[{}]".format, _texts(depth - 1)),
        st.builds("(({}) ? {} : {})".format, booleans(depth - 1), _texts(depth - 1), _texts(depth - 1)),
    )


def _numbers(depth: int) -> st.SearchStrategy[str]:
    literals = st.sampled_from(["0", "1", "-3", "7", 'quantity("2KiB")', "9223372036854775807"])
    leaf = st.one_of(literals, st.sampled_from(_facts_of(FactType.INT)))
    if depth == 0:
        return leaf
    operation = st.sampled_from(["+", "-", "*", "/", "%"])
    return st.one_of(
        leaf,
        st.builds("({} {} {})".format, _numbers(depth - 1), operation, _numbers(depth - 1)),
        _lists(depth - 1).map("size({})".format),
        _texts(depth - 1).map("size({})".format),
    )


def _lists(depth: int) -> st.SearchStrategy[str]:
    leaf = st.one_of(
        st.lists(st.sampled_from(WORDS).map(_quoted), min_size=1, max_size=3).map(
            lambda items: f"[{', '.join(items)}]"
        ),
        st.sampled_from(_facts_of(FactType.STRINGS)),
        st.sampled_from([f"sets.{name}" for name in SETS]),
    )
    if depth == 0:
        return leaf
    return st.one_of(
        leaf,
        st.builds("({}).split({})".format, _texts(depth - 1), st.sampled_from(['"."', '"a"', '""'])),
        st.builds("{}.filter(t, t != {})".format, leaf, _texts(0)),
        st.builds("{}.map(t, t + {})".format, leaf, _texts(0)),
    )


def _questions(depth: int) -> st.SearchStrategy[str]:
    comparison, equality = st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(["==", "!="])
    inside = st.sampled_from(["contains", "startsWith", "endsWith"])
    loops = st.sampled_from(["all", "exists", "exists_one"])
    return st.one_of(
        st.builds("{} {} {}".format, _numbers(depth), comparison, _numbers(depth)),
        st.builds("{} {} {}".format, _texts(depth), comparison, _texts(depth)),
        st.builds("{} {} {}".format, _lists(depth), equality, _lists(depth)),
        st.builds("{} in {}".format, _texts(depth), _lists(depth)),
        st.builds("{} in request.properties".format, _texts(depth)),
        st.builds("({}).{}({})".format, _texts(depth), inside, _texts(depth)),
        st.builds(
            "({}).matches({})".format, _texts(depth), st.sampled_from(['r"^a\\."', '"[a-z]+"', '"^$"', '"(?i)A"'])
        ),
        st.builds('cidr("10.0.0.0/8").containsIP({})'.format, _texts(depth)),
        st.builds("isIP({})".format, _texts(depth)),
        st.builds("{}.{}(t, t == {})".format, _lists(depth), loops, _texts(0)),
        st.builds("request.properties.{}(p, p == {})".format, loops, _texts(0)),
        st.sampled_from(["true", "false"]),
    )


def booleans(depth: int) -> st.SearchStrategy[str]:
    """Conditions; `depth` bounds how deep their parts are nested."""
    if depth == 0:
        return _questions(0)
    part = booleans(depth - 1)
    return st.one_of(
        _questions(depth),
        st.builds("({}) && ({})".format, part, part),
        st.builds("({}) || ({})".format, part, part),
        part.map("!({})".format),
        st.builds("(({}) ? ({}) : ({}))".format, part, part, part),
    )


_VALUES = {
    FactType.STRING: st.sampled_from(WORDS),
    FactType.INT: st.sampled_from([0, 1, 2048, -3, 2**63 - 1]),
    FactType.STRINGS: st.lists(st.sampled_from(WORDS), max_size=3).map(tuple),
    FactType.STRING_MAP: st.dictionaries(st.sampled_from(WORDS), st.sampled_from(WORDS), max_size=3),
}


def facts() -> st.SearchStrategy[dict[str, object]]:
    """Any part of the vocabulary, with values of the right types."""
    return st.fixed_dictionaries({}, optional={name: _VALUES[kind] for name, (_, kind) in VOCABULARY.items()})
