"""Lints about what conditions ask, and when the answer comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.policy.expression import Truth
from gateway.policy.facts import SOURCE_FACTS, SOURCE_NAMES, VOCABULARY, Phase
from gateway.policy.hosts import host_name
from gateway.policy.lints.expressions import compared, fact_of, parts
from gateway.policy.lints.lint import Linted, lint, marked, said
from gateway.policy.problems import Level, Problem
from gateway.policy.rules import Rule, Verb
from gateway.policy.syntax import Call, Literal, Name

_VISIBILITIES = ("public", "private", "shared", "community")


@lint(Level.WARNING)
def late_allow(tree: Linted) -> Iterator[Problem]:
    """An allow asks about the bytes, so nobody knows whether it grants an import before all of it has been
    transferred. Write what can be known as `within`, which discovery shows and which stops the transfer early.

    before:
    - {id: small, allow: [web-download], when: content.size < quantity("20GiB")}
    after:
    - {id: small, allow: [web-download], within: {max_size: 20GiB}}
    """
    for rule in tree.rules(Verb.ALLOW):
        for condition, node in tree.conditions(rule):
            late = sorted(fact for fact in condition.facts if VOCABULARY[fact][0] is Phase.CONTENT)
            if late:
                yield said(node, f"{', '.join(late)} is only known after the transfer", "write it as `within`")


@lint(Level.WARNING)
def source_fact_without_source(tree: Linted) -> Iterator[Problem]:
    """A condition asks where the bytes come from, and the rule lists methods that have no such source. What stays
    unknown counts against the requester: at the end, a `deny: all` with `when: request.host == ...` refuses every
    upload, and an allow grants none.

    before:
    - {id: a, deny: all, when: request.host == "old.example.com", message: This mirror is gone.}
    after:
    - {id: a, deny: [web-download], when: request.host == "old.example.com", message: This mirror is gone.}
    """
    for rule in tree.policy.rules:
        lost = {method: facts for method in sorted(rule.methods) if (facts := _never_known(tree, rule, method))}
        if lost:
            asked = sorted(frozenset[str]().union(*lost.values()))
            node = next(node for condition, node in tree.conditions(rule) if condition.facts & {*asked})
            what = {Verb.ALLOW: "never granted", Verb.DENY: "always refused"}.get(rule.verb, "always held to it")
            message = f"{', '.join(lost)} has no {', '.join(asked)}, so it is {what}"
            yield said(node, message, "list only the methods that have it")


def _never_known(tree: Linted, rule: Rule, method: str) -> frozenset[str]:
    """Facts a method lacks, where the condition cannot do without them."""
    absent = SOURCE_NAMES - SOURCE_FACTS.get(method, SOURCE_NAMES)
    if method not in tree.policy.methods or not any(condition.facts & absent for condition in rule.when):
        return frozenset()
    answers = [condition.program.evaluate({"request.method": method}) for condition in rule.when]
    open_facts = (one.facts & absent for one, answer in zip(rule.when, answers, strict=True) if answer is Truth.OPEN)
    return frozenset() if Truth.NO in answers else frozenset[str]().union(*open_facts)


@lint(Level.WARNING)
def claimed_size(tree: Linted) -> Iterator[Problem]:
    """A condition asks for `request.size`, which is what the client says. It may be wrong, and it is missing where a
    client streams. `within: {max_size: ...}` counts the bytes themselves, and refuses a claim that is too large at
    once.

    before:
    - {id: a, deny: all, when: request.size > quantity("20GiB"), message: At most 20 GiB.}
    after:
    - {id: a, limit: all, within: {max_size: 20GiB}}
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            for part in _reading(condition.source, "request.size"):
                message = "request.size is what the client says, and may be missing"
                yield marked(node, part.start, part.end, message, "write `within: {max_size: ...}`")


@lint(Level.WARNING)
def name_is_no_identity(tree: Linted) -> Iterator[Problem]:
    """A condition asks for `project.name`. Names can be changed, and two domains may have projects of the same name,
    so a project can take over the rights of another one. Ids cannot be chosen.

    before:
    - {id: a, allow: [web-download], when: project.name == "radiology"}
    after:
    - {id: a, allow: [web-download], for: {projects: [3f2a1c]}}
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            for part in _reading(condition.source, "project.name"):
                message = "a project's name can be changed, and is not its own in other domains"
                yield marked(node, part.start, part.end, message, "use `for: {projects: [id]}`")


def _reading(source: str, fact: str) -> Iterator[Name]:
    yield from (part for part in parts(source) if isinstance(part, Name) and part.name == fact)


@lint(Level.WARNING)
def all_of_nothing(tree: Linted) -> Iterator[Problem]:
    """`.all()` is true of an empty list. A condition such as "all tags are trusted" holds for a project without tags.
    Ask as well whether there is one, or use `.exists()`.

    before:
    - {id: a, allow: [web-download], when: "project.tags.all(t, t.startsWith('tier:'))"}
    after:
    - id: a
      allow: [web-download]
      when: size(project.tags) > 0 && project.tags.all(t, t.startsWith('tier:'))
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            counted = {fact for part in parts(condition.source) for fact in _counted(part)}
            for part in parts(condition.source):
                fact = fact_of(part.target) if isinstance(part, Call) and part.function == "all" and part.target else ""
                if isinstance(part, Call) and fact and fact not in counted:
                    yield marked(node, part.start, part.end, f"this is true where {fact} is empty", _ALSO.format(fact))


