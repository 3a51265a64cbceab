"""The policy trees of a running site: the one in force, earlier ones that imports were granted under, and the stops
that lie over all of them.

A tree is immutable and is swapped whole: whoever has taken one keeps it to the end of what he does with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from gateway.policy.rules import Policy, StopRule
from gateway.policy.stops import laid_over

P = ParamSpec("P")
T = TypeVar("T")

EARLIER = 2
"""How many earlier trees stay compiled. A big one takes hundreds of megabytes; any other is compiled again."""

# Threads of its own: those that carry bytes may all be waiting for slow sources while a stop has to take effect.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="policy")


async def beside_the_loop(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what takes the processor for long, or reads a disk, where no request waits for it."""
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: call(*args, **kwargs))


@dataclass(slots=True)
class PolicyTrees:
    """`tree` is in force, as its files say it; `current` is the same with the stops over it.

    Whoever sets `stops` holds `changing` from before he looks at the records, so that the newest look stays.
    """

    tree: Policy
    compile: Callable[[Mapping[str, str]], Policy]
    stops: tuple[StopRule, ...] = ()
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _earlier: dict[str, Policy] = field(default_factory=dict)
    _compiling: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def current(self) -> Policy:
        """What decides about new requests."""
        return self.over(self.tree)

    def over(self, policy: Policy) -> Policy:
        """Any tree with the stops of this moment over it."""
        return laid_over(policy, self.stops) if self.stops or policy.stops else policy

    def swap(self, tree: Policy) -> None:
        """From now on `tree` is in force; the one before is kept for the imports it has granted."""
        if tree.revision != self.tree.revision:
            self._keep(self.tree)
        self.tree = tree

    async def at(self, revision: str, sources: Callable[[str], Awaitable[Mapping[str, str] | None]]) -> Policy:
        """The tree with that revision, or the one in force where nobody kept it. Without stops. Raises Problems."""
        if (found := self._known(revision)) is not None:
            return found
        async with self._compiling:
            if (found := self._known(revision)) is not None:
                return found
            kept = await sources(revision)
            if kept is None:
                return self.tree
            return self._keep(await beside_the_loop(self.compile, kept))

    def _known(self, revision: str) -> Policy | None:
        return self.tree if revision == self.tree.revision else self._earlier.get(revision)

    def _keep(self, policy: Policy) -> Policy:
        self._earlier.pop(policy.revision, None)
        self._earlier[policy.revision] = policy
        while len(self._earlier) > EARLIER:
            del self._earlier[next(iter(self._earlier))]
        return policy
