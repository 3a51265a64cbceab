"""What this caller may do here: computed from the decision function, the registries and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model.caller import Caller
from gateway.policy.offers import discovery, offers
from gateway.service.judge import asking
from gateway.service.site import Site


async def import_document(site: Site, caller: Caller) -> dict[str, Any]:
    """The body of `GET /v2/info/import`."""
    policy = site.policy.current
    return discovery(policy, await asking(site, policy, caller), stages=site.stages)


async def offered_methods(site: Site, caller: Caller) -> Sequence[str]:
    """The methods of the create response's header: the same answer, as a list."""
    policy = site.policy.current
    return offers(policy, await asking(site, policy, caller), stages=site.stages).methods
