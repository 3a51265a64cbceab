"""Who may join the gateways of a database, and who may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog import postgres
from tests.faults.service import Service
from tests.fleet.fleet import Fleet, settings_of
from tests.serving.process import Ended

pytestmark = postgres.needed


def test_a_gateway_with_another_secret_key_is_refused_by_name(three: Fleet, tmp_path: Path) -> None:
    stranger = Service(tmp_path, settings_of(tmp_path, three.url, 80, {}))
    with pytest.raises(Ended) as refused:
        stranger.start()
    assert "another secret key" in str(refused.value)
    assert three.count("SELECT 1 FROM processes") == 3
