from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.service import Service
from tests.policy.used import used


@pytest.fixture(scope="session")
def used_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """For tools that only look. Its images and its log may grow, and nothing in them changes."""
    with used(tmp_path_factory.mktemp("used")) as made:
        yield made
