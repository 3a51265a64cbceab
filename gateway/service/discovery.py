"""What this caller may do here: computed from the decision function, the registries and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model.caller import Caller
from gateway.policy.offers import discovery, offers
from gateway.service.judge import asking
from gateway.service.reception import UPLOAD
from gateway.service.site import Site

RESUMABLE_BY = ("tus-1.0.0", "draft-ietf-httpbis-resumable-upload")


async def import_document(site: Site, caller: Caller) -> dict[str, Any]:
    """The body of `GET /v2/info/import`."""
    policy = site.policy.current
    found = discovery(policy, await asking(site, policy, caller), stages=site.stages)
    if UPLOAD in found["import-methods"]["value"]:
        found["resumable-upload"] = {
            "description": "Protocols by which uploads to stage go on after they broke.",
            "type": "array",
            "value": list(RESUMABLE_BY),
        }
    return found


async def offered_methods(site: Site, caller: Caller) -> Sequence[str]:
    """The methods of the create response's header: the same answer, as a list."""
    policy = site.policy.current
    return offers(policy, await asking(site, policy, caller), stages=site.stages).methods
