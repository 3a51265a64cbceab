"""Reading YAML that a stranger may have written: plain trees with places, and every problem at once.

Built from the parser's events, never by its composer: depth and size are bounded before anything is nested, anchors
and tags have no meaning, and only `true`, `false`, `null` and whole numbers are more than text (YAML 1.2's core
schema, section 10.3, without floats, octal and hexadecimal numbers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events as ev

from gateway.policy.problems import Problem, Problems
from gateway.policy.rules import Place

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 100_000
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "": None}
# What YAML calls a line break and an editor does not, and what no text file holds.
_STRANGE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """One file: `name` is how people know it (a path relative to the tree)."""

    name: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place. `value` is str, int, bool, None, a list of nodes, or a dict of `Entry` by key.

    `lines` are those of the whole file, `width` is its length on its first line. `style` is YAML's: "" plain, ' " | >.
    """

    value: Any
    place: Place
    width: int
    lines: Sequence[str] = field(repr=False, compare=False)
    style: str = ""

    @property
    def line(self) -> str:
        """The source line it starts on."""
        return self.lines[self.place.line - 1] if self.place.line <= len(self.lines) else ""

    def problem(self, code: str, message: str, hint: str = "") -> Problem:
        return Problem(code, self.place, message, hint, self.line, self.width)

    def get(self, key: str) -> Node | None:
        """The value under a key; None where there is none, or this is no mapping."""
        entry = self.value.get(key) if isinstance(self.value, dict) else None
        return None if entry is None else entry.node

    def key(self, key: str) -> Node:
        """The key itself, as a node: its place is where messages about a missing or wrong key point."""
        entry: Entry = self.value[key]
        return entry.key


@dataclass(frozen=True, slots=True)
class Entry:
    key: Node
    node: Node


def plain(node: Node) -> Any:
    """The tree as ordinary values."""
    if isinstance(node.value, dict):
        return {key: plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def read_yaml(source: Source) -> Node:
    """The one document of a file. Raises Problems."""
    reading = _Reading(source.name, _decoded(source))
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


@dataclass(slots=True)
class _Open:
    """A collection being read; `key` is the key that waits for its value."""

    value: list[Node] | dict[str, Entry]
    event: Any
    key: Node | None = None
    ignored: bool = False


@dataclass(slots=True)
class _Reading:
    name: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    lines: Sequence[str] = ()
    stack: list[_Open] = field(default_factory=list)
    nodes: int = 0
    documents: int = 0
    top: Node | None = None

    def root(self) -> Node:
        self.lines = self.text.split("\n")
        try:
            for event in self.events():
                self.take(event)
        except _TooMuch:
            pass
        if self.top is None or self.top.value is None:
            if not self.problems:
                self.problems.append(Problem("yaml-empty", Place(self.name, 1, 1), "the file is empty"))
            return Node(None, Place(self.name, 1, 1), 1, ())
        return self.top

    def events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.note("yaml-syntax", mark, _said(error), "check the indentation, quotes and brackets here")
        except yaml.YAMLError as error:
            place = Place(self.name, 1, 1)
            self.problems.append(Problem("yaml-syntax", place, str(error).splitlines()[0]))

    def note(self, code: str, mark: Any, message: str, hint: str = "", width: int = 1) -> None:
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        text = self.lines[line] if line < len(self.lines) else ""
        self.problems.append(Problem(code, Place(self.name, line + 1, column + 1), message, hint, text, width))

    def stop(self, code: str, mark: Any, message: str, hint: str = "") -> _TooMuch:
        self.note(code, mark, message, hint)
        return _TooMuch()

    def take(self, event: Any) -> None:
        if isinstance(event, ev.NodeEvent):
            self.count(event)
        match event:
            case ev.DocumentStartEvent():
                self.document(event)
            case ev.ScalarEvent():
                self.finish(self.scalar(event))
            case ev.AliasEvent():
                self.finish(self.node(None, event))
            case ev.MappingStartEvent():
                self.open({}, event)
            case ev.SequenceStartEvent():
                self.open([], event)
            case ev.CollectionEndEvent():
                closed = self.stack.pop()
                self.finish(self.node(closed.value, closed.event))

    def count(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.stop("yaml-size", event.start_mark, f"more than {MAX_NODES} values", "split the file")
        if event.anchor is not None:
            message = "anchors, aliases and merge keys are not used here"
            self.note("yaml-anchor", event.start_mark, message, "write the value out, or name a set")
        if getattr(event, "tag", None) is not None:
            self.note("yaml-tag", event.start_mark, f"the tag {event.tag!r} is not used here", "leave it out")

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.stop(
                "yaml-documents", event.start_mark, "a file holds one document", "make it a file of its own"
            )

    def open(self, value: list[Node] | dict[str, Entry], event: Any) -> None:
        if len(self.stack) == MAX_DEPTH:
            raise self.stop("yaml-depth", event.start_mark, f"nested deeper than {MAX_DEPTH}")
        self.stack.append(_Open(value, event))

    def node(self, value: Any, event: Any, style: str = "") -> Node:
        start, end = event.start_mark, event.end_mark
        line = self.lines[start.line] if start.line < len(self.lines) else ""
        width = end.column - start.column if end.line == start.line else len(line) - start.column
        return Node(value, Place(self.name, start.line + 1, start.column + 1), max(1, width), self.lines, style)

    def scalar(self, event: Any) -> Node:
        # The implicit flag is False for a quoted scalar, and for a plain one that has a tag.
        plain_style = event.style is None or event.style == ""
        return self.node(_resolved(event.value) if plain_style else event.value, event, event.style or "")

    def finish(self, node: Node) -> None:
        """A value is complete: it belongs to the innermost open collection, or it is the document."""
        if not self.stack:
            self.top = node
            return
        parent = self.stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif parent.key is None:
            parent.key, parent.ignored = self.new_key(node, parent.value)
        else:
            if not parent.ignored:
                parent.value[str(parent.key.value)] = Entry(parent.key, node)
            parent.key = None

    def new_key(self, node: Node, taken: dict[str, Entry]) -> tuple[Node, bool]:
        """The key as text (a key such as `1` is the text "1"), and whether its value has to be left out."""
        if isinstance(node.value, (dict, list)) or node.value is None:
            self.problems.append(node.problem("yaml-key", "a key is a word"))
            return node, True
        text = node.value if isinstance(node.value, str) else node.line[node.place.column - 1 :][: node.width]
        node = Node(text, node.place, node.width, node.lines, node.style)
        if text == "<<":
            message = "anchors, aliases and merge keys are not used here"
            self.problems.append(node.problem("yaml-anchor", message, "write the values out"))
            return node, True
        if text in taken:
            first = taken[text].key.place
            message = f"key '{text}' appears twice; first at line {first.line}, column {first.column}"
            self.problems.append(node.problem("yaml-duplicate-key", message, "keep one of them"))
            return node, True
        return node, False


def _resolved(text: str) -> str | int | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _said(error: yaml.MarkedYAMLError) -> str:
    said = [part for part in (error.problem, error.context) if part]
    return ", ".join(said) or "this is not YAML"
