"""A dozen kills in front of another gateway; `python -m tests.fronting` is the long form, before a real Glance."""

from __future__ import annotations

from pathlib import Path

from tests.fronting.kills import Scene, campaign
from tests.fronting.site import fronted


def test_a_killed_gateway_leaves_images_queued_or_active(tmp_path: Path) -> None:
    with fronted(tmp_path) as site:
        staging = site.front.home / "data" / "blobs" / "staging"
        scene = Scene(site.front, lambda alone: site.user(alone=alone), staging, site.web, site.source)
        assert campaign(scene, kills=12, seed=7) == []
