"""What is known of a project besides its token: learned when a tree asks for it, and only then.

An import keeps what its request was decided with: what is among its facts already is not learned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.model.trust import Opening
from gateway.policy.facts import HISTORY, OPENED, FactValue
from gateway.policy.record import said_time
from gateway.policy.rules import Policy
from gateway.service import history
from gateway.service.site import Site


async def standing(site: Site, policy: Policy, values: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """The facts of the first phase that `policy` needs and `values`, read from a token, lack."""
    trees = list(_trees(site, policy))
    earned = history.ACCEPTED not in values and not all(HISTORY.isdisjoint(tree.facts) for tree in trees)
    opened = OPENED not in values and any(tree.break_glass for tree in trees)
    if not earned and not opened:
        return {}
    project, now = str(values["project.id"]), site.clock.now()
    found: dict[str, FactValue] = {}
    async with site.catalog.read() as tx:
        if earned:
            found |= history.facts(await tx.history(project), now)
        if opened:
            found[OPENED] = opened_fact(await tx.openings(project, now=now))
    return found


def opened_fact(openings: Iterable[Opening]) -> dict[str, dict[str, str]]:
    """The value of OPENED."""
    return {one.rule: {"id": one.id, "by": one.opened_by, "until": said_time(one.until)} for one in openings}


def _trees(site: Site, policy: Policy) -> Iterator[Policy]:
    """A shadow is asked with the same facts."""
    yield policy
    if site.shadow is not None and site.shadow.policy is not None:
        yield site.shadow.policy
