"""`python -m tests.fleet`: many gateways on one PostgreSQL and one object store while they are killed at random."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

from tests.catalog import postgres
from tests.fleet.campaign import Size, campaign
from tests.stores.servers import rgw


def main() -> int:
    chosen = arguments()
    if postgres.MISSING is not None:
        print(f"skipped: {postgres.MISSING}")
        return 0
    sizes = {field.name: getattr(chosen, field.name) for field in fields(Size) if hasattr(chosen, field.name)}
    size = replace(Size(**sizes), seconds=chosen.minutes * 60)
    store = chosen.store or ("rgw" if rgw.is_ready() else "moto")
    outcome = campaign(size, chosen.seed, say, store=store, folder=chosen.keep)
    say("\n".join([*outcome.violations, outcome.told()]))
    return 1 if outcome.violations else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--gateways", type=int, default=Size.gateways)
    parser.add_argument("--imports", type=int, default=Size.imports)
    parser.add_argument("--projects", type=int, default=Size.projects)
    parser.add_argument("--minutes", type=float, default=Size.seconds / 60, help="how long gateways fall")
    parser.add_argument("--lease", type=float, default=Size.lease, help="seconds")
    parser.add_argument("--gap", type=float, default=Size.gap, help="seconds from fall to fall, on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("rgw", "moto"), help="the server of the bucket; rgw where it is installed")
    parser.add_argument("--keep", type=Path, help="a folder for logs and settings; kept at the end")
    return parser.parse_args()


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
