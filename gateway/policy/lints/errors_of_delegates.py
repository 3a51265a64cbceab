"""Paragraphs of the errors about delegated folders. Any of them keeps a tree from loading."""

from __future__ import annotations

from collections.abc import Mapping

_GIVEN = """
        # platform.yaml
        delegates:
          - {directory: lab, verbs: [allow], scope: {tags: [lab]}, methods: [web-download]}
        rules:
          - {id: cap, limit: all, within: {max_size: 20GiB}}
"""
_LAB = """        # lab/a.yaml
        version: 1
        policy: lab
        rules: [{id: any, allow: [web-download]}]
"""


def _between(text: str, before: str, after: str = _LAB, given: str = _GIVEN) -> str:
    return f"{text}\n\n        before:{given}{before}\n        after:{_GIVEN}{after}"


def _lab(rules: str, more: str = "", policy: str = "lab") -> str:
    head = f"        # lab/a.yaml\n        version: 1\n        policy: {policy}\n"
    return f"{head}        rules: [{rules}]\n" + (f"        {more}\n" if more else "")


_NARROWER = "delegates: [{{directory: {0}, verbs: [allow], scope: {{tags: [x]}}}}]"
_BELOW = """        # lab/x/b.yaml
        version: 1
        policy: x
        rules: [{id: b, allow: all}]
"""
_ANY = "{id: any, allow: [web-download]}"

TEXTS: Mapping[str, str] = {
    "delegate-verb": _between(
        """
        A file of a delegated folder uses a verb that the folder was not given, or passes one on.""",
        _lab("{id: any, deny: [web-download]}"),
    ),
    "delegate-method": _between(
        """
        A file of a delegated folder names a method that the folder was not given. `all` stands for those it was given.
        """.rstrip(),
        _lab("{id: any, allow: [glance-direct]}"),
    ),
    "delegate-policy": _between(
        """
        A file of a delegated folder has the name of somebody else's policy. Its rules would speak in that name in every
        log and explanation.""",
        _lab(_ANY, policy="p"),
    ),
    "delegate-exemption": _between(
        """
        A file of a delegated folder loosens a rule that was not written there. Only those who wrote a rule may spare
        somebody from it.""",
        _lab(
            _ANY,
            "exemptions: [{id: e, rule: p/cap, for: {projects: [a]}, within: {max_size: 1TiB}, reason: Ours is large.,"
            ' approved_by: us, until: "2027-01-01T00:00:00Z"}]',
        ),
    ),
    "delegate-outside": _between(
        """
        A file of a delegated folder delegates a folder that is not inside its own. What it was not given it cannot pass
        on.""",
        _lab(_ANY, _NARROWER.format("x")),
        _lab(_ANY, _NARROWER.format("lab/x")) + _BELOW,
    ),
    "delegate-empty": _between(
        """
        No policy file lies below the delegated folder. A misspelt folder would bind nobody, and the files it was meant
        for could say everything.""",
        _LAB,
        given=_GIVEN.replace("directory: lab", "directory: labs"),
    ),
}
