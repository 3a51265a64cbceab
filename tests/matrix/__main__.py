"""`make matrix`: what users can tell of the service, over each kind of store beside each kind of catalog."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.matrix.cells import BEHAVIOUR, Cell, Outcome, played
from tests.serving import servers

STORES = ("filesystem", "s3", "swift")
CATALOGS = ("sqlite", "postgresql")


def main() -> int:
    asked = arguments()
    cells = [Cell(store, catalog) for store in asked.store or STORES for catalog in asked.catalog or CATALOGS]
    with ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-gateway-matrix-")))
        folder.mkdir(parents=True, exist_ok=True)
        found = {cell: judged(cell, asked, folder) for cell in cells}
    print("\n".join(table(found)))
    return 0 if all(outcome.good for outcome in found.values()) else 1


def judged(cell: Cell, asked: argparse.Namespace, folder: Path) -> Outcome:
    """A cell's own servers run as long as it does. One that cannot be had is a failure: the table shows it."""
    print(f"{cell.store} x {cell.catalog} ...", flush=True)
    with ExitStack() as stack:
        given = folder / "servers"
        try:
            needed = servers.needed(cell.catalog, cell.store, asked.s3)
            given.write_bytes(pickle.dumps({name: stack.enter_context(servers.started(name)) for name in needed}))
        except Exception as error:  # noqa: BLE001
            # Whatever keeps a server from starting, the other cells are played all the same.
            return Outcome(broken=f"{type(error).__name__}: {error}")
        more = {servers.GIVEN: str(given), "GATEWAY_TEST_S3": asked.s3}
        return played(cell, asked.paths or BEHAVIOUR, folder, more, asked.workers)


def table(found: dict[Cell, Outcome]) -> list[str]:
    lines = [""]
    for cell, outcome in found.items():
        lines += [f"{cell.store:10} x {cell.catalog:10} : {outcome}", *(f"    {name}" for name in outcome.failing)]
    return lines


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--store", action="append", choices=STORES, help="only this kind; may be said twice")
    parser.add_argument("--catalog", action="append", choices=CATALOGS, help="only this kind; may be said twice")
    parser.add_argument("--s3", choices=("rgw", "moto"), default="rgw", help="the server behind s3 (default: rgw)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes a cell is played by")
    parser.add_argument("--folder", type=Path, help="keeps what pytest said of each cell")
    parser.add_argument("paths", nargs="*", help="other tests than those of behaviour")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
