from pathlib import Path

from tests.isolation.cloud import cloud
from tests.isolation.machine import explore

STEPS = 600


def test_nobody_sees_or_does_more_than_the_rules_say(tmp_path: Path) -> None:
    with cloud(tmp_path) as running:
        assert explore(running, STEPS) >= STEPS
