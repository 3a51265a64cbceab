"""Does a grant cover an import: each `allow` on its own, never two of them together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.model.decision import Within
from gateway.policy.expression import Truth
from gateway.policy.matching import Touched
from gateway.policy.within import impossible, meet


class Grant(NamedTuple):
    """One `allow` that counts or may count, weighed against the known facts.

    `fails` are the limit keys it does not cover. `covers` is YES, NO or OPEN for the import as a whole. `left` is
    what remains of its `within` inside every limit of the policy.
    """

    touched: Touched
    fails: tuple[str, ...]
    covers: Truth
    left: Within


def weigh(allow: Touched, limit: Within, *, final: bool) -> Grant:
    """`limit` is every limit of the policy met; with `final`, what cannot be told is not covered."""
    fails = tuple(key for key, _, truth in allow.kept if truth is Truth.NO or (final and truth is Truth.OPEN))
    sure = allow.counts is Truth.YES and all(truth is Truth.YES for _, _, truth in allow.kept)
    covers = Truth.NO if fails else Truth.YES if sure else Truth.OPEN
    return Grant(allow, fails, covers, allow.within if fails else meet(allow.within, limit))


def possible(grants: Iterable[Grant]) -> list[Grant]:
    """The grants that cover the import, or still may."""
    return [grant for grant in grants if grant.covers is not Truth.NO and not impossible(grant.left)]


def borrowed(grants: Iterable[Grant]) -> str | None:
    """The first break-glass rule, by name, of grants that cover the import only because such rules are open."""
    ways = possible(grants)
    if any(grant.covers is Truth.YES and grant.touched.rule.break_glass is None for grant in ways):
        return None
    return min((grant.touched.rule.name for grant in ways if grant.touched.rule.break_glass), default=None)


def nearest(grants: Iterable[Grant]) -> Grant:
    """The grant that fails on the fewest limits."""
    return min(grants, key=lambda grant: (len(grant.fails), grant.touched.rule.name))
