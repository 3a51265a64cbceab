"""`python -m tests.isolation`: the long run of the state machine."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.isolation.cloud import cloud
from tests.isolation.machine import explore


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.isolation", description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="import-gateway-isolation-") as folder, cloud(Path(folder)) as running:
        taken = explore(running, chosen.steps, chosen.seed)
    print(f"{taken:,} steps, 0 differences")


if __name__ == "__main__":
    main()
