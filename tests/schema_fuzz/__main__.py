"""`python -m tests.schema_fuzz`: many requests made of the service's own document."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.isolation.cloud import cloud
from tests.schema_fuzz.campaign import campaign

PHASES = "coverage,fuzzing,stateful"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schema_fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    made = 0
    with tempfile.TemporaryDirectory(prefix="import-gateway-fuzz-") as folder, cloud(Path(folder)) as running:
        for done in campaign(running, Path(folder), chosen.cases, phases=PHASES, per_operation=25, seed=chosen.seed):
            made += done.cases
            if not done.passed:
                print(done.said)
                return 1
    print(f"{made:,} requests, every answer as documented")
    return 0


if __name__ == "__main__":
    sys.exit(main())
