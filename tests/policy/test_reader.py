"""Reading YAML: only what is written, each problem where it is, and hostile files in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.policy.problems import Problem, Problems
from gateway.policy.reader import MAX_BYTES, MAX_DEPTH, Source, plain, read_yaml
from gateway.policy.rules import Place

HOSTILE = Path(__file__).parent / "hostile"


def read(text: bytes | str) -> object:
    return plain(read_yaml(Source("x.yaml", text if isinstance(text, bytes) else text.encode())))


def problems(text: bytes) -> list[tuple[str, int, int]]:
    with pytest.raises(Problems) as raised:
        read(text)
    return [(found.code, found.place.line, found.place.column) for found in raised.value.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("no", "no"),
        ("yes", "yes"),
        ("True", "True"),
        ("~", "~"),
        ("0644", "0644"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("1.10", "1.10"),
        ("1e3", "1e3"),
        ("2026-12-31", "2026-12-31"),
        ("9" * 5000, "9" * 5000),
        ("'7'", "7"),
        ('"true"', "true"),
        ("é€😀", "é€😀"),
    ],
)
def test_only_true_false_null_and_whole_numbers_are_more_than_text(written: str, value: object) -> None:
    assert read(f"key: {written}\n") == {"key": value}


def test_keys_are_texts_as_they_are_written() -> None:
    assert read("1: a\ntrue: b\n'null': c\n") == {"1": "a", "true": "b", "null": "c"}


def test_values_know_their_places() -> None:
    node = read_yaml(Source("x.yaml", "é: [a,\n     {b: cd}]\n".encode()))
    inner = node.value["é"].node.value[1]
    assert (inner.place, inner.get("b").place, inner.get("b").width) == (
        Place("x.yaml", 2, 6),
        Place("x.yaml", 2, 10),
        2,
    )


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert read(b"\xef\xbb\xbfa: 1\r\nb: two\r\n") == {"a": 1, "b": "two"}


def test_the_deepest_nesting_allowed_is_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("anchors.yaml", [("yaml-anchor", 2, 9), ("yaml-anchor", 3, 10)]),
        ("merge-bomb.yaml", None),
        ("tags.yaml", [("yaml-tag", 2, 9), ("yaml-tag", 3, 10)]),
        ("two-documents.yaml", [("yaml-documents", 2, 1)]),
        ("duplicate-keys.yaml", [("yaml-duplicate-key", 3, 1), ("yaml-duplicate-key", 4, 17)]),
        ("key-of-a-list.yaml", [("yaml-key", 2, 3)]),
        ("tab.yaml", [("yaml-syntax", 2, 1)]),
        ("not-closed.yaml", [("yaml-syntax", 3, 1)]),
        ("empty.yaml", [("yaml-empty", 1, 1)]),
    ],
)
def test_hostile_files(file: str, found: list[tuple[str, int, int]] | None) -> None:
    started = time.process_time()
    told = problems((HOSTILE / file).read_bytes())
    assert time.process_time() - started < 10
    assert told == found if found is not None else {code for code, _, _ in told} <= {"yaml-anchor", "too-many-problems"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"[" * 100_000, ("yaml-depth", 1, MAX_DEPTH + 1)),
        (b"{a: " * 100_000, ("yaml-depth", 1, 4 * MAX_DEPTH + 1)),
        (b"- " * 100_000, ("yaml-depth", 1, 2 * MAX_DEPTH + 1)),
        (b"[" + b"a," * 300_000 + b"]", ("yaml-size", 1, 200_000)),
        (b"x" * (MAX_BYTES + 1), ("yaml-size", 1, 1)),
        (bytes(range(256)) * 4096, ("yaml-encoding", 1, 1)),
        (b"a: 1\nb: \xff\n", ("yaml-encoding", 2, 4)),
        (b"a: 1\nbcd\0: 2\n", ("yaml-character", 2, 4)),
        ("a: x\u2028b: y\n".encode(), ("yaml-character", 1, 5)),
        (b"a: 1\nb: 2\rc: 3\n", ("yaml-character", 2, 5)),
        (b"a: 'x\n", ("yaml-syntax", 2, 1)),
        (b"%" * 10_000, ("yaml-syntax", 1, 1)),
    ],
)
def test_floods_are_one_problem_in_little_time(text: bytes, found: tuple[str, int, int]) -> None:
    started = time.process_time()
    told = problems(text)
    assert time.process_time() - started < 10
    assert len(told) == 1
    assert told[0][0] == found[0]
    assert told[0] == found or found[0] in ("yaml-encoding", "yaml-syntax")


def test_the_second_place_of_a_key_names_the_first() -> None:
    with pytest.raises(Problems) as raised:
        read("a: 1\nb: 2\na: 3\n")
    assert str(raised.value) == (
        "x.yaml:3:1: error[yaml-duplicate-key]: key 'a' appears twice; first at line 1, column 1\n"
        "   3 | a: 3\n"
        "     | ^ keep one of them"
    )


def test_long_lines_are_shown_around_the_place() -> None:
    line = "a" * 50_000 + "here" + "b" * 50_000
    shown = str(Problem("c", Place("x.yaml", 1, 50_001), "m", "h", line, 4)).splitlines()
    assert all(len(row) < 300 for row in shown)
    assert shown[1][shown[2].index("^") :].startswith("here")


def test_problems_are_sorted_and_counted() -> None:
    found = Problems(
        [Problem("z", Place("b", 2, 1), "m"), Problem("a", Place("b", 1, 9), "m"), Problem("a", Place("a", 9, 9), "m")]
    )
    assert [str(problem.place) for problem in found.problems] == ["a:9:9", "b:1:9", "b:2:1"]
    assert found.message == "3 problems in 2 files"
