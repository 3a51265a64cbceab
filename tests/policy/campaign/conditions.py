"""Conditions, each beside what it means: the meaning shares no code with the engines.

A meaning raises LookupError where it has no answer: a fact is not known, or the condition has an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Meaning = Callable[[Mapping[str, Any]], bool]


def either(one: Meaning, other: Meaning) -> Meaning:
    """CEL's `||`: true where one side is, whatever the other has to say."""

    def holds(facts: Mapping[str, Any]) -> bool:
        try:
            if one(facts):
                return True
        except LookupError:
            if other(facts):
                return True
            raise
        return other(facts)

    return holds


def both(one: Meaning, other: Meaning) -> Meaning:
    """CEL's `&&`: false where one side is."""
    negated = either(lambda facts: not one(facts), lambda facts: not other(facts))
    return lambda facts: not negated(facts)


CONDITIONS: Mapping[str, Meaning] = {
    'request.visibility == "public"': lambda f: f["request.visibility"] == "public",
    'request.disk_format != "raw"': lambda f: f["request.disk_format"] != "raw",
    'request.container_format == "ova"': lambda f: f["request.container_format"] == "ova",
    "content.size > 5": lambda f: f["content.size"] > 5,
    'content.virtual_size >= quantity("7B")': lambda f: f["content.virtual_size"] >= 7,
    'content.disk_format == "vmdk"': lambda f: f["content.disk_format"] == "vmdk",
    "request.size < 3": lambda f: f["request.size"] < 3,
    'request.properties["k"] == "v"': lambda f: f["request.properties"]["k"] == "v",
    '"k" in request.properties': lambda f: "k" in f["request.properties"],
    '"gold" in project.tags': lambda f: "gold" in f["project.tags"],
    'project.tags[0] == "gold"': lambda f: f["project.tags"][0] == "gold",
    'project.tags.all(t, t != "silver")': lambda f: all(tag != "silver" for tag in f["project.tags"]),
    'user.roles.exists(r, r == "admin")': lambda f: "admin" in f["user.roles"],
    'request.host.endsWith("a.example")': lambda f: f["request.host"].endswith("a.example"),
    'request.host.matches("^x[.]")': lambda f: f["request.host"].startswith("x."),
    "request.port != 443": lambda f: f["request.port"] != 443,
    'request.path.startsWith("/images/")': lambda f: f["request.path"].startswith("/images/"),
    'request.stores.exists(s, s == "b")': lambda f: "b" in f["request.stores"],
    'request.region == "one"': lambda f: f["request.region"] == "one",
    'request.credential == "ours"': lambda f: f["request.credential"] == "ours",
    'request.method == "web-download"': lambda f: f["request.method"] == "web-download",
    "project.imports.accepted >= 3 && project.imports.rejected == 0": lambda f: (
        f["project.imports.accepted"] >= 3 and f["project.imports.rejected"] == 0
    ),
    "project.imports.first_at < 14": lambda f: f["project.imports.first_at"] < 14,
    "project.id in sets.some": lambda f: f["project.id"] in ("p1", "p2"),
    'request.host == "b.example" || content.size > 6': either(
        lambda f: f["request.host"] == "b.example", lambda f: f["content.size"] > 6
    ),
    '!(request.visibility == "public") && request.properties["k"] == "w"': both(
        lambda f: f["request.visibility"] != "public", lambda f: f["request.properties"]["k"] == "w"
    ),
}
"""Every fact of a request is asked about, with answers, errors and short cuts."""
