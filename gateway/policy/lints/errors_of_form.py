"""Paragraphs of the errors in how a file is written: YAML, keys and values. Any of them keeps a tree from loading."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "yaml-syntax": """
        This is not YAML: a bracket, a quote or an indentation does not fit. Nothing behind that place can be read, so
        other problems of the file may only show when it is right.

        before:
        rules:
          - {id: any, allow: [web-download}
        after:
        rules:
          - {id: any, allow: [web-download]}
        """,
    "yaml-empty": """
        The file holds nothing. An empty file in a policy tree is mostly one that was cut off while it was written, and
        reading it as "no rules" would drop every limit that stood in it.
        """,
    "yaml-size": """
        The file has more than 1 MiB, or more values than are read from one. Split it: the files of a tree count as
        one, whatever their number and order.
        """,
    "yaml-encoding": """
        The file is not UTF-8. Guessing another encoding would make other names of hosts and projects out of the same
        bytes. Save it as UTF-8.
        """,
    "yaml-character": """
        The file holds a character that no editor shows, such as NUL or a line separator. What a person reads would not
        be what the gateway reads.
        """,
    "yaml-depth": """
        Brackets or lists are nested deeper than 20 levels. No policy needs that, and it is how parsers are brought
        down.

        before:
        rules: [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]
        after:
        rules: [{id: any, allow: all}]
        """,
    "yaml-anchor": """
        Anchors, aliases and merge keys are not read. A few lines of them can stand for millions of values, and a rule
        that is merged from elsewhere cannot be understood where it stands. Name a set instead.

        before:
        - {id: a, allow: [web-download], within: &to {hosts: [a.example.com]}}
        - {id: b, limit: [web-download], within: *to}
        after:
        sets: {mirrors: [a.example.com]}
        rules:
          - {id: a, allow: [web-download], within: {hosts: sets.mirrors}}
          - {id: b, limit: [web-download], within: {hosts: sets.mirrors}}
        """,
    "yaml-tag": """
        A tag such as `!!str` or `!include` gives a value another meaning to other readers of the file. Write a text in
        quotes, and everything else as it is.

        before:
        - {id: !!str any, allow: all}
        after:
        - {id: "any", allow: all}
        """,
    "yaml-documents": """
        A second document begins in the file. Many programs read only the first one, so its rules would be in force for
        one reader and not for another.

        before:
        rules: [{id: any, allow: all}]
        ---
        rules: [{id: cap, limit: all, within: {max_size: 20GiB}}]
        after:
        rules:
          - {id: any, allow: all}
          - {id: cap, limit: all, within: {max_size: 20GiB}}
        """,
    "yaml-duplicate-key": """
        A key stands twice in one mapping. Most readers take the last one and say nothing, so a limit that somebody
        reads at the top of a rule would not be the one that holds.

        before:
        - id: cap
          limit: all
          within: {max_size: 20GiB, max_size: 200GiB}
        after:
        - id: cap
          limit: all
          within: {max_size: 20GiB}
        """,
    "yaml-key": """
        A key is a list, a mapping or nothing. Keys are words.

        before:
        rules: [{[id]: any, allow: all}]
        after:
        rules: [{id: any, allow: all}]
        """,
    "unknown-key": """
        Nobody knows this key. A misspelt `within` that is passed over would leave a grant without its limits, so it is
        an error.

        before:
        - {id: any, allow: all, witin: {max_size: 20GiB}}
        after:
        - {id: any, allow: all, within: {max_size: 20GiB}}
        """,
    "missing-key": """
        A key that is needed is missing: every rule has an `id`, every file `version`, `policy` and `rules`, and every
        exemption a reason, an approver and an end.

        before:
        - {allow: all}
        after:
        - {id: any, allow: all}
        """,
    "wrong-type": """
        The value is of another kind than is needed here: a text where a list belongs, a number where a text belongs.
        `no`, `on`, `1.10`, dates and 0644 are texts; only `true`, `false`, `null` and whole numbers are more.

        before:
        - {id: any, allow: all, for: {projects: radiology, tags: [7]}}
        after:
        - {id: any, allow: all, for: {projects: [radiology], tags: ["7"]}}
        """,
    "unknown-value": """
        The value is none of those that can stand here.

        before:
        - {id: a, deny: all, mode: warning, message: Not now.}
        after:
        - {id: a, deny: all, mode: warn, message: Not now.}
        """,
    "bad-value": """
        The text is not written as it must be here: a scheme, a format, a store or a region is one word.

        before:
        - {id: a, limit: [web-download], within: {schemes: ["https://"]}}
        after:
        - {id: a, limit: [web-download], within: {schemes: [https]}}
        """,
    "bad-key": """
        The name of a set has letters that an expression could not write: `sets.my-list` would mean a difference.

        before:
        sets: {my-list: [a]}
        after:
        sets: {my_list: [a]}
        """,
    "bad-name": """
        A name has letters, digits, '-', '_' and '.', and at most 64 of them. Rules are known as policy/id, so neither
        part holds a slash.

        before:
        - {id: a/b, allow: all}
        after:
        - {id: a-b, allow: all}
        """,
    "bad-size": """
        A size is a whole number and a binary unit: B, KiB, MiB, GiB, TiB, PiB. `20GB` could mean two sizes that lie 7 %
        apart.

        before:
        - {id: cap, limit: all, within: {max_size: 20GB}}
        after:
        - {id: cap, limit: all, within: {max_size: 20GiB}}
        """,
    "bad-time": """
        A time is written as RFC 3339 has it, with its offset: a date alone would begin at another hour for every
        reader.

        before:
        - {id: a, deny: all, until: "2027-01-31"}
        after:
        - {id: a, deny: all, until: "2027-01-31T00:00:00Z"}
        """,
    "bad-duration": """
        A duration is a whole number and one of s, m, h, d, and short enough for what it bounds.

        before:
        - {id: a, allow: all, break_glass: {roles: [oncall], max: 4 hours}}
        after:
        - {id: a, allow: all, break_glass: {roles: [oncall], max: 4h}}
        """,
    "bad-host": """
        This is no host name and no pattern of hosts. A pattern is `*.` and a name, and stands for every host below it;
        a port, a path or a `*` in another place has no meaning.

        before:
        - {id: a, allow: [web-download], within: {hosts: ["cloud-*.example.com"]}}
        after:
        - {id: a, allow: [web-download], within: {hosts: ["*.cloud.example.com"]}}
        """,
    "bad-directory": """
        A delegate names a folder from the top of the tree, in plain words: no leading slash, no `..`, no hidden folder.
        What leads out of the tree cannot be bound.

        before:
        delegates:
          - {directory: ../lab, verbs: [allow], scope: {tags: [lab]}}
        after:
        # a.yaml
        delegates:
          - {directory: lab, verbs: [allow], scope: {tags: [lab]}}
        # lab/b.yaml
        version: 1
        policy: lab
        rules: [{id: any, allow: all}]
        """,
    "empty": """
        A list, a mapping or a text is empty. An empty `for` could be read as everybody or as nobody, so it is neither.

        before:
        - {id: any, allow: all, for: {}}
        after:
        - {id: any, allow: all}
        """,
    "out-of-range": """
        The number is below or above what can stand here.

        before:
        - {id: a, limit: [web-download], within: {ports: [99999]}}
        after:
        - {id: a, limit: [web-download], within: {ports: [8443]}}
        """,
    "too-long": """
        The text or list is longer than anybody reads. Lists that grow belong into a set, or into a tag of the projects.
        """,
    "too-many-problems": """
        A file has more than 100 problems, and the others are not told. Most of them probably have one cause.
        """,
    "too-many-values": """
        The selectors of a tree name more values than can be filed, mostly because many rules name the same long set.
        Give such projects a tag or a domain, and name that.
        """,
    "repeated": """
        A value stands twice in a list that takes each one once.
        """,
}