_ALSO = "ask for size({}) > 0 as well"


def _counted(part: object) -> Iterator[str]:
    """Facts of which a condition asks how many they are, or whether there is one."""
    if isinstance(part, Call) and part.function in ("size", "exists", "exists_one"):
        fact = fact_of(part.target or part.arguments[0])
        yield from [fact] if fact else []


@lint(Level.WARNING)
def credential_not_granted(tree: Linted) -> Iterator[Problem]:
    """An `allow` asks in a condition for one of the operator's credentials and names none in `within`. A credential is
    granted by name alone, so this grant covers imports without one, of which the condition is false.

    before:
    - {id: a, allow: [oci-download], when: request.credential == "registry"}
    after:
    - {id: a, allow: [oci-download], within: {credentials: [registry]}}
    """
    for rule in tree.rules(Verb.ALLOW):
        for condition, node in tree.conditions(rule) if not rule.within.credentials else ():
            for part in _reading(condition.source, "request.credential"):
                yield marked(
                    node, part.start, part.end, "this grant names no credential", "use `within: {credentials: [...]}`"
                )


@lint(Level.WARNING)
def loose_host_match(tree: Linted) -> Iterator[Problem]:
    """A condition compares a part of a host's name. `endsWith("example.com")` is true of notexample.com too, and
    `contains` and `startsWith` of example.com.attacker.net. Anybody can register such names. `hosts` in a `within`
    matches whole labels.

    before:
    - {id: a, allow: [web-download], when: request.host.endsWith("example.com")}
    after:
    - {id: a, allow: [web-download], within: {hosts: [example.com, "*.example.com"]}}
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            for part in parts(condition.source):
                if isinstance(part, Call) and _loose(part):
                    message = f"'{part.function}' also matches hosts of others"
                    yield marked(node, part.start, part.end, message, "use `within: {hosts: [...]}`")


def _loose(call: Call) -> bool:
    if call.target is None or fact_of(call.target) != "request.host":
        return False
    if call.function in ("contains", "startsWith"):
        return True
    texts = [argument.value for argument in call.arguments if isinstance(argument, Literal)]
    if call.function == "endsWith":
        return not all(str(text).startswith(".") for text in texts)
    return call.function == "matches" and not all(str(text)[:1] == "^" and str(text)[-1:] == "$" for text in texts)


@lint(Level.WARNING)
def never_equal(tree: Linted) -> Iterator[Problem]:
    """A fact is compared with a text it can never be. Hosts are lower case, without a port, and a `*` is nothing
    special outside `hosts`; schemes and formats are lower case. Such a deny refuses nothing.

    before:
    - {id: a, deny: [web-download], when: request.host == "Old.Example.com:443", message: This mirror is gone.}
    after:
    - {id: a, deny: [web-download], when: request.host == "old.example.com", message: This mirror is gone.}
    """
    for rule in tree.policy.rules:
        for condition, node in tree.conditions(rule):
            for fact, text in compared(condition.source):
                could_be = _SPELLED.get(fact)
                if could_be is not None and not could_be(str(text.value)):
                    yield marked(
                        node, text.start, text.end, f"{fact} is never '{text.value}'", "see how facts are spelled"
                    )


def _is_host(text: str) -> bool:
    try:
        return host_name(text) == text
    except ValueError:
        return False


def _is_lower(text: str) -> bool:
    return bool(text) and text == text.lower()


_SPELLED: Mapping[str, Callable[[str], bool]] = {
    "request.host": _is_host,
    "request.scheme": lambda text: _is_lower(text) and text.isalnum(),
    "request.method": lambda text: text in SOURCE_FACTS,
    "request.visibility": lambda text: text in _VISIBILITIES,
    "request.disk_format": _is_lower,
    "request.container_format": _is_lower,
    "content.disk_format": _is_lower,
    "request.path": lambda text: text.startswith("/"),
}
"""Whether a fact can ever be that text."""
