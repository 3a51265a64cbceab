"""What is told of a gateway.yaml without the secrets that are written in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from gateway.policy.problems import Problem

# Everything is bounded, or begins where nothing else does: no file takes long, whatever is written in it.
_NAME = r"""(?:password|secret|secret_key|token)["']?[ \t]{0,99}:[ \t]{0,99}"""
_KEY = r"""["']?\w{0,99}""" + _NAME
_WRITTEN = (
    re.compile(_NAME + r'"((?:[^"\\]|\\.)*)'),
    re.compile(_NAME + r"'((?:[^']|'')*)"),
    re.compile(rf"""^[ \t]*(?:-[ \t]+)?{_KEY}([^\s"'|>].*)$""", re.MULTILINE),
    re.compile(rf"""{_NAME}([^\s"'|>][^,}}\]\n]*)"""),
    re.compile(r"""://[^\s:/@"']{0,255}:([^\s"']{1,255})@"""),
)
_BLOCK = re.compile(rf"^([ ]*)(?:-[ ]+)?{_KEY}[|>].*\n((?:\1[ ]+.*(?:\n|\Z))+)", re.MULTILINE)
_TELLING = 4
"""A shorter one stands in any sentence, and is left there."""


def hushed(problem: Problem, secrets: frozenset[str]) -> Problem:
    """The problem with every character of a secret as an asterisk, so that carets stay where they are."""
    telling = frozenset(secret for secret in secrets if len(secret) >= _TELLING)
    return replace(
        problem,
        line=_without(secrets, problem.line),
        message=_without(telling, problem.message),
        hint=_without(telling, problem.hint),
    )


def secrets_in(text: str) -> frozenset[str]:
    """As they are written, by keys that name secrets and by the user information of URLs. The text need not be YAML."""
    return frozenset(secret for secret in _found(text) if secret)


def _found(text: str) -> Iterator[str]:
    for written in _WRITTEN:
        for found in written.finditer(text):
            yield found[1].rstrip()
            yield from found[1].split()[:1]  # what the reader stopped at
    for block in _BLOCK.finditer(text):
        yield from (line.strip() for line in block[2].splitlines())


def _without(secrets: frozenset[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "*" * len(secret))
    return text
