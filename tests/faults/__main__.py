"""`python -m tests.faults`: the kill campaign; with `--all` every other fault too, at length."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.faults.campaign import campaign
from tests.faults.long import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the records and blobs; kept at the end")
    parser.add_argument("--all", action="store_true", help="play the other faults as well, some 20 minutes")
    chosen = parser.parse_args()
    failed = play(chosen.seed, say) if chosen.all else 0
    outcome = campaign(chosen.kills, chosen.seed, say, chosen.keep)
    say("\n".join([*outcome.violations, outcome.told()]))
    return 1 if outcome.violations or failed else 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
