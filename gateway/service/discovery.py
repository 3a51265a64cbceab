"""What this caller may do here: computed from the decision function, the registries and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.model.caller import Caller
from gateway.policy.facts import Facts
from gateway.policy.offers import discovery, offers
from gateway.service.judge import who
from gateway.service.site import Site


def import_document(site: Site, caller: Caller) -> dict[str, Any]:
    """The body of `GET /v2/info/import`."""
    return discovery(site.policy.current, Facts(who(caller), site.clock.now()), stages=site.stages)


def offered_methods(site: Site, caller: Caller) -> Sequence[str]:
    """The methods of the create response's header: the same answer, as a list."""
    return offers(site.policy.current, Facts(who(caller), site.clock.now()), stages=site.stages).methods
