"""The worker's own check of a redirect, with real parts and nothing running."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from gateway.model.errors import PolicyRefused
from gateway.model.image import Image, Status
from gateway.model.imports import Import, ImportType
from gateway.policy.rules import Policy
from gateway.ports import Target
from gateway.service.attempt import Attempt
from gateway.service.policies import PolicyTrees
from gateway.service.site import Limits, Site
from tests.policy.campaign.drawing import NOW, STAGES, stage_name


class _Still:
    """The clock and the decision log of a site where time stands still and nothing is kept."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def record(self, entry: Mapping[str, object]) -> None: ...


def hop_refused(policy: Policy, facts: Mapping[str, Any], host: str) -> bool:
    """Whether an import that was granted with `facts` is refused to follow a redirect to `host`."""
    target = Target(scheme=facts["request.scheme"], host=host, port=facts["request.port"], path=facts["request.path"])
    try:
        _attempt(policy, facts).check_hop(target)
    except PolicyRefused:
        return True
    return False


def _attempt(policy: Policy, facts: Mapping[str, Any]) -> Attempt:
    nothing = cast(Any, None)
    still = cast(Any, _Still())
    site = Site(
        catalog=nothing,
        stores={},
        default_store="a",
        methods={},
        stages=frozenset(map(stage_name, STAGES)),
        policy=PolicyTrees(policy, nothing, stops=policy.stops),
        decisions=still,
        jobs=nothing,
        seal=nothing,
        clock=still,
        limits=Limits(),
        writer="w",
        new_id=lambda: "id",
    )
    image = Image(id="i", status=Status.IMPORTING, owner="p1", created_at=NOW, updated_at=NOW)
    work = Import(
        id="w",
        image_id="i",
        owner="p1",
        user_id="u1",
        method="web-download",
        type=ImportType.IMPORT,
        request={},
        sealed=None,
        facts=facts,
        stores=("a",),
        stores_left=("a",),
        all_must_succeed=True,
        decision_id="d",
        revision=policy.revision,
        created_at=NOW,
        updated_at=NOW,
        request_id="r",
    )
    return Attempt(site=site, work=work, image=image, policy=policy, left=("a",))
