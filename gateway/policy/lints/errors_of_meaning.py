"""Paragraphs of the errors in what files say, alone and about each other. Any of them keeps a tree from loading."""

from __future__ import annotations

from collections.abc import Mapping

_EXEMPTION = """
    rules:
      - {{id: cap, limit: all, within: {{max_size: 20GiB}}}}
      - {{id: any, allow: all}}
      - {{id: "no", deny: [web-download]}}
    exemptions:
      - id: T-1
        for: {{projects: [a]}}
        reason: One large appliance.
        approved_by: image-team
        until: "2027-06-30T00:00:00Z"
        {0}
"""


def _exempting(text: str, *said: str) -> str:
    """A paragraph about an exemption; `said` is what its example says beside for whom, why and until when."""
    lines = (said, ("rule: p/cap", "within: {max_size: 40GiB}"))
    before, after = (_EXEMPTION.format("\n        ".join(each)) for each in lines)
    return f"    {text}\n\n    before:{before}\n    after:{after}"


TEXTS: Mapping[str, str] = {
    "empty-tree": """
        There is no policy file in the folder. A misspelt path would otherwise be a tree without rules, and pass every
        check.
        """,
    "one-verb": """
        A rule has no verb, or two. What is granted, bounded, asked for and refused are rules of their own, each with a
        name that explains a decision.

        before:
        - {id: a, allow: all, deny: [web-download]}
        after:
        - {id: a, allow: all}
        - {id: b, deny: [web-download]}
        """,
    "missing-within": """
        A limit says no limits. It would look like a guard and hold nobody.

        before:
        - {id: cap, limit: all}
        after:
        - {id: cap, limit: all, within: {max_size: 20GiB}}
        """,
    "missing-stages": """
        A requirement names no stage. It would look like a check and check nothing.

        before:
        - {id: scan, require: all}
        after:
        - {id: scan, require: all, stages: [inspect]}
        """,
    "misplaced-key": """
        The key does not go with the rule's verb: `within` belongs to allow and limit, `stages` to require,
        `break_glass` to allow.

        before:
        - {id: a, deny: all, within: {max_size: 20GiB}}
        after:
        - {id: a, limit: all, within: {max_size: 20GiB}}
        """,
    "unknown-method": """
        There is no import method of that name, in this build or in the language.

        before:
        - {id: a, allow: [web-donwload]}
        after:
        - {id: a, allow: [web-download]}
        """,
    "unknown-set": """
        No file defines the set, or only one of a delegated folder does, whose sets nobody else knows.

        before:
        sets: {vendors: [cloud.example.com]}
        rules:
          - {id: a, allow: [web-download], within: {hosts: sets.vendor}}
        after:
        sets: {vendors: [cloud.example.com]}
        rules:
          - {id: a, allow: [web-download], within: {hosts: sets.vendors}}
        """,
    "set-in-list": """
        A set stands inside a list, where it would be one more text. It takes the place of the whole list.

        before:
        sets: {vendors: [cloud.example.com]}
        rules:
          - {id: a, allow: [web-download], within: {hosts: [sets.vendors]}}
        after:
        sets: {vendors: [cloud.example.com]}
        rules:
          - {id: a, allow: [web-download], within: {hosts: sets.vendors}}
        """,
    "unknown-stage": """
        There is no stage of that name. Passed over, it would be a check that never runs.

        before:
        - {id: a, require: all, stages: [inspekt]}
        after:
        - {id: a, require: all, stages: [inspect]}
        """,
    "unknown-option": """
        The stage has no option of that name. Passed over, it would leave the stage at its default.

        before:
        - {id: a, require: all, stages: [checksum: {algoritm: sha512}]}
        after:
        - {id: a, require: all, stages: [checksum: {algorithm: sha512}]}
        """,
    "bad-option": """
        The stage's option cannot have that value.

        before:
        - {id: a, require: all, stages: [checksum: {algorithm: crc32}]}
        after:
        - {id: a, require: all, stages: [checksum: {algorithm: sha512}]}
        """,
    "missing-option": """
        The stage needs an option that has no default: a signature is checked with somebody's keys.

        before:
        - {id: a, require: all, stages: [signature]}
        after:
        - {id: a, require: all, stages: [signature: {trust: release-keys}]}
        """,
    "conflicting-transforms": """
        Two rules that always meet demand a transform with different values of one option. Every import under both would
        be refused with `policy-conflict`.

        before:
        - {id: a, require: all, stages: [convert: {target: raw}]}
        - {id: b, require: [web-download], stages: [convert: {target: qcow2}]}
        after:
        - {id: a, require: [glance-direct], stages: [convert: {target: raw}]}
        - {id: b, require: [web-download], stages: [convert: {target: qcow2}]}
        """,
    "bad-placeholder": """
        A message names a fact that does not exist. The caller would read the braces.

        before:
        - {id: a, deny: all, message: "Not from {request.hots}."}
        after:
        - {id: a, deny: [web-download], message: "Not from {request.host}."}
        """,
    "missing-message": """
        A deny or a requirement depends on what is only known later, and says nothing. Callers see neither rules nor
        expressions: the message is all that discovery and the refusal can tell them.

        before:
        - {id: a, deny: all, when: request.visibility == "public"}
        after:
        - {id: a, deny: all, when: request.visibility == "public", message: Images stay private here.}
        """,
    "empty-period": """
        The rule ends before it begins, so it never applies.

        before:
        - {id: a, deny: all, from: "2027-02-01T00:00:00Z", until: "2027-01-01T00:00:00Z"}
        after:
        - {id: a, deny: all, from: "2027-01-01T00:00:00Z", until: "2027-02-01T00:00:00Z"}
        """,
    "quota-mode": """
        A limit on all that a project has cannot be on trial: a decision does not know what the project has, so it
        cannot tell whether the limit would have refused it.

        before:
        - {id: a, limit: all, mode: warn, within: {max_images: 10}}
        after:
        - {id: a, limit: all, within: {max_images: 10}}
        """,
    "duplicate-id": """
        Two things have one name: rules and exemptions within a policy, sets within what can see them, delegates of one
        folder. A decision names its rule, and the name must lead to one place.

        before:
        - {id: a, allow: all}
        - {id: a, deny: [web-download]}
        after:
        - {id: a, allow: all}
        - {id: b, deny: [web-download]}
        """,
    "cel": """
        An expression cannot be read, or its types do not fit: an unknown fact, a number compared with a text, a
        function that does not exist. Sizes are written `quantity("20GiB")`; whether a map has a key is asked with `in`.

        before:
        - {id: a, deny: all, when: content.sise > "20GiB", message: Too large.}
        after:
        - {id: a, deny: all, when: content.size > quantity("20GiB"), message: Too large.}
        """,
    "unknown-rule": _exempting(
        "An exemption is from a rule that does not exist. Rules are named policy/id; after a renaming, "
        "exemptions have to follow, or they quietly loosen nothing.",
        "rule: p/kap",
        "within: {max_size: 40GiB}",
    ),
    "exempt-allow": _exempting(
        "An exemption is from an allow. There is nothing to loosen in a grant: write another allow.",
        "rule: p/any",
        "within: {max_size: 40GiB}",
    ),
    "exempt-deny": _exempting(
        "An exemption is from a deny. A refusal has no part that could be loosened: narrow its `for` or `when`.",
        "rule: p/no",
        "within: {max_size: 40GiB}",
    ),
    "exempt-nothing": _exempting(
        "An exemption does not say what it loosens. Being spared a whole rule frees from more than was "
        "meant, so every part is named: `within` for a limit, `without` for a requirement.",
        "rule: p/cap",
    ),
    "exempt-lacking": _exempting(
        "An exemption loosens something that its rule does not have.",
        "rule: p/cap",
        "within: {max_virtual_size: 40GiB}",
    ),
    "out-of-scope": """
        An exemption is for somebody outside the scope of its file.

        before:
        scope: {projects: [a]}
        rules:
          - {id: cap, limit: all, within: {max_size: 20GiB}}
        exemptions:
          - id: T-1
            rule: p/cap
            for: {projects: [b]}
            within: {max_size: 40GiB}
            reason: One large appliance.
            approved_by: image-team
            until: "2027-06-30T00:00:00Z"
        after:
        scope: {projects: [a, b]}
        rules:
          - {id: cap, limit: all, within: {max_size: 20GiB}}
        exemptions:
          - id: T-1
            rule: p/cap
            for: {projects: [b]}
            within: {max_size: 40GiB}
            reason: One large appliance.
            approved_by: image-team
            until: "2027-06-30T00:00:00Z"
        """,
}
