"""Reading YAML that a stranger may have written: plain trees with places, and every problem at once.

Built from the parser's events, never by its composer: depth and size are bounded before anything is nested, anchors
and tags have no meaning, and only `true`, `false`, `null` and whole numbers are more than text (YAML 1.2's core
schema, section 10.3, without floats, octal and hexadecimal numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import events as ev

from gateway.policy.problems import MOST, Problem, Problems
from gateway.policy.rules import Place

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 100_000
LONGEST_MESSAGE = 1000
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "": None}
_START = yaml.Mark("", 0, 0, 0, None, 0)
_ANCHORS = "anchors, aliases and merge keys are not used here"
# What YAML calls a line break and an editor does not, and what no text file holds.
_STRANGE = re.compile(
    "\r(?!\n)|[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: `name` is how people know it (a path relative to the tree)."""

    name: str
    text: bytes


class Page:
    """A file being read: what every node of it shares. Its lines are only there once a problem has to be shown."""

    __slots__ = ("_lines", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines: Sequence[str] | None = None

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def lines(self) -> Sequence[str]:
        if self._lines is None:
            self._lines = _decoded(self._source).split("\n")
        return self._lines

    def line(self, row: int) -> str:
        """The line of a row, which counts from 0; empty below the last one, where an end may be."""
        return self.lines[row] if row < len(self.lines) else ""


class Node:
    """A value with its place. `value` is str, int, bool, None, a list of nodes, or a dict of `Entry` by key.

    `style` is YAML's: "" plain, ' " | >. A large tree is millions of these: no dataclass, as checking that nobody
    writes to one costs as much as reading it, and its place is only worked out where somebody asks.
    """

    __slots__ = ("_end", "_page", "_start", "style", "value")

    def __init__(self, value: Any, page: Page, start: Any, end: Any, style: str = "") -> None:
        self.value = value
        self.style = style
        self._page = page
        self._start = start
        self._end = end

    @property
    def place(self) -> Place:
        return Place(self._page.name, self._start.line + 1, self._start.column + 1)

    @property
    def width(self) -> int:
        """Its length on its first line, and never 0."""
        start, end = self._start, self._end
        last: int = end.column if end.line == start.line else len(self.line)
        return max(1, last - int(start.column))

    @property
    def lines(self) -> Sequence[str]:
        """Those of the whole file."""
        return self._page.lines

    @property
    def line(self) -> str:
        """The source line it starts on."""
        return self._page.line(self._start.line)

    def holding(self, value: Any) -> Node:
        """Another value in the same place."""
        return Node(value, self._page, self._start, self._end, self.style)

    def problem(self, code: str, message: str, hint: str = "") -> Problem:
        return Problem(code, self.place, _told(message), hint, self.line, self.width)

    def get(self, key: str) -> Node | None:
        """The value under a key; None where there is none, or this is no mapping."""
        entry = self.value.get(key) if isinstance(self.value, dict) else None
        return None if entry is None else entry.node

    def key(self, key: str) -> Node:
        """The key itself, as a node: its place is where messages about a missing or wrong key point."""
        entry: Entry = self.value[key]
        return entry.key


def _told(message: str) -> str:
    """A message quotes what stands in the file, which may be a megabyte."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"


class Entry:
    """A key of a mapping and the value under it."""

    __slots__ = ("key", "node")

    def __init__(self, key: Node, node: Node) -> None:
        self.key = key
        self.node = node


def plain(node: Node) -> Any:
    """The tree as ordinary values."""
    return plain_value(node.value)


def plain_value(value: Any) -> Any:
    """A node's value as ordinary values."""
    if isinstance(value, dict):
        return {key: plain_value(entry.node.value) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain_value(item.value) for item in value]
    return value


def read_yaml(source: Source) -> Node:
    """The one document of a file. Raises Problems."""
    reading = _Reading(source, _decoded(source))
    root = reading.root()
    if reading.problems:
        raise Problems(reading.problems)
    return root


def _decoded(source: Source) -> str:
    top = Place(source.name, 1, 1)
    if len(source.text) > MAX_BYTES:
        raise Problems([Problem("yaml-size", top, f"the file has more than {MAX_BYTES} bytes", "split it")])
    try:
        text = source.text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = source.text[: error.start].decode("utf-8-sig", "replace")
        place = Place(source.name, good.count("\n") + 1, len(good) - good.rfind("\n"))
        raise Problems([Problem("yaml-encoding", place, "this is not UTF-8", "save the file as UTF-8")]) from error
    strange = _STRANGE.search(text)
    if strange is not None:
        raise Problems([_strange(source.name, text, strange.start())])
    return text


def _strange(name: str, text: str, at: int) -> Problem:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    message = f"the character U+{ord(text[at]):04X} may not stand in a file"
    return Problem("yaml-character", Place(name, line, column), message, "remove it")


class _TooMuch(Exception):
    """Reading stops here; the problem is noted already."""


class _Reading:
    """One file being read, by recursion: `MAX_DEPTH` bounds it before anything is nested."""

    def __init__(self, source: Source, text: str) -> None:
        self.problems: list[Problem] = []
        self._page = Page(source)
        self._parser = _LOADER(text)
        self._next: Callable[[], Any] = self._parser.get_event
        self._nodes = 0

    def root(self) -> Node:
        top = None
        try:
            top = self.document()
        except _TooMuch:
            pass
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.note("yaml-syntax", mark, _said(error), "check the indentation, quotes and brackets here")
        except yaml.YAMLError as error:
            self.problems.append(Problem("yaml-syntax", self.beginning(), str(error).splitlines()[0]))
        finally:
            self._parser.dispose()
        if top is None or top.value is None:
            if not self.problems:
                self.problems.append(Problem("yaml-empty", self.beginning(), "the file is empty"))
            return Node(None, self._page, _START, _START)
        return top

    def beginning(self) -> Place:
        return Place(self._page.name, 1, 1)

    def note(self, code: str, mark: Any, message: str, hint: str = "") -> None:
        mark = mark or _START
        place = Place(self._page.name, mark.line + 1, mark.column + 1)
        self.problems.append(Problem(code, place, message, hint, self._page.line(mark.line)))

    def stop(self, code: str, mark: Any, message: str, hint: str = "") -> _TooMuch:
        self.note(code, mark, message, hint)
        return _TooMuch()

    def document(self) -> Node | None:
        """The one document. Every event is asked for, so that what follows the document is seen too."""
        top = None
        while (event := self._next()) is not None:
            if isinstance(event, ev.DocumentStartEvent):
                if top is not None:
                    raise self.stop(
                        "yaml-documents", event.start_mark, "a file holds one document", "make it a file of its own"
                    )
                top = self.value(self._next(), 0)
        return top

    def value(self, event: Any, depth: int) -> Node:
        """The value that begins with an event, read up to its end."""
        self._nodes += 1
        if len(self.problems) > MOST:
            raise _TooMuch
        if self._nodes > MAX_NODES:
            raise self.stop("yaml-size", event.start_mark, f"more than {MAX_NODES} values", "split the file")
        kind = type(event)
        if event.anchor is not None:
            self.note("yaml-anchor", event.start_mark, _ANCHORS, "write the value out, or name a set")
        if kind is ev.AliasEvent:
            return Node(None, self._page, event.start_mark, event.end_mark)
        if event.tag is not None:
            self.note("yaml-tag", event.start_mark, f"the tag {event.tag[:80]!r} is not used here", "leave it out")
        if kind is ev.ScalarEvent:
            return self.scalar(event)
        if depth == MAX_DEPTH:
            raise self.stop("yaml-depth", event.start_mark, f"nested deeper than {MAX_DEPTH}")
        inside = self.mapping(depth + 1) if kind is ev.MappingStartEvent else self.sequence(depth + 1)
        return Node(inside, self._page, event.start_mark, event.end_mark)

    def scalar(self, event: Any) -> Node:
        # The implicit flag is False for a quoted scalar, and for a plain one that has a tag.
        style = event.style or ""
        text = event.value if style else _resolved(event.value)
        return Node(text, self._page, event.start_mark, event.end_mark, style)

    def sequence(self, depth: int) -> list[Node]:
        found = []
        while type(event := self._next()) is not ev.SequenceEndEvent:
            found.append(self.value(event, depth))
        return found

    def mapping(self, depth: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        while type(event := self._next()) is not ev.MappingEndEvent:
            key = self.value(event, depth)
            usable = self.usable(key, found)
            node = self.value(self._next(), depth)
            if usable:
                found[key.value] = Entry(key, node)
        return found

    def usable(self, key: Node, taken: Mapping[str, Entry]) -> bool:
        """Whether a key can be kept. It becomes a text: a key such as `1` is the text "1"."""
        if isinstance(key.value, (dict, list)) or key.value is None:
            self.problems.append(key.problem("yaml-key", "a key is a word"))
            return False
        if not isinstance(key.value, str):
            key.value = key.line[key.place.column - 1 :][: key.width]
        if key.value == "<<":
            self.problems.append(key.problem("yaml-anchor", _ANCHORS, "write the values out"))
            return False
        if key.value in taken:
            first = taken[key.value].key.place
            message = f"key '{key.value}' appears twice; first at line {first.line}, column {first.column}"
            self.problems.append(key.problem("yaml-duplicate-key", message, "keep one of them"))
            return False
        return True


def _resolved(text: str) -> str | int | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _said(error: yaml.MarkedYAMLError) -> str:
    said = [part for part in (error.problem, error.context) if part]
    return ", ".join(said) or "this is not YAML"
